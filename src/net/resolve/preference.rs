//! The order of a name's addresses by RFC 6724, and which of them this machine has a route to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

/// Sorts addresses, the best one first, those without a route last.
///
/// Applies the rules of RFC 6724 §6 that distinguish destinations on one machine: 1 (avoid unusable destinations), 2
/// (prefer matching scope), 5 (prefer matching label), 6 (prefer higher precedence), 10 (otherwise keep the order).
/// `source_for` returns the source address towards a destination, `None` without a route.
pub(super) fn sort(addresses: &mut [IpAddr], source_for: impl Fn(IpAddr) -> Option<IpAddr>) {
    addresses.sort_by_cached_key(|&destination| {
        let (precedence, label) = policy(destination);
        source_for(destination).map_or((true, true, true, 0), |source| {
            (false, scope(destination) != scope(source), label != policy(source).1, u8::MAX - precedence)
        })
    });
}

/// The source address that the kernel would use towards a destination; `None` without a route. Connecting a UDP socket
/// consults the routing table and sends nothing.
#[must_use]
pub fn source_address(destination: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match destination {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((destination, DISCARD_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Precedence and label of an address in the default policy table of RFC 6724 §2.1.
fn policy(address: IpAddr) -> (u8, u8) {
    let IpAddr::V6(v6) = address else { return (35, 4) };
    let [a, b, ..] = v6.segments();
    match (a, b) {
        _ if v6.is_loopback() => (50, 0),
        _ if v6.to_ipv4_mapped().is_some() => (35, 4),
        (0x2002, _) => (30, 2),
        (0x2001, 0) => (5, 5),
        (0xfc00..=0xfdff, _) => (3, 13),
        _ => (40, 1),
    }
}

/// Scope by RFC 4291 §2.7 and RFC 6724 §3.2: 2 for loopback and link-local, 14 (global) for everything else.
fn scope(address: IpAddr) -> u8 {
    let local = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    if local { 2 } else { 14 }
}

/// Any port works, because nothing is sent to it (RFC 863).
const DISCARD_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_by_rfc_6724() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let global6 = ("2001:db8::1", "2001:db8:1::2");
        let v4 = ("198.51.100.1", "10.0.0.2");
        let behind_ula = ("2001:db8::1", "fd00::2");
        let no_route6 = ("2001:db8::1", "");
        let second4 = ("198.51.100.2", "10.0.0.2");
        for (routes, first) in [
            (&[v4, global6][..], "2001:db8::1"),
            (&[v4, behind_ula], "198.51.100.1"),
            (&[v4, no_route6], "198.51.100.1"),
            (&[no_route6, v4], "198.51.100.1"),
            (&[second4, v4], "198.51.100.2"),
            (&[("127.0.0.1", "127.0.0.1"), ("::1", "::1")], "::1"),
        ] {
            let mut addresses: Vec<_> = routes.iter().map(|(destination, _)| ip(destination)).collect();
            let source_for = |destination: IpAddr| {
                let (_, source) = routes.iter().find(|(d, _)| ip(d) == destination)?;
                source.parse().ok()
            };
            sort(&mut addresses, source_for);
            assert_eq!(addresses[0], ip(first), "{routes:?}");
        }
    }

    #[test]
    fn this_host_has_a_route_to_itself() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(source_address(loopback), Some(loopback));
    }
}
