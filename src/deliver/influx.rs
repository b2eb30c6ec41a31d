//! The one user of the `influxdb2` crate.
//!
//! What holds of it (0.5.2) and is relied on here: only the status 204 is `Ok`, every other 2xx and 3xx is
//! `RequestError::Http` with status and text, so a captive portal's page never counts as delivered; it sets the path of
//! the URL and so drops a prefix, which is why `api` makes the requests below a prefix itself; it panics on a URL that does not
//! parse; its default headers go with every request, which is how a body that we compressed gets its `content-encoding`.
//! `Retry-After` is not visible through it. It reads the body of an answer whole: the total timeout is what bounds a body without end.

use std::{error::Error as _, io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use influxdb2::RequestError;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderValue};
use thiserror::Error;

use self::api::Api;
use super::{
    clock,
    policy::{Answer, said},
    words,
};
use crate::{
    config::{self, Order},
    model::units::BitRate,
    net::resolve::Resolver,
};

mod api;

/// A bucket of a database, and how it is delivered to.
#[derive(Debug)]
pub struct Influx {
    client: Api,
    connecting: Connecting,
    place: Place,
}

/// How connections to a database are made.
#[derive(Debug)]
struct Connecting {
    config: config::InfluxDb,
    resolver: Resolver,
    timeouts: Timeouts,
}

/// A request to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What came back.
    pub answer: Answer,
    /// Size of the compressed body, in bytes.
    pub bytes: u64,
}

/// Which bucket it is, in words that a person configured. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Scheme, host, port, and the path where there is one.
    pub root: String,
    /// Organisation.
    pub org: String,
    /// Bucket.
    pub bucket: String,
    /// Where the token came from.
    pub token_from: String,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the answer is complete.
    pub total: Duration,
}

/// A database that cannot even be asked, for a reason in its configuration.
#[derive(Debug, Error)]
pub enum Error {
    /// The API's own paths and queries are appended to the URL.
    #[error("[influxdb] url: must be the root of the API, like {0}, without a query or fragment")]
    Surplus(String),
    /// No HTTP URL.
    #[error("[influxdb] url: must start with http:// or https:// and name a host")]
    Scheme,
    /// The token cannot be sent in a header.
    #[error("[influxdb] token-file: the token is empty or holds a character that no header can carry")]
    Token,
    /// The further trusted certificates cannot be used.
    #[error("[influxdb] ca-file: its certificates cannot be used")]
    Ca(#[source] influxdb2::BuildError),
    /// The client library gave up.
    #[error("cannot set up the client for [influxdb]")]
    Client(#[source] influxdb2::BuildError),
}

impl Influx {
    /// Sets a client up; sends nothing.
    ///
    /// # Errors
    /// When the configured URL, token or certificates cannot be used.
    pub fn new(config: &config::InfluxDb, resolver: &Resolver) -> Result<Self, Error> {
        Self::with_timeouts(config, resolver, TIMEOUTS)
    }

    /// Sets a client up whose requests may take so long.
    ///
    /// # Errors
    /// As [`Influx::new`].
    pub fn with_timeouts(config: &config::InfluxDb, resolver: &Resolver, timeouts: Timeouts) -> Result<Self, Error> {
        let url = &config.url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::Scheme);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::Surplus(config.root()));
        }
        let gzip = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let connecting = Connecting { config: config.clone(), resolver: resolver.clone(), timeouts };
        let client = Api::new(&connecting, gzip)?;
        let place = Place {
            root: config.root(),
            org: config.org.clone(),
            bucket: config.bucket.clone(),
            token_from: config.token_from.to_string(),
        };
        Ok(Self { client, connecting, place })
    }

    /// Which bucket this is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Which of the waiting files goes first.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.connecting.config.order
    }

    /// What may be sent at the most.
    #[must_use]
    pub const fn rate(&self) -> BitRate {
        self.connecting.config.rate
    }

    /// Sends lines, each ending in a newline, and tells what came back.
    pub async fn write(&self, lines: &str) -> Written {
        let body = gzip(lines.as_bytes());
        let bytes = body.len() as u64;
        let answer = match self.client.write(&self.place.org, &self.place.bucket, body).await {
            Ok(()) => Answer::Stored,
            Err(error) => answer(error),
        };
        Written { answer, bytes }
    }

    /// Makes the bucket, which keeps points for ever, where the config says so; says why not otherwise.
    ///
    /// # Errors
    /// What to do about it, in words for a person.
    pub async fn create_bucket(&self) -> Result<(), String> {
        let Place { org, bucket, .. } = &self.place;
        if !self.connecting.config.create_bucket {
            return Err("or set [influxdb] create-bucket = true".to_owned());
        }
        // A client of its own: the other one calls every body compressed.
        let client = Api::new(&self.connecting, HeaderMap::new()).map_err(|error| error.to_string())?;
        let refused = |error| match answer(error) {
            Answer::Status { status, text } => format!("it could not be made: {status} ({})", said(&text)),
            Answer::Failed { problem, .. } => format!("it could not be made: {}", said(&problem)),
            Answer::Stored => "it could not be made".to_owned(),
        };
        let id = client.organization_id(org).await.map_err(refused)?;
        let Some(id) = id else { return Err(format!("it could not be made: the token sees no org {org:?}")) };
        match client.create_bucket(&id, bucket).await {
            Err(RequestError::Http { text, .. }) if text.contains("already exists") => Ok(()),
            created => created.map_err(refused),
        }
    }

    /// How far the database's clock is ahead of ours, in ms; nothing when it does not say.
    pub async fn clock_offset_ms(&self) -> Option<i64> {
        let http = api::http(&self.connecting, HeaderMap::new()).ok()?.build().ok()?;
        let sent = Timestamp::now();
        let answer = http.head(self.connecting.config.at("/ping")).send().await.ok()?;
        clock::offset_ms(answer.headers().get(DATE)?.to_str().ok()?, sent, Timestamp::now())
    }
}

