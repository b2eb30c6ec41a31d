//! The command line: arguments, exit codes, and what goes to stdout (data) and stderr (logs, progress).

use std::{io, process::ExitCode};

use clap::Parser;

use crate::{
    config::problem::Problems,
    report::wrap::wrap,
    telemetry,
    worker::{descriptors, service},
};

mod args;
mod check;
mod completions;
mod demo;
mod input;
mod man;
mod once;
mod plain;
mod probe;
mod progress;
mod registries;
mod repeated;
mod report;
mod run;
mod screen;
mod signals;
mod spool;
mod stdout;
mod targets;
mod waterfall;

use self::args::{Args, Command};

/// How a command ended; each is an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// 0
    Done,
    /// 1: we could not do it.
    Failed,
    /// 2: what was asked for makes no sense; clap's own code.
    Usage,
    /// 3: we did it, and what we probed failed.
    ProbeFailed,
    /// 78, `EX_CONFIG` of sysexits(3).
    BadConfig,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // --help and --version are such errors too, with exit code 0 and stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let log = match telemetry::start(args.command.log_level()) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("cannot start a thread: {error}"));
            return Exit::Failed.into();
        }
    };
    descriptors::raise_limit();
    let done = service::start().map_err(Into::into).and_then(|runtime| runtime.block_on(dispatch(args.command)));
    let exit = match done {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            complain(&in_words(&error));
            Exit::Failed
        }
    };
    drop(log);
    exit.into()
}

async fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::demo(&args).await,
        Command::Run(args) => run::run(&args).await,
        Command::Once(args) => once::once(&args).await,
        Command::Probe(args) => probe::probe(&args).await,
        Command::Check(args) => check::check(&args).await,
        Command::Report(args) => report::report(&args).await,
        Command::Spool(args) => spool::spool(&args).await,
        Command::Targets(args) => targets::targets(&args).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}

/// Writes text for people, in the characters of the terminal.
fn print(text: &str) -> anyhow::Result<()> {
    print_data(screen::fit(text, &io::stdout()).as_bytes())
}

/// Writes sentences: what nobody copies may be broken where the terminal ends.
fn tell(text: &str) -> anyhow::Result<()> {
    print(&wrap(text, screen::width()))
}

/// Writes data as it is. A reader that has gone (`| head`) ends the command quietly.
fn print_data(bytes: &[u8]) -> anyhow::Result<()> {
    telemetry::flush();
    Ok(stdout::write(bytes)?)
}

/// Writes a message for people to stderr. It never waits, and does not fail when the message cannot be written.
fn complain(text: &str) {
    telemetry::print(&message(text));
}

/// Reports every problem of a config. It waits for its reader, as nothing else runs yet.
fn refuse(problems: &Problems) -> Exit {
    telemetry::print_and_wait(&message(&format!("the config is invalid:\n{problems}")));
    Exit::BadConfig
}

fn message(text: &str) -> String {
    let text = wrap(&format!("bandprobe: {text}\n"), screen::size_of_stderr().map(|(width, _)| width));
    screen::fit(&text, &io::stderr()).into_owned()
}

/// An error and its sources, each told once: many an error names its source in its own words already.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, source| {
        let source = source.to_string();
        match text.is_empty() {
            true => source,
            false if text.contains(&source) => text,
            false => format!("{text}: {source}"),
        }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::ProbeFailed => 3,
            Exit::BadConfig => 78,
        })
    }
}
