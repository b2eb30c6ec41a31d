//! No child outlives the tests, not even a stopped one (SIGSTOP) when the test binary is killed.
//!
//! A binary that is killed runs no destructors. So a shell next to it learns of each child through a pipe, and kills
//! those that are left when the pipe closes.

use std::{
    io::Write,
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

/// It outlives an interrupt from the terminal, which goes to all processes of the tests.
const SHELL: &str = r#"trap "" HUP INT QUIT TERM
declare -A left
while read -r word pid; do
    if [ "$word" = began ]; then left[$pid]=1; else unset "left[$pid]"; fi
done
[ "${#left[@]}" = 0 ] || kill -s KILL "${!left[@]}""#;

/// Has a child killed when the tests end before it.
pub(super) fn watch(pid: u32) {
    tell("began", pid);
}

/// A child is dead, or as good as dead. To be called before it is waited for: later its number may be another process's.
pub(super) fn forget(pid: u32) {
    tell("ended", pid);
}

fn tell(word: &str, pid: u32) {
    static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let pipe = PIPE.get_or_init(|| {
        let mut shell = Command::new("bash");
        shell.args(["-c", SHELL]).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        #[expect(clippy::zombie_processes, reason = "it ends after this process")]
        let shell = shell.spawn().unwrap();
        Mutex::new(shell.stdin.unwrap())
    });
    writeln!(pipe.lock().unwrap_or_else(PoisonError::into_inner), "{word} {pid}").unwrap();
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        io::{BufRead, BufReader},
        thread,
        time::Duration,
    };

    use super::{
        super::{Child, World, command, frozen, sound, until},
        *,
    };

    #[test]
    fn a_child_that_stands_still_does_not_outlive_the_tests() {
        let inner = "process::orphans::tests::leaves_a_child_that_stands_still";
        let mut tests = Command::new(env::current_exe().unwrap());
        let tests = tests.args(["--exact", inner, "--ignored", "--nocapture"]).stdout(Stdio::piped());
        let mut tests = tests.spawn().unwrap();
        let lines = BufReader::new(tests.stdout.take().unwrap()).lines().map_while(Result::ok);
        let pid = lines.filter_map(|line| line.strip_prefix("stands still: ").map(str::to_owned)).next().unwrap();
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        };
        assert_eq!(state(), Some('T'));
        tests.kill().unwrap();
        tests.wait().unwrap();
        // The process that adopts it may not wait for it.
        until("the child is gone", || matches!(state(), None | Some('Z')));
    }

    #[test]
    #[ignore = "another test runs and kills it"]
    fn leaves_a_child_that_stands_still() {
        let world = World::new(vec![sound("a")]);
        let config = world.config("config.toml", None, "");
        let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
        frozen::freeze(&child);
        println!("stands still: {}", child.id());
        thread::sleep(Duration::from_secs(600));
    }
}
