//! A lookup through the servers of `network.resolver`: one at a time, in their order.
//!
//! When a server refuses, fails, does not answer or has a closed port, the next one is asked. The answer that a name
//! does not exist is final. A server that does not understand EDNS (RFC 6891 §7), or drops such questions, is asked
//! again without it. The remaining time is divided evenly among the remaining attempts. Nothing is remembered between
//! lookups, so that each one takes its real time.

use std::{
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    time::Duration,
};

use hickory_resolver::{
    Resolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig, ServerOrderingStrategy},
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
};
use tokio::time::{Instant, timeout};

use crate::{config::FamilyChoice, net::run_clock::RunClock};

use super::{
    LookupError,
    hosts::HostsFile,
    preference::{sort, source_address},
    provider::Sockets,
};

/// The servers, in the user's order.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Vec<SocketAddr>,
    hosts: HostsFile,
}

/// A question to one server, or two at once: one for each family.
struct NameQuestion<'a> {
    name: &'a Name,
    family: FamilyChoice,
    server: SocketAddr,
    /// Whether to use EDNS (RFC 6891), with which long answers fit into a datagram.
    edns: bool,
}

/// The time for all attempts of a lookup. Only time in which this process runs counts.
struct LookupTime<'a> {
    clock: &'a RunClock,
    began: Instant,
    limit: Duration,
}

/// The addresses of an answer. An empty list is an answer too.
type LookupResult = Result<Vec<IpAddr>, NetError>;

impl Servers {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, hosts: HostsFile::default() }
    }

    /// The addresses of a name, the best one first.
    pub(super) async fn look_up(
        &self,
        host: &str,
        family: FamilyChoice,
        limit: Duration,
        clock: &RunClock,
    ) -> Result<Vec<IpAddr>, LookupError> {
        let mut addresses = self.hosts.addresses(host);
        addresses.retain(|address| family.admits(address));
        if addresses.is_empty() {
            addresses = self.ask_all(host, family, &LookupTime { clock, began: Instant::now(), limit }).await?;
        }
        sort(&mut addresses, source_address);
        Ok(addresses)
    }

    async fn ask_all(
        &self,
        host: &str,
        family: FamilyChoice,
        time: &LookupTime<'_>,
    ) -> Result<Vec<IpAddr>, LookupError> {
        let mut name = Name::from_ascii(host).map_err(|error| LookupError::NotFound(error.to_string()))?;
        // Resolve the name exactly as given: search domains apply only to the system's lookups.
        name.set_fqdn(true);
        let mut failures = Vec::new();
        for (number, &server) in self.servers.iter().enumerate() {
            let further = 2 * (self.servers.len() - 1 - number);
            let question = NameQuestion { name: &name, family, server, edns: true };
            let mut found = question.put(time, further + 2).await;
            if found.as_ref().is_err_and(is_about_edns) {
                found = NameQuestion { edns: false, ..question }.put(time, further + 1).await;
            }
            match found {
                Ok(addresses) if addresses.is_empty() => return Err(LookupError::no_address()),
                Ok(addresses) => return Ok(addresses),
                Err(error) if error.is_nx_domain() => return Err(LookupError::no_name()),
                Err(error) if error.is_no_records_found() => return Err(LookupError::no_address()),
                Err(error) => failures.push((server, failure(&error))),
            }
        }
        Err(all(failures))
    }
}

impl NameQuestion<'_> {
    /// Asks, with an equal share of the remaining time for each of the `tries` that are left.
    async fn put(&self, time: &LookupTime<'_>, tries: usize) -> LookupResult {
        let asked = async {
            match self.family {
                FamilyChoice::Any => both(self.ask(RecordType::A), self.ask(RecordType::AAAA)).await,
                FamilyChoice::V4 => self.ask(RecordType::A).await,
                FamilyChoice::V6 => self.ask(RecordType::AAAA).await,
            }
        };
        time.clock.within(Instant::now(), time.share(tries), asked).await.unwrap_or(Err(NetError::Timeout))
    }

    /// Creates a new resolver for each question, because a resolver remembers failures, times and pending questions.
    async fn ask(&self, kind: RecordType) -> LookupResult {
        let mut server = NameServerConfig::udp_and_tcp(self.server.ip());
        server.connections.iter_mut().for_each(|connection| connection.port = self.server.port());
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let sockets = Sockets::default();
        let mut builder = Resolver::builder_with_config(config, sockets.clone());
        let options = builder.options_mut();
        (options.cache_size, options.attempts, options.num_concurrent_reqs) = (0, 0, 1);
        options.timeout = LONGER_THAN_ANY_DEADLINE;
        options.edns0 = self.edns;
        options.use_hosts_file = ResolveHosts::Never;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let lookup = builder.build()?.lookup(self.name.clone(), kind).await.map_err(|error| match error {
            NetError::NoConnections => sockets.refused().map_or(error, NetError::from),
            _ => error,
        })?;
        Ok(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
    }
}

