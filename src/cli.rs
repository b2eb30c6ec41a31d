//! The command line: arguments, exit codes, and what is written to stdout (data) and stderr (logs, progress).

use std::{io, process::ExitCode};

use clap::Parser;

use crate::{
    config::problem::Problems,
    telemetry,
    term::{causes::with_causes, wrap::wrap},
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
mod signals;
mod spool;
mod stdout;
mod targets;
mod terminal;
mod waterfall;

use self::args::{Args, Command};

/// How a command ended. Each variant has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// 0: the command succeeded.
    Done,
    /// 1: bandprobe could not do its work.
    Failed,
    /// 2: the arguments are invalid. clap uses the same code.
    Usage,
    /// 3: bandprobe did its work, but a probe failed.
    ProbeFailed,
    /// 78: the config is invalid (`EX_CONFIG` of sysexits(3)).
    BadConfig,
}

/// Runs the command that the arguments select.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // clap reports --help and --version as errors too, with exit code 0 and on stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let log = match telemetry::start(args.command.log_level()) {
        Ok(log) => log,
        Err(error) => {
            eprint(&format!("cannot start a thread: {error}"));
            return Exit::Failed.into();
        }
    };
    descriptors::raise_limit();
    let done = service::start().map_err(Into::into).and_then(|runtime| runtime.block_on(dispatch(args.command)));
    let exit = match done {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            eprint(&with_causes(error.as_ref()));
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

/// Prints text for people, in characters that the terminal can show.
fn print(text: &str) -> anyhow::Result<()> {
    print_data(terminal::fit(text, &io::stdout()).as_bytes())
}

/// Prints sentences, wrapped at the width of the terminal. Not for text that users copy.
fn print_wrapped(text: &str) -> anyhow::Result<()> {
    print(&wrap(text, terminal::width()))
}

/// Writes data unchanged. If the reader has closed the pipe (`| head`), the command ends without a message.
fn print_data(bytes: &[u8]) -> anyhow::Result<()> {
    telemetry::flush();
    Ok(stdout::write(bytes)?)
}

/// Prints a message for people on stderr. It never waits, and ignores write errors.
fn eprint(text: &str) {
    telemetry::print(&message(text));
}

/// Prints every problem of a config. It waits until they are written, because nothing else is running yet.
fn config_error(problems: &Problems) -> Exit {
    telemetry::print_and_wait(&message(&format!("the config is invalid:\n{problems}")));
    Exit::BadConfig
}

fn message(text: &str) -> String {
    let text = wrap(&format!("bandprobe: {text}\n"), terminal::size_of_stderr().map(|(width, _)| width));
    terminal::fit(&text, &io::stderr()).into_owned()
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
