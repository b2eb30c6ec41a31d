//! `bandprobe check`: every problem at once, or what the config will cost.

use crate::worker::plan::check_text;

use super::{Exit, args::WithConfig, input, refuse, tell};

pub(super) fn check(args: &WithConfig) -> anyhow::Result<Exit> {
    match input::config(&args.config) {
        Ok(config) => {
            tell(&check_text(&args.config, &config))?;
            Ok(Exit::Done)
        }
        Err(problems) => Ok(refuse(&problems)),
    }
}
