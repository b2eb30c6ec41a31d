//! Names to addresses, without a cache, and the choice of the one address that is dialled.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    pin::{Pin, pin},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RecordType,
};
use tokio::time::timeout;

use crate::{
    config::{FamilyChoice, Resolver as ResolverChoice},
    model::phase::Phase,
};

use super::failure::{Cause, Failure};

/// Looks names up: the system's servers and hosts file, or given servers; no cache.
#[derive(Clone, Debug)]
pub struct Resolver {
    resolver: TokioResolver,
    family: FamilyChoice,
}

impl Resolver {
    /// # Errors
    /// When the system's resolver configuration cannot be read.
    pub fn new(choice: &ResolverChoice, family: FamilyChoice) -> Result<Self, NetError> {
        let mut builder = match choice {
            ResolverChoice::System => TokioResolver::builder_tokio()?,
            ResolverChoice::Servers(servers) => {
                let servers = servers.iter().map(server).collect();
                let config = ResolverConfig::from_parts(None, vec![], servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        // One attempt: a retry hidden in the phase would read as a slow resolver. The phase has a deadline of its own. (What
        // hickory does resend is a datagram without an answer, as TCP does with a SYN.)
        options.attempts = 0;
        options.timeout = LONGER_THAN_ANY_DEADLINE;
        Ok(Self { resolver: builder.build()?, family })
    }

    /// The addresses of a name, of the wanted family. Where both are wanted, of one alone when the question for the other is
    /// not answered within [`RESOLUTION_DELAY`] of its answer.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        // A name with a dot is meant as it stands: search domains would ask further questions inside the phase.
        let name = if host.contains('.') && !host.ends_with('.') { format!("{host}.") } else { host.to_owned() };
        let found = match self.family {
            FamilyChoice::Any => both(self.ask(&name, RecordType::A), self.ask(&name, RecordType::AAAA)).await,
            FamilyChoice::V4 => self.ask(&name, RecordType::A).await,
            FamilyChoice::V6 => self.ask(&name, RecordType::AAAA).await,
        };
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Err(error) if rank(&error) > NO_RECORD => Err(Cause::Dns(error).during(Phase::Dns)),
            Ok(_) | Err(_) => Err(Cause::NoAddress(host.to_owned()).during(Phase::Dns)),
        }
    }

    /// One question, to the hosts file first.
    async fn ask(&self, name: &str, kind: RecordType) -> Found {
        let lookup = self.resolver.lookup(name, kind).await?;
        Ok(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
    }

    /// The addresses of a literal, when it is of the wanted family.
    pub(super) fn literal(&self, address: IpAddr) -> Result<Vec<IpAddr>, Failure> {
        let wanted = match self.family {
            FamilyChoice::Any => true,
            FamilyChoice::V4 => address.is_ipv4(),
            FamilyChoice::V6 => address.is_ipv6(),
        };
        if wanted { Ok(vec![address]) } else { Err(Cause::NoAddress(address.to_string()).during(Phase::Dns)) }
    }
}

type Found = Result<Vec<IpAddr>, NetError>;

/// Both questions side by side (RFC 8305 §3): an answer with an address waits a little for the other one, since that may
/// bring the address to prefer; an answer without one leaves everything to the other. So does "no such name": some servers say it
/// of one family where they have the other (RFC 4074 §4.2).
async fn both(v4: impl Future<Output = Found> + Send, v6: impl Future<Output = Found> + Send) -> Found {
    let (mut v4, mut v6) = (pin!(v4), pin!(v6));
    let (first, other): (_, Pin<&mut (dyn Future<Output = Found> + Send)>) = tokio::select! {
        found = &mut v4 => (found, v6),
        found = &mut v6 => (found, v4),
    };
    if !first.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
        return combined(first, other.await);
    }
    match timeout(RESOLUTION_DELAY, other).await {
        Ok(second) => combined(first, second),
        Err(_) => first,
    }
}

/// What two answers say of a name: every address, those of IPv4 first; without any, what says the most of the name.
fn combined(one: Found, other: Found) -> Found {
    match (one, other) {
        (Ok(mut addresses), Ok(others)) => {
            addresses.extend(others);
            addresses.sort_by_key(IpAddr::is_ipv6);
            Ok(addresses)
        }
        (Ok(addresses), Err(error)) | (Err(error), Ok(addresses)) => {
            if addresses.is_empty() {
                Err(error)
            } else {
                Ok(addresses)
            }
        }
        (Err(one), Err(other)) => Err(if rank(&one) < rank(&other) { other } else { one }),
    }
}

/// How much an error says: that there is no such name is meant for both families (RFC 8020); a failure may hide an address;
/// that there is no record of one family says nothing of the other.
fn rank(error: &NetError) -> u8 {
    if error.is_nx_domain() {
        2
    } else if error.is_no_records_found() {
        NO_RECORD
    } else {
        1
    }
}

/// The one address to dial: the best of those that this host has a route to.
///
/// The rules of RFC 6724 §6 that tell destinations apart on a host: 1 (avoid the unusable), 2 (prefer matching scope),
/// 5 (prefer matching label) and 6 (prefer higher precedence), 10 (leave the order). `source_for` tells which address
/// would be the source towards a destination, `None` without a route.
#[must_use]
pub fn preferred(candidates: &[IpAddr], source_for: impl Fn(IpAddr) -> Option<IpAddr>) -> Option<IpAddr> {
    candidates
        .iter()
        .filter_map(|&destination| Some((destination, source_for(destination)?)))
        .min_by_key(|&(destination, source)| {
            let (precedence, label) = policy(destination);
            (scope(destination) != scope(source), label != policy(source).1, u8::MAX - precedence)
        })
        .map(|(destination, _)| destination)
}

/// Which of our addresses the kernel would use towards a destination. Connecting a UDP socket asks its routing table and
/// sends nothing.
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

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}

