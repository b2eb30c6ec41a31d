//! The integration tests: one binary, one file per topic.

mod architecture;
mod archive;
mod config;
mod dashboard;
mod deliver;
mod demo;
mod deploy;
mod discover;
mod docs;
mod fault;
mod fuzz;
mod influxd;
mod measure;
mod names;
mod net;
mod nginx;
mod pipeline;
mod probe;
mod process;
mod record;
mod report;
mod schedule;
mod skip;
mod status;
mod terminal;
mod tls;

/// The system's resolver, with threads for the few lookups of a test.
fn resolver() -> bandprobe::net::resolve::Resolver {
    bandprobe::worker::resolver::for_transfers(&bandprobe::config::Resolver::System, 8)
}

/// How many rounds a test of chance makes: few, or with `BANDPROBE_LONG_TESTS=1` as many as settle the matter.
fn rounds<T>(few: T, many: T) -> T {
    if std::env::var_os("BANDPROBE_LONG_TESTS").is_some_and(|long| long == "1") { many } else { few }
}
