//! Files that the user names: the only place that reads them.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path};

use crate::config::{
    Config,
    check::{Input, load},
    problem::Problems,
};

/// Loads a config with the process's environment over it.
pub(super) fn config(path: &Path) -> Result<Config, Problems> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    load(&Input { path, environment: &environment, read: &read })
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
