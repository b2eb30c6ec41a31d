//! `bandprobe demo --serve`: only the nodes, for users who want to try the other commands on them.

use std::{fs, io, path::Path, time::Duration};

use anyhow::Context;
use tokio::time::sleep;

use crate::{
    demo::{DemoNodes, UNCACHED_IMAGE_ID, VIDEO_ID},
    model::target::Node,
    telemetry,
};

#[cfg(feature = "fleet")]
use super::fleet;
use super::{
    super::{Exit, args::Demo, input, print, print_data, signals::Signals, terminal},
    config::{self, DemoSettings},
    format_time, program_name, quoted,
    servers::DemoServers,
};

pub(super) async fn serve(args: &Demo) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    // A person needs longer than a probe to look at a miss.
    let servers = DemoServers::start(args, Some(VIEWER)).await?;
    let config = servers.config(&SETTINGS);
    match &args.output {
        Some(path) => {
            refuse_foreign_file(path)?;
            fs::write(path, &config).with_context(|| format!("cannot write the config to {}", path.display()))?;
            print(&hints(&servers, args, path))?;
        }
        None => {
            print_data(config.as_bytes())?;
            let hints = hints(&servers, args, Path::new("demo.toml"));
            telemetry::print(&terminal::fit(&hints, &io::stderr()));
        }
    }
    let end = async {
        match args.duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = end => {}
        () = signals.next() => {}
    }
    servers.shutdown().await;
    Ok(Exit::Done)
}

/// Refuses to overwrite a file that the demo did not write, such as the user's own config.
fn refuse_foreign_file(path: &Path) -> anyhow::Result<()> {
    let is_ours = match fs::metadata(path) {
        Ok(there) if there.is_file() && there.len() > 0 => {
            input::read(path).is_ok_and(|text| text.starts_with(config::HEADING.as_bytes()))
        }
        _ => true,
    };
    anyhow::ensure!(is_ours, "{} exists and is not a demo config: choose another file", path.display());
    Ok(())
}

/// The running servers, and commands to try on them.
fn hints(servers: &DemoServers, args: &Demo, path: &Path) -> String {
    let until = args.duration.map_or_else(|| "until Ctrl-C".to_owned(), |time| format!("for {}", format_time(time)));
    let mut text = format!("{}, {until}:\n{}", servers.summary(), servers.lines(true));
    let (shown, us) = (quoted(&path.to_string_lossy()), program_name());
    text += &match args.output {
        Some(_) => format!("\nTheir config is {shown}. In another terminal:\n"),
        None => format!("\nTheir config is above: save it as {shown}. Then, in another terminal:\n"),
    };
    let commands: &[_] = match servers {
        DemoServers::Nodes(_) => &["check", "once", "run"],
        #[cfg(feature = "fleet")]
        DemoServers::Fleet(_) => &["check", "targets", "once", "run"],
    };
    for command in commands {
        text += &format!("  {us} {command} -c {shown}\n");
    }
    text + &match servers {
        DemoServers::Nodes(demo) => hints_on_nodes(demo, &shown, &us),
        #[cfg(feature = "fleet")]
        DemoServers::Fleet(fleet) => fleet::hints(fleet, &us),
    }
}

fn hints_on_nodes(demo: &DemoNodes, shown: &str, us: &str) -> String {
    let (nodes, mut text) = (demo.nodes(), String::new());
    let asset =
        |node: &Node, id: &str| node.assets.iter().find(|asset| &*asset.id == id).map(|asset| node.asset_url(asset));
    // The config contains the CA certificate. A PEM reader finds it there.
    if let Some((node, video)) = nodes.iter().find_map(|node| Some((node, asset(node, VIDEO_ID)?)))
        && node.endpoint.as_url().scheme() == "https"
    {
        text += &format!("  {us} probe {video} --ca-file {shown}\n");
    }
    // The node with the most interesting waterfall.
    if let Some(video) = nodes.iter().find(|node| &*node.id == "stalling").and_then(|node| asset(node, VIDEO_ID)) {
        text += &format!("  {us} probe {video} --range 0-6291455\n");
    }
    if let Some(image) = nodes.iter().find_map(|node| asset(node, UNCACHED_IMAGE_ID)) {
        text += &format!(
            "\nThis image is not cached yet. A simulated viewer asks for it after {} s, and then it is:\n  \
             {us} probe {image}\n",
            VIEWER.as_secs()
        );
    }
    text
}

/// When the simulated viewer asks for objects that are not cached.
const VIEWER: Duration = Duration::from_secs(60);

const SETTINGS: DemoSettings<'_> = DemoSettings {
    image_every: "10s",
    video_every: "60s",
    status_every: "10s",
    cold_every: "15m",
    spacing: "memoryless",
    archive: "bandprobe-demo-data",
};
