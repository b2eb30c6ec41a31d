//! A lookup through the system: `getaddrinfo`, with its hosts file, name servers, search list and address order.
//!
//! No flags are set, as in curl. `AI_ADDRCONFIG` would hide addresses on a machine without a route, and error messages
//! could then not name them. glibc sorts unreachable addresses last anyway (RFC 6724 §6, rule 1).

use std::net::IpAddr;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use errno::{Errno, errno, set_errno};

use crate::config::FamilyChoice;

use super::{LookupError, uplink};

/// The addresses of a name in the system's order. Blocks until the system answers.
pub(super) fn look_up(host: &str, family: FamilyChoice) -> Result<Vec<IpAddr>, LookupError> {
    let family = match family {
        FamilyChoice::Any => 0,
        FamilyChoice::V4 => AddrFamily::Inet.into(),
        FamilyChoice::V6 => AddrFamily::Inet6.into(),
    };
    let hints = AddrInfoHints { address: family, socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    // Clear errno first: getaddrinfo sets it on some failures and never clears it.
    set_errno(Errno(0));
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| meaning(&error, errno()))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.flatten().map(|found| found.sockaddr.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(LookupError::no_address()) } else { Ok(addresses) }
}

/// Interprets a failure by getaddrinfo(3) and the errno that it left.
///
/// Two failures of glibc hide a fault of this machine. Without a free descriptor, glibc reports that the name does not
/// exist (EAI_NONAME, errno EMFILE). Without a route to its name servers, it asks to try again (EAI_AGAIN).
fn meaning(error: &dns_lookup::LookupError, errno: Errno) -> LookupError {
    let text = error.to_string();
    let text = text.strip_prefix(PREFIX).unwrap_or(&text);
    if EXHAUSTED.contains(&errno.0) {
        return LookupError::Local(format!("the system cannot look up names: {errno}"));
    }
    match error.kind() {
        LookupErrorKind::NoName => LookupError::no_name(),
        LookupErrorKind::NoData => LookupError::no_address(),
        _ if error.error_num() == ADDRESS_FAMILY => LookupError::no_address(),
        LookupErrorKind::Again => match uplink::missing() {
            Some(missing) => LookupError::Local(missing),
            None => LookupError::Failed(text.to_owned()),
        },
        LookupErrorKind::Fail => LookupError::Failed(text.to_owned()),
        LookupErrorKind::Memory => LookupError::Local(text.to_owned()),
        LookupErrorKind::System | LookupErrorKind::IO => LookupError::from_io(&std::io::Error::from(errno)),
        _ => LookupError::Failed(text.to_owned()),
    }
}

/// The prefix that dns-lookup puts before the system's own text.
const PREFIX: &str = "failed to lookup address information: ";
/// Errors that mean that this machine has run out of a resource.
const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
/// glibc's EAI_ADDRFAMILY: the name only has addresses of the other family.
const ADDRESS_FAMILY: i32 = -9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resolver_error_maps_to_its_cause() {
        const NONE: i32 = 0;
        for (code, errno, expected) in [
            (libc::EAI_NONAME, NONE, "NotFound"),
            (libc::EAI_NODATA, NONE, "NotFound"),
            (ADDRESS_FAMILY, NONE, "NotFound"),
            (libc::EAI_FAIL, NONE, "Failed"),
            (libc::EAI_FAIL, libc::EAGAIN, "Failed"),
            (libc::EAI_MEMORY, NONE, "Local"),
            // glibc 2.36 reports this to a process without a free descriptor.
            (libc::EAI_NONAME, libc::EMFILE, "Local"),
            (libc::EAI_AGAIN, libc::EMFILE, "Local"),
            (libc::EAI_AGAIN, libc::ENFILE, "Local"),
            (libc::EAI_SYSTEM, libc::EMFILE, "Local"),
            (libc::EAI_SYSTEM, libc::ENFILE, "Local"),
            (libc::EAI_SYSTEM, libc::ENOMEM, "Local"),
            (libc::EAI_SYSTEM, libc::ENETUNREACH, "Local"),
            (libc::EAI_SYSTEM, libc::EACCES, "Local"),
            (libc::EAI_SYSTEM, libc::ECONNREFUSED, "Failed"),
            (libc::EAI_SYSTEM, libc::EIO, "Failed"),
        ] {
            let meaning = meaning(&dns_lookup::LookupError::new(code), Errno(errno));
            assert!(format!("{meaning:?}").starts_with(expected), "{code}, errno {errno}: {meaning:?}");
        }
    }

    #[test]
    fn an_address_needs_no_name_server() {
        assert_eq!(look_up("127.0.0.7", FamilyChoice::Any), Ok(vec![[127, 0, 0, 7].into()]));
        assert!(matches!(look_up("127.0.0.7", FamilyChoice::V6), Err(LookupError::NotFound(_))));
    }
}
