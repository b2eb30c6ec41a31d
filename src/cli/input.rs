//! Files that the user names: the only place that reads them.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path};

use crate::{
    config::{
        Config,
        check::{Input, load},
        problem::{Place, Problem, Problems},
    },
    deliver::influx::Influx,
    net::tls::Tls,
    worker::{Reread, lookups},
};

/// Loads a config with the process's environment over it.
pub(super) fn config(path: &Path) -> Result<Config, Problems> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let config = load(&Input { path, environment: &environment, read: &read })?;
    let place = |key: &str| Place { origin: path.display().to_string(), line: None, key: key.to_owned() };
    let problem = |(key, message)| Problem { place: place(key), message, hint: None };
    let problems: Vec<Problem> = unusable(&config).into_iter().map(problem).collect();
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

/// Reads `[influxdb]` of the config again and again, for a worker whose database does not take its points.
pub(super) fn reread(path: &Path) -> Reread {
    let path = path.to_owned();
    Box::new(move || config(&path).map(|config| config.influxdb))
}

/// What reads well but cannot be used: keys with the reason. Only those who use it can tell.
fn unusable(config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(pem) = &config.network.extra_ca
        && let Err(error) = Tls::new(config.network.http, Some(pem))
    {
        found.push(("network.ca-file, network.ca", error.to_string()));
    }
    if let Some(Err(error)) = config.influxdb.as_ref().map(|database| Influx::new(database, &lookups::resolver(config)))
    {
        found.push(("influxdb", error.to_string()));
    }
    found
}

/// Reads a file of a sensible size.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

const MAX_FILE: u64 = 4 << 20;
