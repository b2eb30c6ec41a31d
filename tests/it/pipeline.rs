//! The whole pipeline, end to end: demo nodes, the binary, a real InfluxDB.

mod budget;
mod clock;
mod delivery;
mod descriptors;
mod full;
mod isolated;
mod killed;
mod outage;
mod proxy;
mod slow_disk;
mod stopped;
mod strangers;
mod threads;
mod vanished;

use std::collections::BTreeSet;

use crate::process::{World, points};

/// The trace ids in a text: of requests, and of the log lines about them.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let marked = text.split("traceparent: 00-").skip(1).chain(text.split("trace_id=\"").skip(1));
    marked.filter_map(|rest| rest.get(..32)).map(str::to_owned)
}

/// The trace ids in the archive. None is duplicated.
fn archived_ids(world: &World) -> BTreeSet<String> {
    let there = points(&world.archive()).into_iter().filter_map(|(_, _, mut fields, _)| fields.remove("trace_id"));
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    for id in there {
        ids.insert(id.trim_matches('"').to_owned());
        count += 1;
    }
    assert_eq!(ids.len(), count, "none is duplicated");
    ids
}
