//! The sections with only a few keys: vantage, limits, network, record, archive, report.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    super::{
        AllowPrivate, Archive, FamilyChoice, HttpChoice, Limits, Network, Resolver,
        file::{Section, Switch},
        trace_url::{TraceUrl, TraceUrlError},
    },
    Bounds, Input, database, resolve, word,
};
use crate::model::{
    target::Vantage,
    units::{BitRate, Bytes},
};

const WINDOW: Duration = Duration::from_secs(3_600);
const ARCHIVE_DIR: &str = "bandprobe-data";
/// Room for the open file and a few sealed ones.
const ARCHIVE_LEAST: Bytes = Bytes(10_000_000);
const ARCHIVE_KEEP: Duration = Duration::from_secs(30 * 86_400);
const ARCHIVE_SYNC: Duration = Duration::from_secs(10);
const MAX_RESOLVERS: usize = 8;
const MAX_NETWORKS: usize = 64;
const MAX_CONTACT_CHARS: usize = 200;
const COLD_FETCHES: u64 = 4;
/// One fetch every 15 minutes. With more, the probe would no longer be rare.
const MAX_COLD_FETCHES: u64 = 96;
const DNS_PORT: u16 = 53;

pub(super) fn vantage(section: Section<'_>) -> Option<Vantage> {
    let id =
        section.required("id", section.parse("id", word::tag), "the tag on every point, as in `id = \"eu-central\"`");
    let worker = section.parse("worker", word::tag);
    let uplink = section.parse("uplink", |text| match text.parse() {
        Ok(BitRate(0)) => Err(format!("`{text}` must be more than zero")),
        Ok(rate) => Ok(rate),
        Err(error) => Err(error.to_string()),
    });
    let country = section.parse("country", word::country);
    let location = word::coordinates(&section);
    section.done();
    let id: Arc<str> = Arc::from(id?);
    Some(Vantage { worker: worker.map_or_else(|| Arc::clone(&id), Arc::from), id, uplink, country, location })
}

pub(super) fn limits(section: Section<'_>) -> Limits {
    let at_once = |key, most, default| {
        section.whole(key, 1..=most).map_or(default, |number| usize::try_from(number).unwrap_or(default))
    };
    let limits = Limits {
        vantages: section.whole("vantages", 1..=1_000).unwrap_or(10),
        bytes_per_day: section.size("bytes-per-day").unwrap_or(Bytes(5_000_000_000)),
        bytes_per_node_per_day: section.size("bytes-per-node-per-day").unwrap_or(Bytes(300_000_000)),
        cold_fetches_per_node_per_day: section
            .whole("cold-fetches-per-node-per-day", 0..=MAX_COLD_FETCHES)
            .unwrap_or(COLD_FETCHES),
        heavy_transfers: at_once("heavy-transfers", 16, 1),
        light_transfers: at_once("light-transfers", 256, 8),
        transfers_per_node: at_once("transfers-per-node", 16, 1),
    };
    section.done();
    limits
}

pub(super) fn network(section: Section<'_>, input: &Input<'_>) -> Network {
    let versions = [("auto", HttpChoice::Auto), ("1.1", HttpChoice::Http1), ("2", HttpChoice::Http2)];
    let families = [("any", FamilyChoice::Any), ("4", FamilyChoice::V4), ("6", FamilyChoice::V6)];
    let network = Network {
        allow_private: allow_private(&section),
        resolver: resolver(&section),
        http: section.choice("http", &versions).unwrap_or_default(),
        family: section.choice("family", &families).unwrap_or_default(),
        extra_ca: extra_ca(&section, input),
        contact: section.parse("contact", contact),
    };
    section.done();
    network
}

pub(super) fn window(section: Section<'_>) -> Duration {
    let window = section.duration("window", Bounds::WINDOW).unwrap_or(WINDOW);
    section.done();
    window
}

