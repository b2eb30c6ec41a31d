//! A pseudo-terminal with a size, and the screen that a person would see.

use std::{fs::File, io::Read, num::NonZeroU16, process::Command, sync::mpsc, thread, time::Duration};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// How long a process may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal to run the binary on.
pub(super) struct Terminal {
    columns: u16,
    rows: u16,
    environment: Vec<(&'static str, &'static str)>,
}

/// What the terminal received.
pub(super) struct Seen {
    pub(super) code: Option<i32>,
    pub(super) bytes: Vec<u8>,
    columns: u16,
    rows: u16,
}

impl Terminal {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows, environment: Vec::new() }
    }

    pub(super) fn with(mut self, variable: (&'static str, &'static str)) -> Self {
        self.environment.push(variable);
        self
    }

    /// Runs the binary to its end, stdout and stderr on this terminal.
    pub(super) fn run(self, args: &[&str]) -> Seen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_col: self.columns, ws_row: self.rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut child = {
            // The command holds copies of the terminal. They are closed here, so that reading ends with the process.
            let mut command: Command = crate::process::command(args);
            for name in ["LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR"] {
                command.env_remove(name);
            }
            command.env("TERM", "xterm-256color").envs(self.environment);
            command.stdout(open()).stderr(open()).spawn().unwrap()
        };
        let bytes = read(File::from(master));
        if bytes.is_none() {
            child.kill().unwrap();
        }
        let code = child.wait().unwrap().code();
        let bytes = bytes.expect("it says something, or ends");
        Seen { code, bytes, columns: self.columns, rows: self.rows }
    }
}

impl Seen {
    /// The final screen, without empty lines at the bottom.
    pub(super) fn screen(&self) -> String {
        let mut parser = self.parser();
        parser.process(&self.bytes);
        contents(&parser)
    }

    /// The screen after each change that could be observed.
    pub(super) fn screens(&self) -> impl Iterator<Item = String> {
        let mut parser = self.parser();
        self.bytes.split_inclusive(|byte| *byte == 0x1b || *byte == b'\n').map(move |piece| {
            parser.process(piece);
            contents(&parser)
        })
    }

    /// Whether any line was longer than the terminal is wide.
    pub(super) fn is_wrapped(&self) -> bool {
        let mut parser = self.parser();
        parser.process(&self.bytes);
        (0..self.rows).any(|row| parser.screen().row_wrapped(row))
    }

    /// The text without escape sequences. Useless if the cursor went up.
    pub(super) fn plain(&self) -> String {
        let text = String::from_utf8(self.bytes.clone()).unwrap();
        let mut pieces = text.split("\u{1b}[");
        let first = pieces.next().unwrap().to_owned();
        let without = |piece: &str| piece[piece.find(|c: char| c.is_ascii_alphabetic()).unwrap() + 1..].to_owned();
        pieces.fold(first, |text, piece| text + &without(piece))
    }

    fn parser(&self) -> vt100::Parser {
        let size = |length: u16| NonZeroU16::new(length).unwrap();
        vt100::Parser::new(size(self.rows), size(self.columns), 0)
    }
}

fn contents(parser: &vt100::Parser) -> String {
    parser.screen().contents().trim_end().to_owned() + "\n"
}

/// Everything until the last process has closed the terminal; `None` when a process is silent for too long.
fn read(mut master: File) -> Option<Vec<u8>> {
    let (sender, pieces) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        // The end is reported as EIO (pty(7)).
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut bytes = Vec::new();
    loop {
        match pieces.recv_timeout(PATIENCE) {
            Ok(piece) => bytes.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Some(bytes),
            Err(mpsc::RecvTimeoutError::Timeout) => return None,
        }
    }
}
