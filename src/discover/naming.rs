//! Node ids out of endpoints: tags for ever, so the same list always yields the same ids, whatever its order.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::model::{endpoint::authority, tag, target::Endpoint};

/// An id for each endpoint: its host, with `:port` if not the scheme's own, and its path prefix where two share these.
/// What is in no tag becomes `_`.
pub(super) fn ids<'e>(endpoints: impl Iterator<Item = &'e Endpoint> + Clone) -> BTreeMap<String, Arc<str>> {
    let mut sharing = BTreeMap::<String, usize>::new();
    for endpoint in endpoints.clone() {
        *sharing.entry(authority(endpoint.as_url())).or_default() += 1;
    }
    let mut sorted: Vec<_> = endpoints.collect();
    sorted.sort_by_key(|endpoint| endpoint.as_url().as_str());
    let mut taken = HashSet::new();
    let named = sorted.into_iter().map(|endpoint| {
        let mut base = authority(endpoint.as_url());
        if sharing[&base] > 1 {
            base += endpoint.as_url().path().trim_end_matches('/');
        }
        (endpoint.to_string(), distinct(&base, &mut taken))
    });
    named.collect()
}

/// A tag made of a text, with `-2` and so on where it is taken; it is taken then.
pub(super) fn distinct(text: &str, taken: &mut HashSet<Arc<str>>) -> Arc<str> {
    let base = tag::reduced(text).unwrap_or_else(|| "unnamed".to_owned());
    let mut id: Arc<str> = base.as_str().into();
    for number in 2.. {
        if taken.insert(Arc::clone(&id)) {
            break;
        }
        let suffix = format!("-{number}");
        let room = tag::MAX_CHARS - suffix.len();
        id = format!("{}{suffix}", base.chars().take(room).collect::<String>()).into();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hosts_and_tell_endpoints_apart() {
        let long = format!("{}.example", ["a".repeat(60), "b".repeat(60)].join("."));
        let given = [
            ("https://one.example/distributor/", "one.example"),
            ("https://two.example:8443/", "two.example:8443"),
            ("http://three.example:80/", "three.example"),
            ("https://shared.example/distributor/", "shared.example/distributor"),
            ("https://shared.example/storage/", "shared.example/storage"),
            ("https://shared.example/", "shared.example"),
            ("http://both.example/", "both.example"),
            ("https://both.example/", "both.example-2"),
            ("https://[2a01:4f8::1]/", "2a01:4f8::1"),
            ("https://none/", "unnamed"),
            ("https://odd.example/a%20b/", "odd.example/a_20b"),
            ("https://odd.example/a_20b/", "odd.example/a_20b-2"),
            (&format!("https://{long}/x/"), &long[..100]),
        ];
        let endpoints: Vec<Endpoint> = given.iter().map(|(endpoint, _)| endpoint.parse().unwrap()).collect();
        for order in [endpoints.iter().collect::<Vec<_>>(), endpoints.iter().rev().collect()] {
            let ids = ids(order.into_iter());
            for (endpoint, id) in &given {
                let endpoint = endpoint.parse::<Endpoint>().unwrap().to_string();
                assert_eq!(&*ids[&endpoint], *id, "{endpoint}");
            }
        }
    }

    #[test]
    fn a_suffix_keeps_the_limit() {
        let (text, mut taken) = ("h".repeat(300), HashSet::new());
        for _ in 0..12 {
            assert_eq!(distinct(&text, &mut taken).len(), tag::MAX_CHARS);
        }
        assert_eq!(taken.len(), 12);
    }
}
