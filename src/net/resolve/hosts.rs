//! The hosts file, for lookups through a list of servers: as in the system's own lookups, no server is asked for a name
//! in it.

use std::{
    collections::HashMap,
    fs,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// The file as last read. It is read again when its modification time changes.
#[derive(Debug, Default)]
pub(super) struct HostsFile(Mutex<(Option<SystemTime>, Arc<Names>)>);

/// Addresses by lower-case name, in the order of the file.
type Names = HashMap<String, Vec<IpAddr>>;

impl HostsFile {
    /// The addresses of a name in the file; empty if the name is not in it.
    pub(super) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.current().get(&name).cloned().unwrap_or_default()
    }

    fn current(&self) -> Arc<Names> {
        let changed = fs::metadata(PATH).and_then(|file| file.modified()).ok();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if changed != last.0 {
            let text = fs::read(PATH).unwrap_or_default();
            *last = (changed, Arc::new(names(&String::from_utf8_lossy(&text))));
        }
        last.1.clone()
    }
}

/// Parses a hosts(5) file. Lines without an address and a name are ignored.
fn names(text: &str) -> Names {
    let mut names = Names::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        for name in words {
            let addresses = names.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    names
}

const PATH: &str = "/etc/hosts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read_as_hosts_5_says() {
        let names =
            names("127.0.0.1\tlocalhost a_b.Lab # c\n# 1.1.1.1 d\n::1 localhost\nx y\n127.0.0.1 localhost\n9.9.9.9\n");
        let found = |name: &str| names.get(name).map(|found| found.iter().map(IpAddr::to_string).collect::<Vec<_>>());
        assert_eq!(found("localhost").unwrap(), ["127.0.0.1", "::1"]);
        assert_eq!(found("a_b.lab").unwrap(), ["127.0.0.1"]);
        assert_eq!((found("c"), found("d"), found("y"), names.len()), (None, None, None, 2));
    }
}
