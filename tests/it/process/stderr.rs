//! Output that is not read: the pipe of stderr or stdout is full from the start.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{self, Command},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::{PATIENCE, World, archived, command, points, sound, until};

/// A process whose stderr is a full pipe. Killed when dropped.
struct Unread {
    process: process::Child,
    reader: File,
}

impl Unread {
    fn spawn(command: &mut Command) -> Self {
        let (reader, writer) = full_pipe();
        let process = command.stderr(writer).spawn().unwrap();
        // The command holds its end of the pipe open and would hide that the process has ended.
        command.stderr(process::Stdio::null());
        Self { process, reader: reader.into() }
    }

    fn signal(&self) {
        let sent = Command::new("kill").args(["-s", "TERM", &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        let tries = PATIENCE.as_millis() / 20;
        for _ in 0..tries {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it goes on and on");
    }
}

fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let size = rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
    File::from(writer.try_clone().unwrap()).write_all(&vec![b'\n'; size]).unwrap();
    (reader, writer)
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines_dropped(world: &World) -> u64 {
    let counts = points(&world.archive()).into_iter().filter(|point| point.0 == "bandprobe_worker");
    counts.map(|point| point.2["log_lines_dropped"].trim_end_matches('i').parse::<u64>().unwrap()).sum()
}

#[test]
fn a_full_pipe_stops_neither_probing_nor_the_end() {
    let world = World::new(vec![sound("n1"), sound("n2")]);
    let config = world.config("b.toml", None, "");
    for level in ["info", "trace"] {
        let before = archived(&world.archive()).len();
        let args = ["run", "-c", config.to_str().unwrap()];
        let mut worker = Unread::spawn(command(&args).env("BANDPROBE_LOG", level));
        until("it probes", || archived(&world.archive()).len() >= before + 10);
        worker.signal();
        assert_eq!(worker.end(), Some(0), "{level}");
    }
}

/// A round that finds thousands of dead nodes logs a line for each.
#[test]
fn lines_that_are_not_read_are_counted_and_reported() {
    let world = World::new(vec![sound("n1")]);
    let mut text = format!(
        "[vantage]\nid = \"here\"\n[schedule]\nprobes = [{{ probe = \"status\", every = \"1s\" }}]\n[archive]\ndir = \"archive\"\n\
         [[source]]\nkind = \"static\"\n[[source.nodes]]\nid = \"n1\"\nprofile = \"argus\"\nendpoint = \"{}\"\n",
        world.demo.nodes()[0].endpoint
    );
    for n in 0..5_000 {
        let id = format!("{}-{n:04}", "gone".repeat(23));
        text +=
            &format!("[[source.nodes]]\nid = \"{id}\"\nprofile = \"argus\"\nendpoint = \"http://127.0.0.1:1/{n}/\"\n");
    }
    let config = world.write("b.toml", &text);
    let mut worker = Unread::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    // The log lines of a round follow its points, so they are counted with those of the next round.
    until("two rounds are over", || {
        let points = points(&world.archive());
        points.iter().filter(|point| point.1.get("node").is_some_and(|node| node == "n1")).count() >= 2
    });
    let (read, mut reader) = (Arc::new(Mutex::new(String::new())), worker.reader.try_clone().unwrap());
    let text = read.clone();
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Some(count) = reader.read(&mut bytes).ok().filter(|count| *count > 0) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
    until("the gap is reported", || read.lock().unwrap().contains(" are missing here: stderr was not read\n"));
    worker.signal();
    assert_eq!(worker.end(), Some(0));
    assert!(lines_dropped(&world) > 0);
}

#[test]
fn a_config_with_many_problems_waits_for_its_reader() {
    let world = World::new(vec![]);
    let keys: String = (0..90).map(|n| format!("{}-{n} = 1\n", "k".repeat(3_000))).collect();
    let config = world.write("b.toml", &format!("[vantage]\nid = \"v\"\n{keys}"));
    let mut check = Unread::spawn(&mut command(&["check", "-c", config.to_str().unwrap()]));
    let mut text = String::new();
    thread::sleep(Duration::from_millis(1_500)); // longer than an end without a reader takes
    check.reader.read_to_string(&mut text).unwrap();
    assert_eq!(check.end(), Some(78));
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 90, "{text}");
    let longest = lines.iter().map(|line| line.len()).max().unwrap();
    assert!((2_000..2_100).contains(&longest), "{longest}");
    assert!(lines.iter().any(|line| line.contains(" bytes more)")), "{text}");
}

#[test]
fn a_signal_ends_a_round_whose_results_are_not_read() {
    let world = World::new(vec![sound("n1"), sound("n2")]);
    let config = world.config("b.toml", None, "");
    for json in [true, false] {
        let args = ["once", "-c", config.to_str().unwrap()];
        let mut command = command(&args);
        command.args(json.then_some("--json"));
        let before = archived(&world.archive()).len();
        let (reader, writer) = full_pipe();
        let process = command.stdout(writer).stderr(process::Stdio::null()).spawn().unwrap();
        command.stdout(process::Stdio::null());
        let mut round = Unread { process, reader: reader.into() };
        until("it has a result", || archived(&world.archive()).len() > before);
        thread::sleep(Duration::from_millis(500));
        round.signal();
        assert_eq!(round.end(), Some(1), "--json: {json}");
    }
}
