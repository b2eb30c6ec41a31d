//! `bandprobe spool`: shows and handles points that wait for delivery, rejected points, and the results themselves.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::SignedDuration;

use crate::{
    archive,
    config::{Archive, problem::Problems},
    model::units::{Bytes, format_age},
};

use super::{
    Exit,
    args::{DataDir, Spool, SpoolCommand},
    config_error, input,
};

mod export;
mod flush;
mod flush_progress;
mod import;
mod list;
mod status;

pub(super) async fn spool(args: &Spool) -> anyhow::Result<Exit> {
    let data_dir = match &args.command {
        SpoolCommand::Flush(args) => return flush::flush(args).await,
        SpoolCommand::Status(args) | SpoolCommand::List(args) => &args.data_dir,
        SpoolCommand::Export(args) => &args.data_dir,
        SpoolCommand::Import(args) => &args.data_dir,
    };
    let (dir, room) = match dir(data_dir) {
        Ok(found) => found,
        Err(problems) => return Ok(config_error(&problems)),
    };
    if let SpoolCommand::Import(args) = &args.command {
        return import::import(&dir, room, args);
    }
    is_there(&dir)?;
    match &args.command {
        SpoolCommand::Status(args) => status::status(&dir, args.json)?,
        SpoolCommand::List(args) => list::list(&dir, args.json)?,
        SpoolCommand::Export(args) => return export::export(&dir, args),
        SpoolCommand::Flush(_) | SpoolCommand::Import(_) => unreachable!("they went their own way"),
    }
    Ok(Exit::Done)
}

/// The data directory, and its maximum size.
fn dir(args: &DataDir) -> Result<(PathBuf, Bytes), Problems> {
    match (&args.archive, &args.config) {
        (Some(dir), _) => Ok((dir.clone(), Archive::MAX_SIZE)),
        (None, Some(path)) => input::config(path).map(|config| (config.archive.dir, config.archive.max_size)),
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

fn is_there(dir: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        archive::exists(dir),
        "{} is not a data directory: nothing has been recorded there yet",
        dir.display()
    );
    Ok(())
}

/// How long ago, in the two largest units. A time ahead of the clock, such as one from another machine, counts as now.
pub(super) fn ago(since: SignedDuration) -> String {
    match since.as_secs() {
        ..=0 => "just now".to_owned(),
        seconds => format!("{} ago", format_age(Duration::from_secs(seconds.unsigned_abs()))),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn ages_have_at_most_two_units() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (time, expected) in [
            ("2026-11-22T12:00:00Z", "just now"),
            ("2026-11-22T11:59:59.5Z", "just now"),
            ("2026-11-22T11:59:59Z", "1s ago"),
            ("2026-11-22T10:58:03.9Z", "1h 1m ago"),
            ("2026-11-19T10:58:03.9Z", "3d 1h ago"),
            ("2026-11-22T12:00:01Z", "just now"),
            ("9999-01-01T00:00:00Z", "just now"),
        ] {
            assert_eq!(ago(now.duration_since(time.parse().unwrap())), expected, "{time}");
        }
    }
}
