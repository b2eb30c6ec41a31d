//! The root URL of a node.

use std::fmt;

use thiserror::Error;
use url::Url;

/// The root URL of a node: http or https, with a host, without user, query or fragment, and with a final `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// It is not a URL. Holds the text without user and password.
    #[error("`{0}` is not a URL: include the scheme, as in https://node.example.net/")]
    NotUrl(String),
    /// The scheme is neither http nor https. Holds the text, without user and password, and the scheme.
    #[error("`{0}` has scheme `{1}`: only http and https can be probed")]
    Scheme(String, String),
    /// It has no host, as in `http:///path`.
    #[error("`{0}` has no host")]
    NoHost(String),
    /// It has a part that an endpoint cannot have: a user, a query or a fragment. Holds the text, without password, and
    /// the name of the part.
    #[error("`{0}` has a {1}: an endpoint consists of scheme, host, port and path prefix only")]
    Surplus(String, &'static str),
}

impl Endpoint {
    /// The URL, with a final `/`.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }

    /// Removes the final dot of the host, so that `node.example.` and `node.example` are one node.
    #[must_use]
    pub fn without_final_dot(mut self) -> Self {
        let shorter = self.0.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned);
        if let Some(host) = shorter.filter(|host| !host.is_empty()) {
            // A host that is not valid without its dot is left unchanged.
            let _ = self.0.set_host(Some(&host));
        }
        self
    }
}

/// The host, and the port if it is not the default of the scheme. An IPv6 address loses its brackets, because a tag
/// cannot contain them.
#[must_use]
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || without_user(text);
        let mut url = Url::parse(text).map_err(|_| EndpointError::NotUrl(given()))?;
        if !matches!(url.scheme(), "http" | "https") {
            // `node.example.net:8080` parses as a URL with the scheme `node.example.net`.
            return Err(if text.contains("://") {
                EndpointError::Scheme(given(), url.scheme().to_owned())
            } else {
                EndpointError::NotUrl(given())
            });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::NoHost(given()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The text may contain a password, so print it without.
            let _ = url.set_username("***");
            let _ = url.set_password(None);
            return Err(EndpointError::Surplus(url.to_string(), "user"));
        }
        if url.query().is_some() {
            return Err(EndpointError::Surplus(given(), "query"));
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Surplus(given(), "fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// Replaces the user and password of a text that may be a URL with `***`, so that it can be printed.
#[must_use]
pub fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{after}")
        }
        None => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_normalised_or_refused_with_the_reason() {
        for (text, normal) in
            [("HTTPS://Node.Example.NET:443/x", "https://node.example.net/x/"), ("http://[::1]:80//", "http://[::1]/")]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), normal);
        }
        for (text, message) in [
            ("node.example.net", "is not a URL"),
            ("node.example.net:8080", "is not a URL"),
            ("ftp://node.example.net/", "only http and https"),
            ("https://u:secret@node.example.net/", "has a user"),
            ("https://node.example.net/?a=b", "has a query"),
            ("https//u:secret@node.example.net/", "***@node.example.net"),
            ("ftp://u:secret@node.example.net/", "ftp://***@node"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
