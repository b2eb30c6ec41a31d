//! `bandprobe man [COMMAND]`: manual pages, out of the arguments themselves.

use clap::{Command, CommandFactory};

use super::{
    Exit,
    args::{Args, Man},
    complain, print_data,
};

pub(super) fn man(args: &Man) -> anyhow::Result<Exit> {
    let mut command = Args::command();
    // Gives every command the name that its page has, as in `bandprobe-spool-status`.
    command.build();
    let mut wanted = &command;
    for word in &args.command {
        match wanted.find_subcommand(word) {
            Some(found) => wanted = found,
            None => {
                complain(&format!("no command `{word}`: there are {}", names(wanted).join(", ")));
                return Ok(Exit::Usage);
            }
        }
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(wanted.clone()).render(&mut page)?;
    print_data(&page)?;
    Ok(Exit::Done)
}

fn names(command: &Command) -> Vec<&str> {
    command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect()
}
