//! The endpoints that operators enter: checks whether we may ask them.

use url::{Host, Url};

use crate::{
    model::{
        endpoint::authority,
        target::{Endpoint, without_user},
        text::made_printable,
    },
    net::guard::Guard,
};

/// An endpoint that is never asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedEndpoint {
    /// The text that the operator entered, made printable.
    pub(super) shown: String,
    pub(super) reason: String,
    /// Its host and port in the form of a node's id, if it has a host.
    pub(super) authority: Option<String>,
}

/// The endpoint in normal form, or why it is never asked. The address of a name is checked when it is dialled.
pub(super) fn vet(text: Option<&str>, guard: &Guard) -> Result<Endpoint, RefusedEndpoint> {
    let text = text.unwrap_or_default().trim();
    let refused = |reason: String, url: Option<&Url>| {
        let shown = without_user(text).chars().take(MAX_CHARS).collect::<String>();
        let authority = url.filter(|url| url.has_host()).map(authority);
        Err(RefusedEndpoint { shown: made_printable(&shown), reason: made_printable(&reason), authority })
    };
    if text.is_empty() {
        return refused("the operator has set no endpoint".to_owned(), None);
    }
    if text.len() > MAX_CHARS {
        return refused(format!("the endpoint has {} bytes, but at most {MAX_CHARS} are allowed", text.len()), None);
    }
    let endpoint = match text.parse::<Endpoint>() {
        Ok(endpoint) => endpoint.without_final_dot(),
        Err(error) => {
            let url = Url::parse(text).ok();
            return refused(error.to_string(), url.as_ref());
        }
    };
    let url = endpoint.as_url();
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) | None => None,
    };
    if let Some((address, range)) = address.and_then(|address| Some((address, guard.refuses(address)?))) {
        let remedy = "`network.allow-private` permits it for test setups";
        return refused(format!("a registry may not point to {address} ({range}); {remedy}"), Some(url));
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if guard.refuses_port(port) {
        let open = "only 80, 443 and ports above 1023 are allowed";
        return refused(format!("a registry may not point to port {port}: {open}"), Some(url));
    }
    Ok(endpoint)
}

/// Longer than any real endpoint.
const MAX_CHARS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AllowPrivate;

    #[test]
    fn endpoints_are_normalised_or_refused() {
        let long = format!("https://a.example/{}/", "x".repeat(10_000));
        for (text, normal) in [
            ("https://dist1.example/distributor/", Ok("https://dist1.example/distributor/")),
            ("  HTTPS://Dist1.Example:443/distributor//\n", Ok("https://dist1.example/distributor/")),
            ("http://dist1.example", Ok("http://dist1.example/")),
            ("https://dist1.example./x", Ok("https://dist1.example/x/")),
            ("https://./", Ok("https://./")),
            ("http://dist1.example:8080/", Ok("http://dist1.example:8080/")),
            ("https://bücher.example/", Ok("https://xn--bcher-kva.example/")),
            ("https://8.8.8.8/", Ok("https://8.8.8.8/")),
            ("https://[2a01:4f8::1]/", Ok("https://[2a01:4f8::1]/")),
            ("http://localhost/", Ok("http://localhost/")),
            ("", Err("has set no endpoint")),
            (" \t", Err("has set no endpoint")),
            ("n/a", Err("is not a URL")),
            ("dist1.example/distributor", Err("is not a URL")),
            ("ftp://dist1.example/", Err("only http and https")),
            ("file:///etc/passwd", Err("only http and https")),
            ("https://", Err("is not a URL")),
            ("https://u:secret@dist1.example/", Err("has a user")),
            ("https://secret@dist1.example/", Err("has a user")),
            ("https://dist1.example/?token=1", Err("has a query")),
            ("https://dist1.example/#a", Err("has a fragment")),
            (&long, Err("10019 bytes, but at most 512 are allowed")),
            ("https://dist1.example:22/", Err("port 22")),
            ("https://dist1.example:0/", Err("port 0")),
            ("https://dist1.example:99999/", Err("is not a URL")),
            ("http://127.0.0.1/", Err("127.0.0.1 (loopback)")),
            ("http://127.1/", Err("127.0.0.1 (loopback)")),
            ("http://127.0.0.1./", Err("127.0.0.1 (loopback)")),
            ("http://0x7f.1/", Err("127.0.0.1 (loopback)")),
            ("http://2130706433/", Err("127.0.0.1 (loopback)")),
            ("http://0177.0.0.1/", Err("127.0.0.1 (loopback)")),
            ("http://%31%32%37.0.0.1/", Err("127.0.0.1 (loopback)")),
            ("http://１２７.0.0.1/", Err("127.0.0.1 (loopback)")),
            ("http://0/", Err("0.0.0.0 (unspecified)")),
            ("http://10.0.0.9/", Err("10.0.0.9 (private)")),
            ("http://169.254.169.254/latest/", Err("cloud metadata")),
            ("http://256.0.0.1/", Err("is not a URL")),
            ("http://[::1]/", Err("::1 (loopback)")),
            ("http://[::ffff:10.0.0.9]/", Err("(private)")),
            ("http://[64:ff9b::a00:9]/", Err("(private)")),
            ("http://[fe80::1%25eth0]/", Err("is not a URL")),
            ("http://[fe80::1]/", Err("(link-local)")),
            ("https://a\u{202e}.example/", Err("is not a URL")),
        ] {
            match (vet(Some(text), &Guard::default()), normal) {
                (Ok(endpoint), Ok(normal)) => assert_eq!(endpoint.to_string(), normal),
                (Err(refused), Err(reason)) => {
                    assert!(refused.reason.contains(reason), "{text}: {}", refused.reason);
                    let all = format!("{refused:?}");
                    assert!(!all.contains("secret") && refused.shown.chars().count() <= MAX_CHARS, "{all}");
                    assert_eq!(made_printable(&refused.shown), refused.shown);
                }
                (screened, _) => panic!("{text}: {screened:?}"),
            }
        }
        assert!(vet(None, &Guard::default()).is_err());
    }

    #[test]
    fn the_config_can_allow_private_networks() {
        let lab = Guard::new(AllowPrivate::In(vec!["127.0.0.1/32".parse().unwrap()]));
        assert!(vet(Some("http://127.0.0.1:8080/"), &lab).is_ok());
        assert!(vet(Some("http://127.0.0.2:8080/"), &lab).is_err());
        assert!(vet(Some("http://127.0.0.2:81/"), &Guard::new(AllowPrivate::Everywhere)).is_ok());
    }
}
