//! `bandprobe completions SHELL`: shell completions, generated from the arguments so that they always match.

use clap::CommandFactory;

use super::{
    Exit,
    args::{Args, Completions},
    print_data,
};

pub(super) fn completions(args: &Completions) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print_data(&script)?;
    Ok(Exit::Done)
}
