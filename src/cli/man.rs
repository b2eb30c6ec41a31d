//! `bandprobe man [COMMAND]`: manual pages, generated from the arguments.

use clap::{Command, CommandFactory};

use super::{
    Exit,
    args::{Args, Man},
    eprint, print_data,
};

pub(super) fn man(args: &Man) -> anyhow::Result<Exit> {
    let mut command = Args::command();
    // Gives every command the name of its page, such as `bandprobe-spool-status`.
    command.build();
    let mut wanted = &command;
    for word in &args.command {
        match wanted.find_subcommand(word) {
            Some(found) => wanted = found,
            None => {
                eprint(&format!("no command `{word}`; the commands are {}", names(wanted).join(", ")));
                return Ok(Exit::Usage);
            }
        }
    }
    print_data(page(wanted)?.as_bytes())?;
    Ok(Exit::Done)
}

fn page(command: &Command) -> anyhow::Result<String> {
    let title = command.get_display_name().unwrap_or(command.get_name()).to_uppercase();
    let source = concat!("bandprobe ", env!("CARGO_PKG_VERSION"));
    let man =
        clap_mangen::Man::new(command.clone()).title(title).date(NO_DATE).source(source).manual("bandprobe manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    // The section after the options gets its usual name, as in man-pages(7).
    let page = String::from_utf8(page)?.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
    Ok(page.replace(".SH EXTRA\nExample:\n", ".SH EXAMPLES\n").replace(".SH EXTRA\n", ".SH NOTES\n"))
}

fn names(command: &Command) -> Vec<&str> {
    command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect()
}

/// The page has no date, because a build has none. With an empty argument, the next one would take its place.
const NO_DATE: &str = " ";
