//! The address guard: endpoints that strangers named must not make us dial into the network that we stand in.
//!
//! It is applied to the very address that is dialled, after the look-up, so there is no gap between check and use. Nodes,
//! databases and resolvers that the *user* named are exempt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not dialled for a stranger; `None` when it may be.
///
/// The ranges are those of the IANA special-purpose address registries (RFC 6890) that are not globally reachable, and
/// those that carry an IPv4 address inside an IPv6 one, judged by the address inside.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refusal_v4(v4),
        IpAddr::V6(v6) => refusal_v6(v6),
    }
}

/// May a stranger's endpoint use this port? 80, 443 and the unprivileged ones, so that nobody makes us knock on mail or
/// login servers.
#[must_use]
pub const fn allows_port(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..)
}

fn refusal_v4(v4: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = v4.octets();
    Some(match (a, b, c) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "carrier-grade NAT",
        (169, 254, _) => "link-local or cloud metadata",
        (192, 0, 0) | (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "reserved for protocols or documentation",
        (192, 88, 99) => "reserved (6to4 relay)",
        (198, 18 | 19, _) => "reserved for benchmarks",
        (224..=239, ..) => "multicast",
        (240.., ..) => "reserved or broadcast",
        _ => return None,
    })
}

fn refusal_v6(v6: Ipv6Addr) -> Option<&'static str> {
    let s = v6.segments();
    let low_v4 = || Ipv4Addr::from(u32::from(s[6]) << 16 | u32::from(s[7]));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        // IPv4-mapped, IPv4-compatible and NAT64 addresses lead to the IPv4 address in them
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => refusal_v4(low_v4()).or(Some("IPv4 in IPv6")),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => refusal_v4(low_v4()),
        [0x64, 0xff9b, 1, ..] => Some("local NAT64"),
        [0x100, 0, 0, 0, ..] => Some("discard-only"),
        [0x2001, 0..=0x1ff, ..] => Some("reserved for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("reserved for documentation"),
        [0x2002, a, b, ..] => refusal_v4(Ipv4Addr::from(u32::from(a) << 16 | u32::from(b))),
        [0x5f00, ..] => Some("segment routing"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_point_us_inwards() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.170",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "100::1",
            "2001::1",
            "fd00:ec2::254",
        ] {
            assert!(refusal(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "64:ff9b::8.8.8.8", "2a01:4f8::1", "2002:808:808::1"] {
            assert_eq!(refusal(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn ports_of_other_services_are_closed_to_strangers() {
        for (port, open) in [(80, true), (443, true), (8080, true), (22, false), (25, false), (0, false), (1023, false)]
        {
            assert_eq!(allows_port(port), open, "{port}");
        }
    }
}
