//! The only user of the `influxdb2` crate.
//!
//! This module relies on these properties of version 0.5.2:
//!
//! - Only the status 204 is `Ok`. Every other 2xx and 3xx is `RequestError::Http` with status and text, so the page of
//!   a captive portal never counts as delivered.
//! - It sets the path of the URL and so drops a prefix. Therefore `api` makes the requests below a prefix itself.
//! - It panics on a URL that does not parse.
//! - Its default headers are sent with every request, so a compressed body gets its `content-encoding` there.
//! - It does not expose `Retry-After`.
//! - It reads the body of an answer whole, so only the total timeout limits an endless body.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use influxdb2::RequestError;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderValue};
use thiserror::Error;

use self::api::Api;
use super::{
    answer::{Answer, one_line},
    bucket::Bucket,
    client_errors, clock,
};
use crate::{
    config::{self, Order},
    model::units::BitRate,
    net::resolve::Resolver,
    term::causes::with_causes,
};

mod api;

/// A bucket of a database, and the settings for delivering to it.
#[derive(Debug)]
pub struct Influx {
    client: Api,
    connecting: Connecting,
    bucket: Bucket,
}

/// How connections to a database are made.
#[derive(Debug)]
struct Connecting {
    config: config::InfluxDb,
    resolver: Resolver,
    timeouts: Timeouts,
}

/// The result of a write request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The answer of the database.
    pub answer: Answer,
    /// Size of the compressed request body, in bytes.
    pub bytes: u64,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Limit for establishing the connection.
    pub connect: Duration,
    /// Limit for the complete answer, from the start of the request.
    pub total: Duration,
}

/// An error in the configuration that prevents any request.
#[derive(Debug, Error)]
pub enum Error {
    /// The URL has a query or fragment, but the API's own paths and queries are appended to it.
    #[error("[influxdb] url: must be the root of the API, like {0}, without a query or fragment")]
    Surplus(String),
    /// The URL has another scheme than http or https, or no host.
    #[error("[influxdb] url: must start with http:// or https:// and name a host")]
    Scheme,
    /// The token cannot be sent in a header.
    #[error("[influxdb] token-file: the token is empty or holds a character that no header can carry")]
    Token,
    /// The additional trusted certificates cannot be used.
    #[error("[influxdb] ca-file: its certificates cannot be used")]
    Ca(#[source] influxdb2::BuildError),
    /// The client library could not be set up.
    #[error("cannot set up the client for [influxdb]")]
    Client(#[source] influxdb2::BuildError),
}

impl Influx {
    /// Creates a client without sending anything.
    ///
    /// # Errors
    /// When the configured URL, token or certificates cannot be used.
    pub fn new(config: &config::InfluxDb, resolver: &Resolver) -> Result<Self, Error> {
        Self::with_timeouts(config, resolver, TIMEOUTS)
    }

    /// Like [`Influx::new`], with these timeouts for its requests.
    ///
    /// # Errors
    /// Like [`Influx::new`].
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
        let bucket = Bucket {
            root: config.root(),
            org: config.org.clone(),
            name: config.bucket.clone(),
            token_from: config.token_from.to_string(),
        };
        Ok(Self { client, connecting, bucket })
    }

    /// The bucket that is written to.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Which of the waiting files is sent first.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.connecting.config.order
    }

    /// The highest rate of the compressed request bodies.
    #[must_use]
    pub const fn rate(&self) -> BitRate {
        self.connecting.config.rate
    }

    /// Sends lines, each ending in a newline, and returns the answer.
    pub async fn write(&self, lines: &str) -> Written {
        let body = gzip(lines.as_bytes());
        let bytes = body.len() as u64;
        let answer = match self.client.write(&self.bucket.org, &self.bucket.name, body).await {
            Ok(()) => Answer::Stored,
            Err(error) => answer(error),
        };
        Written { answer, bytes }
    }

    /// Creates the bucket, without a retention limit, if the config allows it.
    ///
    /// # Errors
    /// Why it was not created, or how to allow it, as text for people.
    pub async fn create_bucket(&self) -> Result<(), String> {
        let Bucket { org, name, .. } = &self.bucket;
        if !self.connecting.config.create_bucket {
            return Err("or set [influxdb] create-bucket = true".to_owned());
        }
        // This request needs its own client, because the other one marks every body as compressed.
        let client = Api::new(&self.connecting, HeaderMap::new()).map_err(|error| error.to_string())?;
        let refused = |error| match answer(error) {
            Answer::Status { status, text } => format!("it could not be created: {status} ({})", one_line(&text)),
            Answer::Failed { problem, .. } => format!("it could not be created: {}", one_line(&problem)),
            Answer::Stored => "it could not be created".to_owned(),
        };
        let id = client.organization_id(org).await.map_err(refused)?;
        let Some(id) = id else { return Err(format!("it could not be created: the token sees no org {org:?}")) };
        match client.create_bucket(&id, name).await {
            Err(RequestError::Http { text, .. }) if text.contains("already exists") => Ok(()),
            created => created.map_err(refused),
        }
    }

    /// How far the database's clock is ahead of ours, in ms. `None` when it does not answer or sends no date.
    pub async fn clock_offset_ms(&self) -> Option<i64> {
        let http = api::http(&self.connecting, HeaderMap::new()).ok()?.build().ok()?;
        let sent = Timestamp::now();
        let answer = http.head(self.connecting.config.at("/ping")).send().await.ok()?;
        clock::offset_ms(answer.headers().get(DATE)?.to_str().ok()?, sent, Timestamp::now())
    }
}

/// Turns a failed request into an answer.
fn answer(error: RequestError) -> Answer {
    match error {
        RequestError::Http { status, text } => Answer::Status { status: status.as_u16(), text },
        RequestError::ReqwestProcessing { source } => {
            Answer::Failed { timed_out: source.is_timeout() && !source.is_connect(), problem: in_words(source) }
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

/// The error and its causes in plain words, without the URL, which may contain a password.
fn in_words(error: reqwest::Error) -> String {
    let prefix = if error.is_timeout() { "timed out: " } else { "" };
    client_errors::plain(&format!("{prefix}{}", with_causes(&error.without_url())))
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
    fn an_unusable_configuration_is_refused_at_once() {
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
        assert_eq!(fine.bucket().root, "http://db:8086");
        let fine = Influx::new(&config("https://user:secret@db/influx/", "user:two wörds", None), &resolver()).unwrap();
        assert_eq!(fine.bucket().root, "https://db/influx");
    }
}