impl LookupTime<'_> {
    /// The time for one attempt: an equal share of what remains.
    fn share(&self, tries: usize) -> Duration {
        let tries = u32::try_from(tries).unwrap_or(u32::MAX).max(1);
        self.limit.saturating_sub(self.clock.ran_since(self.began)) / tries
    }
}

/// Whether the question may succeed without EDNS.
fn is_about_edns(error: &NetError) -> bool {
    use ResponseCode::{BADVERS, FormErr, NotImp};
    matches!(error, NetError::Timeout | NetError::Dns(DnsError::ResponseCode(FormErr | NotImp | BADVERS)))
}

/// Interprets the failure of a server. The text does not name the server.
fn failure(error: &NetError) -> LookupError {
    match error {
        NetError::Timeout => LookupError::Timeout("no answer".to_owned()),
        NetError::Io(error) => LookupError::from_io(error),
        NetError::Dns(DnsError::ResponseCode(code)) => LookupError::Failed(code.to_string()),
        error => LookupError::Failed(error.to_string()),
    }
}

/// Combines the failures of all servers. An error from a server is more informative than silence, and silence more than
/// an error that kept the question from being sent.
fn all(failures: Vec<(SocketAddr, LookupError)>) -> LookupError {
    let text = failures.iter().map(|(server, error)| format!("{server}: {error}")).collect::<Vec<_>>().join("; ");
    let any = |is: fn(&LookupError) -> bool| failures.iter().any(|(_, error)| is(error));
    if any(|error| matches!(error, LookupError::Failed(_))) {
        LookupError::Failed(text)
    } else if any(|error| matches!(error, LookupError::Timeout(_))) {
        LookupError::Timeout(text)
    } else if text.is_empty() {
        LookupError::Local("no name server is configured".to_owned())
    } else {
        LookupError::Local(text)
    }
}

/// Asks both questions in parallel (RFC 8305 §3). An answer with an address waits a little for the other answer, which
/// may bring the preferred address. After an answer without an address, the other one decides. This applies to "no such
/// name" too: some servers say it for one family although they have an address of the other (RFC 4074 §4.2).
async fn both(
    v4: impl Future<Output = LookupResult> + Send,
    v6: impl Future<Output = LookupResult> + Send,
) -> LookupResult {
    let (mut v4, mut v6) = (pin!(v4), pin!(v6));
    let (first, other): (_, Pin<&mut (dyn Future<Output = LookupResult> + Send)>) = tokio::select! {
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

/// Combines two answers: all addresses, IPv4 first, or else the more informative error.
fn combined(one: LookupResult, other: LookupResult) -> LookupResult {
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

/// How informative an error is. "No such name" applies to both families (RFC 8020). A failure may hide an address. "No
/// record" of one family says nothing about the other.
fn rank(error: &NetError) -> u8 {
    if error.is_nx_domain() {
        2
    } else if error.is_no_records_found() {
        NO_RECORD
    } else {
        1
    }
}

/// How long the addresses of one family wait for those of the other: the value that RFC 8305 §8 recommends.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// The rank of an answer without a record of the wanted family.
const NO_RECORD: u8 = 0;
const LONGER_THAN_ANY_DEADLINE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_first_answer_waits_briefly_for_the_other_family() {
        let v4: IpAddr = [127, 0, 0, 1].into();
        let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
        let [with4, with6] = [v4, v6].map(|address| Some(vec![address]));
        let empty = Some(vec![]);
        // The answer to each question (`None`: a failure) and after how many ms it arrives; the result, and after how
        // many ms.
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
}
