//! Reads configs and other small files that the user names.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path};

use crate::{
    config::{
        Config,
        check::{Input, load},
        file::MAX_CONFIG_BYTES,
        problem::{Problem, Problems, SourceLocation},
    },
    deliver::influx::Influx,
    net::tls::Tls,
    worker::{Reread, resolver},
};

/// Loads a config, with the environment variables of the process over it.
pub(super) fn config(path: &Path) -> Result<Config, Problems> {
    let (environment, unreadable) = environment();
    let loaded = load(&Input { path, environment: &environment, read: &read });
    let place = |key: &str| SourceLocation { origin: path.display().to_string(), line: None, key: key.to_owned() };
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

/// The environment variables of the process, and a problem for each bandprobe variable that is not valid UTF-8. The
/// problem does not show the value, which may be a secret.
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
                    place: SourceLocation { origin: shown, line: None, key: String::new() },
                    message: format!("{what} is not valid UTF-8"),
                    hint: None,
                });
            }
            _ => {}
        }
    }
    (environment, problems)
}

/// A function that reads `[influxdb]` from the config again, for a worker whose database does not accept its points.
pub(super) fn reread(path: &Path) -> Reread {
    let path = path.to_owned();
    Box::new(move || config(&path).map(|config| config.influxdb))
}

/// Settings that parse but cannot be used: keys with the reason. Only the modules that use them can detect this.
fn unusable(config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(pem) = &config.network.extra_ca
        && let Err(error) = Tls::new(config.network.http, Some(pem))
    {
        found.push(("network.ca-file, network.ca", error.to_string()));
    }
    if let Some(Err(error)) =
        config.influxdb.as_ref().map(|database| Influx::new(database, &resolver::for_config(config)))
    {
        found.push(("influxdb", error.to_string()));
    }
    found
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("larger than {} MiB: is this the right file?", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// More than the limit for a config, so that a config that is a little too large fails its own check, with its own
/// message.
const MAX_FILE: u64 = 2 * MAX_CONFIG_BYTES as u64;
/// The prefix of all environment variables of bandprobe.
const PREFIX: &str = "BANDPROBE_";
