//! `bandprobe spool`: what waits for delivery.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::{
    archive::{
        state,
        status::{Amount, Status, status},
    },
    config::problem::Problems,
    deliver::drain::{self, LastAnswer},
    model::units::Bytes,
};

use super::{
    Exit,
    args::{Archive, Spool, SpoolCommand},
    input, print, refuse,
};

pub(super) fn spool(args: &Spool) -> anyhow::Result<Exit> {
    let SpoolCommand::Status(args) = &args.command;
    let dir = match dir(args) {
        Ok(dir) => dir,
        Err(problems) => return Ok(refuse(&problems)),
    };
    anyhow::ensure!(dir.is_dir(), "{} is no data directory: nothing was recorded there yet", dir.display());
    let last: state::Loaded<LastAnswer> = state::load(&dir, drain::STATE);
    print(&describe(&status(&dir)?, &last.value, Timestamp::now()))?;
    Ok(Exit::Done)
}

fn dir(args: &Archive) -> Result<PathBuf, Problems> {
    match (&args.archive, &args.config) {
        (Some(dir), _) => Ok(dir.clone()),
        (None, Some(path)) => input::config(path).map(|config| config.archive.dir),
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

fn describe(status: &Status, last: &LastAnswer, now: Timestamp) -> String {
    let row = |name: &str, amount: Amount, note: &str| {
        let Amount { files, points, bytes } = amount;
        format!("{name:<12}{points:>10} points {files:>6} files {:>10}  {note}\n", Bytes(bytes).to_string())
    };
    let mut text = row("waiting", status.spool, "sealed, not delivered yet");
    text += &row("open", status.open, "being written");
    text += &row("delivered", status.archived, "kept for `archive.keep`");
    text += &row("rejected", status.rejected, "refused by InfluxDB, with its reason beside each line");
    text += &row("damaged", status.bad, "set aside");
    if let Some(oldest) = status.oldest {
        text += &format!("\noldest that waits: {} ({} ago)\n", oldest, rounded(now.duration_since(oldest)));
    }
    if let Some(time) = last.time {
        text += &format!("last answer: {} ago: {}\n", rounded(now.duration_since(time)), last.text);
    }
    text
}

fn rounded(duration: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(duration.as_secs()))
}
