//! The address guard: endpoints from untrusted sources must not make bandprobe connect into its own network.
//!
//! The guard checks the very address that is dialled, after the lookup, so nothing can change between check and use.
//! Nodes, databases, registries and resolvers that the *user* configured are exempt.
//!
//! 6to4 addresses and those under NAT64's well-known prefix `64:ff9b::/96` contain an IPv4 address and lead to it, so
//! that address is checked. The NAT64 prefix is not refused as a whole: behind DNS64 (RFC 6147), a node without an IPv6
//! address has only such an address, and the gateway leads only to the IPv4 address in it. IPv4-mapped and
//! IPv4-compatible addresses are refused whatever they contain, because no legitimate name resolves to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::AllowPrivate;

/// Refuses internal addresses from untrusted sources, except where the user allows them.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    lifted: AllowPrivate,
}

impl Guard {
    /// A guard with these exceptions.
    #[must_use]
    pub const fn new(lifted: AllowPrivate) -> Self {
        Self { lifted }
    }

    /// Why an address from an untrusted source is not dialled. `None` when it is allowed.
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let is_lifted = match &self.lifted {
            AllowPrivate::Nowhere => false,
            AllowPrivate::Everywhere => true,
            AllowPrivate::In(networks) => networks.iter().any(|network| network.contains(&address)),
        };
        if is_lifted { None } else { refusal(address) }
    }

    /// Whether a port is closed to untrusted sources. All are, except 80, 443 and the unprivileged ones, so that
    /// bandprobe cannot be made to connect to mail or login servers. Exceptions for single networks do not apply here:
    /// before the lookup it is not known which network it will be.
    #[must_use]
    pub fn refuses_port(&self, port: u16) -> bool {
        self.lifted != AllowPrivate::Everywhere && !matches!(port, 80 | 443 | 1024..)
    }
}

/// Why an address is not dialled for an untrusted source. `None` when it is allowed.
///
/// The ranges are those of the IANA special-purpose address registries (RFC 6890) that are not globally reachable,
/// those that contain an IPv4 address in an IPv6 one, and the one cloud metadata server whose address is outside of
/// them.
fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refusal_v4(v4),
        IpAddr::V6(v6) => refusal_v6(v6),
    }
}

fn refusal_v4(v4: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = v4.octets();
    if v4 == AZURE_WIRE_SERVER {
        return Some("cloud metadata");
    }
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
        // IPv4-mapped (RFC 4291 §2.5.5), IPv4-compatible, IPv4-translated (RFC 2765)
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => refusal_v4(low_v4()).or(Some("IPv4 in IPv6")),
        // NAT64's well-known prefix (RFC 6052 §2.1)
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => refusal_v4(low_v4()),
        [0x64, 0xff9b, 1, ..] => Some("local NAT64"),
        [0x100, 0, 0, 0, ..] => Some("discard-only"),
        [0x2001, 0..=0x1ff, ..] => Some("reserved for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("reserved for documentation"),
        // 6to4 (RFC 3056)
        [0x2002, a, b, ..] => refusal_v4(Ipv4Addr::from(u32::from(a) << 16 | u32::from(b))),
        [0x5f00, ..] => Some("segment routing"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        _ => None,
    }
}

/// A public address that Azure routes to the machine's own host:
/// <https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_endpoints_cannot_reach_private_addresses() {
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
            "100.100.100.200",
            "168.63.129.16",
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
            assert!(Guard::default().refuses(address.parse().unwrap()).is_some(), "{address}");
            assert_eq!(Guard::new(AllowPrivate::Everywhere).refuses(address.parse().unwrap()), None, "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "64:ff9b::8.8.8.8", "2a01:4f8::1", "2002:808:808::1"] {
            assert_eq!(Guard::default().refuses(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn untrusted_endpoints_cannot_use_ports_of_other_services() {
        for (port, open) in [(80, true), (443, true), (8080, true), (22, false), (25, false), (0, false), (1023, false)]
        {
            assert_eq!(!Guard::default().refuses_port(port), open, "{port}");
            assert!(!Guard::new(AllowPrivate::Everywhere).refuses_port(port), "{port}");
        }
    }

    #[test]
    fn allowing_one_network_allows_no_other() {
        let networks = ["127.0.0.1/32", "10.0.0.0/8", "fd00:1::/32"].map(|text| text.parse().unwrap());
        let guard = Guard::new(AllowPrivate::In(networks.to_vec()));
        for (address, open) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.255.0.1", true),
            ("192.168.0.1", false),
            ("169.254.169.254", false),
            ("fd00:1::7", true),
            ("fd00:2::7", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(guard.refuses(address.parse().unwrap()).is_none(), open, "{address}");
        }
        assert!(guard.refuses_port(22));
    }
}
