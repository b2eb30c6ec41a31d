//! Links from trace ids to a page of the operator's tracing system.

use std::{fmt, str::FromStr};

use thiserror::Error;
use url::{Position, Url};

/// A URL with a placeholder for a trace id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl {
    before: String,
    after: String,
}

/// Why a text is not a [`TraceUrl`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TraceUrlError {
    /// It does not have exactly one placeholder. Holds the number of placeholders.
    #[error("contains `{{trace_id}}` {0} times: it must appear once, where the id belongs")]
    Places(usize),
    /// It is not a URL, or it is too long.
    #[error(
        "is not a URL of at most {MAX_CHARS} visible ASCII characters: write it like \
         https://apm.example/app/apm/link-to/trace/{{trace_id}}"
    )]
    NotUrl,
    /// The scheme is neither http nor https. Holds the scheme.
    #[error("has scheme `{0}`: browsers only follow http and https")]
    Scheme(String),
    /// It has a user or password, which would not stay secret in a link.
    #[error("contains a user or password, which would be printed with every link")]
    Secret,
    /// The placeholder is in the host or before it.
    #[error("contains `{{trace_id}}` in its host: the id belongs in the path, the query or the fragment")]
    Host,
}

impl TraceUrl {
    /// The link to a trace. Characters of the id that are not hex digits are left out.
    #[must_use]
    pub fn of(&self, trace_id: &str) -> String {
        let id: String = trace_id.chars().filter(char::is_ascii_hexdigit).collect();
        format!("{}{id}{}", self.before, self.after)
    }
}

impl FromStr for TraceUrl {
    type Err = TraceUrlError;

    /// # Errors
    /// When it is not an http or https URL of at most 2,000 visible ASCII characters, when it does not have exactly one
    /// placeholder, when the placeholder is in the host, or when it has a user.
    fn from_str(text: &str) -> Result<Self, TraceUrlError> {
        if text.len() > MAX_CHARS || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(TraceUrlError::NotUrl);
        }
        let places = text.matches(PLACE).count();
        let Some((before, after)) = text.split_once(PLACE).filter(|_| places == 1) else {
            return Err(TraceUrlError::Places(places));
        };
        let url = Url::parse(&format!("{before}{SOME_ID}{after}")).map_err(|_| TraceUrlError::NotUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TraceUrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TraceUrlError::Secret);
        }
        if !url[Position::BeforePath..].contains(SOME_ID) {
            return Err(TraceUrlError::Host);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

impl fmt::Display for TraceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE}{}", self.before, self.after)
    }
}

/// The placeholder for the id.
const PLACE: &str = "{trace_id}";

/// A sample id of the right length (W3C Trace Context §3.2.2.3).
const SOME_ID: &str = "0af7651916cd43dd8448eb211c80319c";

const MAX_CHARS: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_replaces_its_placeholder() {
        for (template, expected) in [
            ("https://apm.example/app/apm/link-to/trace/{trace_id}", "https://apm.example/app/apm/link-to/trace/00ab"),
            ("http://t.example:16686/trace/{trace_id}?uiFind=x", "http://t.example:16686/trace/00ab?uiFind=x"),
            ("https://t.example/search#q=trace:{trace_id}", "https://t.example/search#q=trace:00ab"),
        ] {
            let url: TraceUrl = template.parse().unwrap();
            assert_eq!((url.of("00ab"), url.to_string()), (expected.to_owned(), template.to_owned()));
        }
        let url: TraceUrl = "https://t.example/{trace_id}".parse().unwrap();
        assert_eq!(url.of("a/../?b\u{1b}[2J#"), "https://t.example/ab2", "an id never leaves its place");
    }

    #[test]
    fn invalid_links_are_refused() {
        use TraceUrlError::{Host, NotUrl, Places, Scheme, Secret};
        for (text, expected) in [
            ("https://t.example/", Places(0)),
            ("https://t.example/{trace_id}/{trace_id}", Places(2)),
            ("t.example/{trace_id}", NotUrl),
            ("https://t.example/ {trace_id}", NotUrl),
            ("javascript:alert({trace_id})", Scheme("javascript".to_owned())),
            ("https://me:secret@t.example/{trace_id}", Secret),
            ("https://{trace_id}.t.example/", Host),
            (&format!("https://t.example/{}{PLACE}", "x".repeat(MAX_CHARS)), NotUrl),
        ] {
            assert_eq!(text.parse::<TraceUrl>(), Err(expected), "{text}");
        }
    }
}
