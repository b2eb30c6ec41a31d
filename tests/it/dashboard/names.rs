//! The names in the queries are those of the schema and the model.

use std::collections::BTreeSet;

use bandprobe::{
    model::{flag::Flag, outcome::Outcome, probe::PartName, sample::ConnectionKind, target::AssetKind},
    record::schema,
};

use super::file::{dashboard, queries};

/// A query without its regular expressions, and these; string literals come with their quotes.
fn split(query: &str) -> (String, Vec<String>) {
    let (mut plain, mut expressions) = (String::new(), Vec::new());
    let mut rest = query;
    while let Some(at) = ["=~ /", "!~ /"].iter().filter_map(|operator| rest.find(operator)).min() {
        let (expression, after) = rest[at + 4..].split_once('/').unwrap();
        plain.push_str(&rest[..at]);
        expressions.push(expression.to_owned());
        rest = after;
    }
    (plain + rest, expressions)
}

/// Words outside of quotes, and the quoted texts.
fn words(plain: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut bare, mut quoted) = (BTreeSet::new(), BTreeSet::new());
    for (index, part) in plain.split('\'').enumerate() {
        if index % 2 == 1 {
            quoted.insert(part.to_owned());
            continue;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let all = part.split(|c| !is_word(c)).filter(|word| word.contains(|c: char| c.is_ascii_alphabetic()));
        bare.extend(all.map(str::to_owned));
    }
    (bare, quoted)
}

#[test]
fn names_are_those_of_the_schema() {
    let quotable: BTreeSet<&str> = [AssetKind::Image.label(), AssetKind::Video.label(), "hit", "unknown"]
        .into_iter()
        .chain(PartName::ALL.map(PartName::label))
        .chain([ConnectionKind::Cold.label(), ConnectionKind::Warm.label(), Outcome::Ok.label()])
        .collect();
    for query in queries(&dashboard()) {
        let (plain, _) = split(&query.text);
        let measurements: Vec<_> = schema::ALL.iter().filter(|one| plain.contains(one.name)).collect();
        // A node may be asked for its state and never for an asset: the choice of nodes has both.
        let (&measurement, others) = measurements.split_first().unwrap();
        assert!(others.is_empty() || query.of == "$node", "{}: one measurement a query: {plain}", query.of);
        let (bare, quoted) = words(&plain);
        let aliases: BTreeSet<String> =
            plain.split(" AS ").skip(1).map(|rest| rest.split([',', ' ', ')']).next().unwrap().to_owned()).collect();
        let time = |word: &str| word.strip_suffix(['s', 'm', 'd']).is_some_and(|n| n.parse::<u32>().is_ok());
        let known = |word: &String| {
            let name = word.as_str();
            aliases.contains(word)
                || measurements.iter().any(|measurement| name == measurement.name)
                || measurement.tags.iter().any(|tag| tag.0 == name)
                || measurement.fields.iter().any(|field| field.name == name)
                || LANGUAGE.contains(&name.to_ascii_lowercase().as_str())
                || time(name)
        };
        let unknown: Vec<_> = bare.iter().filter(|word| !known(word)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} in {plain}", query.of);
        let unknown: Vec<_> = quoted.iter().filter(|word| !quotable.contains(word.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} in {plain}", query.of);
    }
}

#[test]
fn what_is_not_charged_is_what_the_report_does_not_charge() {
    let labels: Vec<_> = Outcome::ALL.iter().filter(|outcome| !outcome.is_charged()).map(|o| o.label()).collect();
    let ours = format!("^({})$", labels.join("|"));
    let flagged = |flag: &Flag| format!("(^|,){}(,|$)", flag.label());
    let excuses: Vec<_> = Flag::ALL.iter().filter(|flag| flag.excuses()).map(|flag| flag.label()).collect();
    let suspect = format!("(^|,)({})(,|$)", excuses.join("|"));
    let doubted = Flag::ALL.iter().filter(|flag| flag.invalidates() && **flag != Flag::VantageSuspect);
    // Not doubted, but a lower bound.
    let doubts: BTreeSet<String> = doubted.chain(&[Flag::ReceiverLimited, Flag::UplinkLimited]).map(flagged).collect();
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    for query in queries(&dashboard()) {
        let (_, expressions) = split(&query.text);
        for expression in expressions.into_iter().filter(|expression| !expression.contains("${")) {
            if query.of.starts_with("Rate flags/") {
                told.insert(expression);
                continue;
            }
            assert!([&ours, &suspect].contains(&&expression), "{}: {expression}", query.of);
            seen.insert(expression);
        }
    }
    assert_eq!(seen, BTreeSet::from([ours, suspect]));
    assert_eq!(told, doubts, "each flag that takes a rate out, and the lower bounds");
}

#[test]
fn states_of_connection_and_cache_are_never_mixed() {
    for query in queries(&dashboard()) {
        let timed =
            ["ttfb_us", "wait_us", "server_us", "rtt_us", "total_us"].iter().any(|name| query.text.contains(name));
        if timed {
            let conns = ["conn = 'cold'", "conn = 'warm'"].iter().filter(|conn| query.text.contains(**conn)).count();
            assert_eq!(conns, 1, "{}", query.of);
        }
        if timed || query.text.contains("goodput_bps") {
            assert!(query.text.contains("(cache = 'hit' OR cache = 'unknown')"), "{}", query.of);
        }
    }
}

/// What InfluxQL and Grafana themselves say here, in lower case.
const LANGUAGE: [&str; 33] = [
    "select",
    "from",
    "where",
    "and",
    "or",
    "as",
    "group",
    "by",
    "time",
    "fill",
    "none",
    "null",
    "now",
    "ms",
    "raw",
    "__from",
    "__to",
    "show",
    "tag",
    "values",
    "with",
    "key",
    "false",
    "mean",
    "sum",
    "count",
    "min",
    "max",
    "last",
    "percentile",
    "non_negative_derivative",
    "timefilter",
    "__interval",
];
