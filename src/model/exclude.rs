//! Which nodes are left out: the one rule of `exclude`, for nodes from every source.
//!
//! Each name in the list is compared with a node's id, its operators, its host, its host and port, and its host, port
//! and path, without regard to case. A user can therefore write down whichever of these they see, and the entry stays
//! valid even though the id of a node depends on which other nodes are listed. Brackets around an IPv6 address, its
//! spelling and a final dot of the host make no difference.

use std::{net::IpAddr, sync::Arc};

use url::Url;

use super::{
    endpoint::authority,
    target::{BlockedNode, Node},
};

impl Node {
    /// Whether `names` contains this node.
    #[must_use]
    pub fn is_among(&self, names: &[String]) -> bool {
        is_among(names, &self.id, &self.listing.operators, Some(self.endpoint.as_url()))
    }
}

impl BlockedNode {
    /// Whether `names` contains this node.
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

/// The name without the differences that do not count: spaces around it, brackets, final slashes and dots, and case.
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
                BlockedNode { id: id.into(), endpoint: endpoint.into(), reason: "".into(), listing: listing.clone() };
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
        let nowhere = BlockedNode { id: "1:0-4".into(), endpoint: "".into(), reason: "".into(), listing };
        assert!(nowhere.is_among(&["1:0-4".to_owned()]) && !nowhere.is_among(&[String::new(), "http".to_owned()]));
    }
}