/// What a failed request means.
fn answer(error: RequestError) -> Answer {
    match error {
        RequestError::Http { status, text } => Answer::Status { status: status.as_u16(), text },
        RequestError::ReqwestProcessing { source } => {
            Answer::Failed { timed_out: source.is_timeout() && !source.is_connect(), problem: chain(source) }
        }
        RequestError::Serializing { .. } | RequestError::Deserializing { .. } => {
            let problem = "the client library could not read the answer".to_owned();
            Answer::Failed { problem, timed_out: false }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("invariant: writing to memory does not fail")
}

/// What went wrong on the way, from the outermost to the innermost cause, without the URL: it may hold a password.
fn chain(error: reqwest::Error) -> String {
    let is_timeout = error.is_timeout();
    let error = error.without_url();
    let mut text = if is_timeout { "timed out: ".to_owned() } else { String::new() };
    text.push_str(&error.to_string());
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    words::plain(&text)
}

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Secret, net::resolve::threads::Threads};

    fn config(url: &str, token: &str, ca: Option<&str>) -> config::InfluxDb {
        let database = config::InfluxDb::new(url.parse().unwrap(), "dwg", "bandprobe", Secret::new(token));
        config::InfluxDb { extra_ca: ca.map(Into::into), ..database }
    }

    fn resolver() -> Resolver {
        let unused = |_| unreachable!("nothing is looked up");
        Resolver::new(&config::Resolver::System, Threads::new(1, Box::new(unused)))
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_before_anything_is_sent() {
        let broken_ca = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for (url, token, ca, expected) in [
            (
                "http://db:8086/influx/?x=y",
                "t",
                None,
                "must be the root of the API, like http://db:8086/influx, without",
            ),
            ("ftp://db/", "t", None, "must start with http:// or https://"),
            ("http://db/", "", None, "token is empty"),
            ("http://db/", "token\n", None, "no header can carry"),
            ("http://db/", "token\u{0}", None, "no header can carry"),
            ("https://db/", "t", Some(broken_ca), "ca-file"),
        ] {
            let problem = Influx::new(&config(url, token, ca), &resolver()).unwrap_err().to_string();
            assert!(problem.contains(expected), "{url}: {problem}");
        }
        let fine = Influx::new(&config("http://user:secret@db:8086", "token", None), &resolver()).unwrap();
        assert_eq!(fine.place().root, "http://db:8086");
        let fine = Influx::new(&config("https://user:secret@db/influx/", "user:two wörds", None), &resolver()).unwrap();
        assert_eq!(fine.place().root, "https://db/influx");
    }
}
