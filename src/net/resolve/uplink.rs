//! Whether this machine can reach a name server at all. glibc reports "temporary failure" both when a server fails and
//! when the machine has no network, and only the first is charged to the node.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
};

use super::preference::source_address;

/// Why no name server of the system can be reached. `None` if one can be, according to the routing table.
pub(super) fn missing() -> Option<String> {
    let configured = servers(&fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    let is_stub = !configured.is_empty() && configured.iter().all(|server| STUBS.contains(server));
    // systemd-resolved is always reachable. The servers that it asks are in its own file, which has the same format.
    let upstream = if is_stub { fs::read_to_string(RESOLVED_CONF).ok() } else { None };
    let (servers, file) = match upstream {
        Some(text) => (servers(&text), RESOLVED_CONF),
        None => (configured, RESOLV_CONF),
    };
    unreachable(&servers, file, source_address)
}

fn unreachable(servers: &[IpAddr], file: &str, source_for: impl Fn(IpAddr) -> Option<IpAddr>) -> Option<String> {
    let [first, ..] = servers else { return Some(format!("no name server is configured in {file}")) };
    let any = servers.iter().any(|&server| source_for(server).is_some());
    (!any).then(|| format!("this host has no route to a name server ({first})"))
}

/// The name servers in a resolv.conf(5) that glibc uses.
fn servers(text: &str) -> Vec<IpAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_server = words.next() == Some("nameserver");
        // A zone index after `%` names the interface of a link-local address.
        let address = words.next().filter(|_| is_server)?.split('%').next()?;
        address.parse().ok()
    });
    named.take(MAX_SERVERS).collect()
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// The addresses on which systemd-resolved listens.
const STUBS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
/// MAXNS of resolv.conf(5).
const MAX_SERVERS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_route_to_its_name_servers_is_noticed() {
        let loopback = |address: IpAddr| address.is_loopback().then_some(address);
        for (text, expected) in [
            ("", Some("no name server is configured in FILE")),
            ("# nameserver 127.0.0.1\nsearch lab\nnameserver nonsense\n", Some("no name server is configured in FILE")),
            ("nameserver 10.9.9.9\n", Some("this host has no route to a name server (10.9.9.9)")),
            ("nameserver 10.9.9.9\nnameserver 127.0.0.1\n", None),
            ("nameserver\t::1 # local\n", None),
            ("nameserver fe80::1%eth0\n", Some("this host has no route to a name server (fe80::1)")),
            // glibc never asks the fourth.
            (
                "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 127.0.0.1\n",
                Some("this host has no route to a name server (10.0.0.1)"),
            ),
        ] {
            assert_eq!(unreachable(&servers(text), "FILE", loopback).as_deref(), expected, "{text:?}");
        }
    }
}