/// Precedence and label of an address: the default policy table of RFC 6724 §2.1.
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

/// Scope by RFC 4291 §2.7 and RFC 6724 §3.2: loopback and link-local are 2, everything else global.
fn scope(address: IpAddr) -> u8 {
    let local = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    if local { 2 } else { 14 }
}

/// How long the addresses of one family wait for those of the other: the value that RFC 8305 §8 recommends.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// The rank of an answer that has no record of the wanted family.
const NO_RECORD: u8 = 0;
const LONGER_THAN_ANY_DEADLINE: Duration = Duration::from_secs(3_600);
/// Any port does, nothing is sent to it (RFC 863).
const DISCARD_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_address_is_that_of_rfc_6724() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let global6 = ("2001:db8::1", "2001:db8:1::2");
        let v4 = ("198.51.100.1", "10.0.0.2");
        let behind_ula = ("2001:db8::1", "fd00::2");
        let no_route6 = ("2001:db8::1", "");
        for (routes, wanted) in [
            (&[v4, global6][..], Some("2001:db8::1")),
            (&[v4, behind_ula], Some("198.51.100.1")),
            (&[v4, no_route6], Some("198.51.100.1")),
            (&[no_route6], None),
            (&[("127.0.0.1", "127.0.0.1"), ("::1", "::1")], Some("::1")),
        ] {
            let candidates: Vec<_> = routes.iter().map(|(destination, _)| ip(destination)).collect();
            let source_for = |destination: IpAddr| {
                let (_, source) = routes.iter().find(|(d, _)| ip(d) == destination)?;
                source.parse().ok()
            };
            assert_eq!(preferred(&candidates, source_for), wanted.map(ip), "{routes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_with_an_address_waits_a_little_for_the_other() {
        let v4: IpAddr = [127, 0, 0, 1].into();
        let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
        let [with4, with6] = [v4, v6].map(|address| Some(vec![address]));
        let empty = Some(vec![]);
        // What comes of each question (`None`: a failure) after so many ms, what is known then, and when.
        for (one, other, known, after) in [
            ((&with4, 20), (&with6, 20), Some(vec![v4, v6]), 20),
            ((&with4, 20), (&with6, 69), Some(vec![v4, v6]), 69),
            ((&with4, 69), (&with6, 20), Some(vec![v4, v6]), 69),
            ((&with4, 20), (&with6, 71), Some(vec![v4]), 70),
            ((&with4, 900), (&with6, 20), Some(vec![v6]), 70),
            ((&with4, 20), (&None, 900), Some(vec![v4]), 70),
            ((&with4, 20), (&None, 30), Some(vec![v4]), 30),
            ((&None, 20), (&with6, 900), Some(vec![v6]), 900),
            ((&empty, 20), (&with6, 900), Some(vec![v6]), 900),
            ((&with4, 900), (&empty, 20), Some(vec![v4]), 900),
            ((&empty, 20), (&None, 900), None, 900),
            ((&None, 20), (&empty, 900), None, 900),
            ((&empty, 20), (&empty, 30), Some(vec![]), 30),
        ] {
            let question = async |(answer, after): (&Option<Vec<IpAddr>>, u64)| {
                tokio::time::sleep(Duration::from_millis(after)).await;
                answer.clone().ok_or(NetError::from("it failed"))
            };
            let began = tokio::time::Instant::now();
            let found = both(question(one), question(other)).await;
            assert_eq!((found.ok(), began.elapsed()), (known, Duration::from_millis(after)), "{one:?} {other:?}");
        }
    }

    #[test]
    fn this_host_has_a_route_to_itself() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(source_address(loopback), Some(loopback));
    }
}
