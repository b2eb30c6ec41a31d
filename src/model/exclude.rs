//! Who is left out: the one rule of `exclude`, wherever a node comes from.
//!
//! Each name of the list is compared, without regard to case, with a node's id, with the operators behind it, with its bare
//! host, with host and port, and with both and its path: whichever of them somebody sees and writes down, it holds, though the
//! id may change with who else is listed. Brackets around an IPv6 address, its spelling, and a final dot make no difference.

use std::{net::IpAddr, sync::Arc};

use url::Url;

use super::{
    endpoint::authority,
    target::{Blocked, Node},
};

impl Node {
    /// Is it one of `names`?
    #[must_use]
    pub fn is_among(&self, names: &[String]) -> bool {
        is_among(names, &self.id, &self.listing.operators, Some(self.endpoint.as_url()))
    }
}

impl Blocked {
    /// Is it one of `names`?
    #[must_use]
    pub fn is_among(&self, names: &[String]) -> bool {
        is_among(names, &self.id, &self.listing.operators, Url::parse(&self.endpoint).ok().as_ref())
    }
}

fn is_among(names: &[String], id: &str, operators: &[Arc<str>], at: Option<&Url>) -> bool {
    let host = at.and_then(Url::host_str).map(plain).unwrap_or_default();
    let address = host.parse::<IpAddr>().ok();
    let authority = at.map(authority).unwrap_or_default();
    let place = at.map(|url| plain(&format!("{authority}{}", url.path()))).unwrap_or_default();
    let (id, authority) = (plain(id), plain(&authority));
    names.iter().map(|name| plain(name)).filter(|name| !name.is_empty()).any(|name| {
        let is_address = || address.is_some() && name.parse().ok() == address;
        [&id, &host, &authority, &place].contains(&&name)
            || is_address()
            || operators.iter().any(|operator| operator.eq_ignore_ascii_case(&name))
    })
}

/// Without what makes no difference.
fn plain(name: &str) -> String {
    let bare = name.trim().replace(['[', ']'], "");
    bare.trim_end_matches('/').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::{Listing, Origin, Profile};

    #[test]
    fn a_name_holds_however_it_is_written() {
        let listing = Listing { operators: vec!["1:0-1".into()], ..Listing::bare(Origin::Joystream, Profile::Argus) };
        for (endpoint, id, names, others) in [
            (
                "https://node.example:8443/distributor/",
                "Paris",
                &[
                    "paris",
                    " PARIS ",
                    "Node.Example",
                    "node.example.",
                    "1:0-1",
                    "node.example:8443",
                    "node.example:8443/distributor/",
                ][..],
                &["", " ", ".", "/", "par", "example", "1:0", "node.example:443", "node.example/distributor"][..],
            ),
            (
                "http://[2a01:4f8::1]:8080/",
                "v6",
                &["2a01:4f8::1", "[2a01:4f8::1]", "2A01:04f8:0::1", "[2a01:4f8::1]:8080", "2a01:4f8::1:8080"],
                &["2a01:4f8::2", "::"],
            ),
            ("http://node.example./", "x", &["node.example", "node.example."], &["node"]),
        ] {
            let node =
                Node { id: id.into(), endpoint: endpoint.parse().unwrap(), listing: listing.clone(), assets: vec![] };
            let blocked =
                Blocked { id: id.into(), endpoint: endpoint.into(), reason: "".into(), listing: listing.clone() };
            for (names, expected) in [(names, true), (others, false)] {
                for name in names {
                    let list = ["other".to_owned(), (*name).to_owned()];
                    assert_eq!(
                        (node.is_among(&list), blocked.is_among(&list)),
                        (expected, expected),
                        "{endpoint}: {name}"
                    );
                }
            }
        }
        let nowhere = Blocked { id: "1:0-4".into(), endpoint: "".into(), reason: "".into(), listing };
        assert!(nowhere.is_among(&["1:0-4".to_owned()]) && !nowhere.is_among(&[String::new(), "http".to_owned()]));
    }
}