pub(super) fn archive(section: Section<'_>, input: &Input<'_>) -> Archive {
    let dir = section.parse("dir", |text| if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) });
    let max_size = section.size("max-size").filter(|size| {
        let is_enough = *size >= ARCHIVE_LEAST;
        if !is_enough {
            section.refuse("max-size", format!("`{size}` is too small: the archive needs at least {ARCHIVE_LEAST}"));
        }
        is_enough
    });
    let archive = Archive {
        dir: resolve(input.path, dir.as_deref().unwrap_or(ARCHIVE_DIR)),
        max_size: max_size.unwrap_or(Archive::MAX_SIZE),
        keep: section.duration("keep", Bounds::KEEP).unwrap_or(ARCHIVE_KEEP),
        sync: section.duration("sync", Bounds::SYNC).unwrap_or(ARCHIVE_SYNC),
    };
    section.done();
    archive
}

/// Reads `true`, `false`, or a list of networks. A single address is a network that contains only itself.
fn allow_private(section: &Section<'_>) -> AllowPrivate {
    let texts = match section.switch_or_texts("allow-private") {
        None | Some(Switch::Whole(false)) => return AllowPrivate::Nowhere,
        Some(Switch::Whole(true)) => return AllowPrivate::Everywhere,
        Some(Switch::Texts(texts)) => texts,
    };
    if texts.len() > MAX_NETWORKS {
        section.refuse(
            "allow-private",
            format!("{} networks are too many: at most {MAX_NETWORKS} are allowed", texts.len()),
        );
        return AllowPrivate::Nowhere;
    }
    let networks = texts.into_iter().filter_map(|(text, place)| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if network.is_none() {
            let message = format!("`{text}` is not a network such as `10.0.0.0/8`");
            section.refuse_at(place, message, "`true` allows all private addresses, `false` none");
        }
        network
    });
    AllowPrivate::In(networks.collect())
}

/// Reads the link template for trace ids.
pub(super) fn report(section: Section<'_>) -> Option<TraceUrl> {
    let trace_url = section.parse("trace-url", |text| {
        text.parse().map_err(|error| match error {
            // The message must not print the secret of a refused URL.
            TraceUrlError::Secret => error.to_string(),
            error => format!("`{}` {error}", text.escape_debug()),
        })
    });
    section.done();
    trace_url
}

/// Reads `"system"`, or a list of addresses with or without a port.
fn resolver(section: &Section<'_>) -> Resolver {
    let given = section.texts("resolver").unwrap_or_default();
    if let [(only, _)] = given.as_slice()
        && only == "system"
    {
        return Resolver::System;
    }
    if given.len() > MAX_RESOLVERS || section.is_empty_list("resolver") {
        section
            .refuse("resolver", format!("{} servers: list 1 to {MAX_RESOLVERS}, or write `\"system\"`", given.len()));
    }
    let servers = given.into_iter().filter_map(|(text, place)| {
        let with_default_port = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS_PORT));
        let server = text.parse::<SocketAddr>().ok().or_else(with_default_port);
        if server.is_none() {
            let message = format!("`{text}` is not the address of a name server, such as `1.1.1.1:53`");
            section.refuse_at(place, message, "or write `resolver = \"system\"`");
        }
        server
    });
    let servers: Vec<_> = servers.collect();
    if servers.is_empty() { Resolver::System } else { Resolver::Servers(servers) }
}

/// The certificates of both keys, joined.
fn extra_ca(section: &Section<'_>, input: &Input<'_>) -> Option<Arc<str>> {
    let of_file = database::certificates(section, "ca-file", input);
    match (of_file, database::inline_certificates(section, "ca")) {
        (Some(file), Some(inline)) => Some(format!("{file}\n{inline}").into()),
        (file, inline) => file.or(inline),
    }
}

/// The text becomes part of a comment in the `user-agent` header (RFC 9110 section 5.6.5), so it must not contain
/// parentheses.
fn contact(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '\\');
    if text.is_empty() || text.len() > MAX_CONTACT_CHARS || !text.chars().all(is_fit) {
        Err(format!(
            "`{}` is not a contact: use a URL or email address without spaces and parentheses",
            text.escape_debug()
        ))
    } else {
        Ok(text.to_owned())
    }
}
