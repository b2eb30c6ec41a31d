//! Files that the user names: the only place that reads them.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path};

use crate::{
    config::{
        Config,
        check::{Input, load},
        file::MAX_CONFIG_BYTES,
        problem::{Place, Problem, Problems},
    },
    deliver::influx::Influx,
    net::tls::Tls,
    worker::{Reread, lookups},
};

/// Loads a config with the process's environment over it.
pub(super) fn config(path: &Path) -> Result<Config, Problems> {
    let (environment, unreadable) = environment();
    let loaded = load(&Input { path, environment: &environment, read: &read });
    let place = |key: &str| Place { origin: path.display().to_string(), line: None, key: key.to_owned() };
    let problem = |(key, message)| Problem { place: place(key), message, hint: None };
    let (config, mut problems) = match loaded {
        Ok(config) => {
            let problems = unusable(&config).into_iter().map(problem).collect();
            (Some(config), problems)
        }
        Err(Problems(problems)) => (None, problems),
    };
    problems.extend(unreadable);
    config.filter(|_| problems.is_empty()).ok_or(Problems(problems))
}

/// The variables of the process, and a problem for each of bandprobe's that is not text; its value may be a secret.
fn environment() -> (BTreeMap<String, String>, Vec<Problem>) {
    let (mut environment, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, value) in std::env::vars_os() {
        let shown = name.to_string_lossy().escape_debug().to_string();
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                environment.insert(name, value);
            }
            (name, _) if shown.starts_with(PREFIX) => {
                let what = if name.is_ok() { "its value" } else { "its name" };
                problems.push(Problem {
                    place: Place { origin: shown, line: None, key: String::new() },
                    message: format!("{what} is not valid UTF-8"),
                    hint: None,
                });
            }
            _ => {}
        }
    }
    (environment, problems)
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
        let message = format!("larger than {} MiB: is this the right file?", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// More than a config may have, so that a config that is a little too large is refused in the words of its own check.
const MAX_FILE: u64 = 2 * MAX_CONFIG_BYTES as u64;
/// The prefix of all variables of bandprobe.
const PREFIX: &str = "BANDPROBE_";
