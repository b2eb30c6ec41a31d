//! InfluxQL for the slowest and the last failed transfer of each node: one row per node and statement, however long
//! the period is.

use jiff::Timestamp;

use super::{columns, identifier, within};
use crate::{
    model::{flag::Flag, outcome::Outcome, probe::PartName, sample::CacheState},
    record::{
        schema::{Field, Tag, transfer as schema},
        transfer_point::{FIELDS, IDS, TAGS},
    },
};

/// The statements. [`parse`](super::parse) reads their answers like a page of transfers.
#[must_use]
pub fn query(since: Timestamp, until: Timestamp) -> String {
    let (cache, outcome) = (identifier(schema::CACHE.0), identifier(schema::OUTCOME.0));
    let held = [CacheState::Hit, CacheState::Unknown].map(|state| format!("{cache} = '{}'", state.label()));
    let too_slow = flagged(&[Flag::TooSlow.label()]);
    let good = format!(
        "{outcome} = '{}' AND {} != '{}' AND ({}) AND ({too_slow}) = false",
        Outcome::Ok.label(),
        identifier(schema::PART.0),
        PartName::Check.label(),
        held.join(" OR "),
    );
    let others = Outcome::ALL.iter().filter(|outcome| outcome.is_ok() || !outcome.is_charged());
    let others: Vec<_> = others.map(|outcome| outcome.label()).collect();
    let excuses: Vec<_> = Flag::ALL.iter().filter(|flag| flag.excuses()).map(|flag| flag.label()).collect();
    // A point without flags does not match any of them.
    let failed = format!(
        "({outcome} !~ /^({})$/ OR ({outcome} = '{}' AND {too_slow})) AND ({}) = false",
        others.join("|"),
        Outcome::Ok.label(),
        flagged(&excuses),
    );
    let time = within(since, until);
    format!("{}; {}", statement("max", schema::TTFB, &good, &time), statement("last", schema::OK, &failed, &time))
}

/// The condition that a point has at least one of these flags.
fn flagged(flags: &[&str]) -> String {
    format!("{} =~ /(^|,)({})(,|$)/", identifier(schema::FLAGS.name), flags.join("|"))
}

/// A statement whose selector picks one point of each node. The other columns are from the same point.
fn statement(selector: &str, field: Field, kept: &str, time: &str) -> String {
    let fields: Vec<Field> = FIELDS.into_iter().chain(IDS).filter(|other| *other != field).collect();
    let tags: Vec<Tag> = TAGS.into_iter().chain([schema::PROBE]).collect();
    let name = identifier(field.name);
    format!(
        "SELECT {selector}({name}) AS {name}, {} FROM {} WHERE {time} AND {kept} GROUP BY {}",
        columns(&fields, &tags).collect::<Vec<_>>().join(", "),
        identifier(schema::MEASUREMENT.name),
        identifier(schema::NODE.0),
    )
}
