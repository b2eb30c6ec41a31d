//! Nobody reads stderr: its pipe is full from the start.

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
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let size = rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
        File::from(writer.try_clone().unwrap()).write_all(&vec![b'\n'; size]).unwrap();
        let process = command.stderr::<OwnedFd>(writer).spawn().unwrap();
        // The command keeps its end of the pipe, and would hide the end of the process.
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

#[test]
fn lines_that_nobody_read_are_counted_and_reported() {
    let world = World::new(vec![sound("n1"), sound("n2")]);
    let config = world.config("b.toml", None, "");
    let mut worker = Unread::spawn(command(&["run", "-c", config.to_str().unwrap()]).env("BANDPROBE_LOG", "trace"));
    // Some 100 lines a transfer, and room for some 8,000.
    until("it probes", || archived(&world.archive()).len() >= 150);
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
    let nodes = "[[source.nodes]]\nid = \"n 1\"\n".repeat(9_000);
    let config = world.write("b.toml", &format!("[vantage]\nid = \"v\"\n[[source]]\nkind = \"static\"\n{nodes}"));
    let mut check = Unread::spawn(&mut command(&["check", "-c", config.to_str().unwrap()]));
    let mut text = String::new();
    check.reader.read_to_string(&mut text).unwrap();
    assert_eq!(check.end(), Some(78));
    let problems = text.lines().filter(|line| line.contains(".endpoint: is missing")).count();
    assert_eq!(problems, 9_000, "of {} bytes", text.len());
    assert!(text.len() > 2 << 20, "more than the queue holds");
}
