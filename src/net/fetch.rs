//! Small requests to a database's query API or a registry. Returns the whole response or an error, within limits.
//!
//! Redirects are not followed. The error names the new address, so that the user can configure it.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use http_body_util::Full;
use thiserror::Error;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    config::{AllowPrivate, FamilyChoice, HttpChoice, Network, Resolver as ResolverChoice},
    model::{phase::Phase, probe::Deadlines, text::made_printable},
};

use super::{
    body::{BodyEnd, BodyLimit},
    dial::{Dialer, DialerError, OpenConnection},
    failure::{Cause, Failure},
    http::{Connection, UnreadResponse},
    identity::{RequestIds, user_agent},
    meter::Meter,
    resolve::{Resolver, threads::LookupPurpose},
    timing::Timing,
};

/// Sends requests to servers that the user configured.
#[derive(Clone)]
pub struct Fetcher {
    dialer: Dialer,
    agent: String,
}

/// Several requests to one server. The connection is reused while it is open.
pub struct Session<'f> {
    fetcher: &'f Fetcher,
    kept: Option<Connection>,
}

/// Why there is no response.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The connection or the exchange failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The response was not complete within this time.
    #[error("no complete response within {0:?}")]
    Slow(Duration),
    /// The response ended early.
    #[error("the response was cut off")]
    Cut,
    /// The response is longer than this number of bytes.
    #[error("the response is longer than {0} bytes")]
    TooLong(u64),
    /// The status is not 200.
    #[error("status {status}: {excerpt}")]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of the body, or the address of a redirect.
        excerpt: String,
    },
    /// The credentials contain a character that is not allowed in a header.
    #[error("the credentials contain a character that a header cannot carry")]
    Credentials,
}

/// The response to a POST, with any status.
#[derive(Debug)]
pub struct PostResponse {
    /// The HTTP status, whatever it is.
    pub status: StatusCode,
    /// The body, complete.
    pub body: Vec<u8>,
    excerpt: String,
}

/// A request, apart from its URL.
struct FetchRequest<'q> {
    method: Method,
    authorization: Option<&'q str>,
    json: Option<Vec<u8>>,
    max_bytes: u64,
    within: Duration,
}

impl Fetcher {
    /// A fetcher that trusts the system's certificates and those in `extra_ca` (PEM text).
    ///
    /// # Errors
    /// When the trusted certificates cannot be used.
    pub fn new(extra_ca: Option<&str>, resolver: Resolver) -> Result<Self, DialerError> {
        let network = Network {
            allow_private: AllowPrivate::Everywhere,
            resolver: ResolverChoice::System,
            http: HttpChoice::Auto,
            family: FamilyChoice::Any,
            extra_ca: extra_ca.map(Into::into),
            contact: None,
        };
        Self::over(&network, resolver)
    }

    /// A fetcher with the trust, addresses and user agent of the config.
    ///
    /// # Errors
    /// When the trusted certificates cannot be used.
    pub fn over(network: &Network, resolver: Resolver) -> Result<Self, DialerError> {
        Ok(Self { dialer: Dialer::new(network, resolver)?, agent: user_agent(network.contact.as_deref()) })
    }

    /// Sends a GET and returns the body of a response with status 200.
    ///
    /// # Errors
    /// When there is no complete response, or its status is not 200. No error text contains the credentials.
    pub async fn get(&self, url: &Url, authorization: Option<&str>) -> Result<Vec<u8>, FetchError> {
        self.session().get(url, authorization).await
    }

    /// Starts a session for several requests to one server.
    #[must_use]
    pub const fn session(&self) -> Session<'_> {
        Session { fetcher: self, kept: None }
    }

    /// Posts JSON and returns the response: at most `max_bytes` bytes, complete `within` this time. APIs explain a
    /// failure in the body, so every status is a response here.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn post_json(
        &self,
        url: &Url,
        json: Vec<u8>,
        max_bytes: u64,
        within: Duration,
    ) -> Result<PostResponse, FetchError> {
        self.ask(
            &mut None,
            url,
            FetchRequest { method: Method::POST, authorization: None, json: Some(json), max_bytes, within },
        )
        .await
    }

    async fn ask(
        &self,
        kept: &mut Option<Connection>,
        url: &Url,
        request: FetchRequest<'_>,
    ) -> Result<PostResponse, FetchError> {
        let within = request.within;
        timeout(within, self.exchange(kept, url, request)).await.unwrap_or(Err(FetchError::Slow(within)))
    }

    /// Uses the kept connection or a new one. Keeps the connection afterwards if it is reusable.
    async fn exchange(
        &self,
        kept: &mut Option<Connection>,
        url: &Url,
        request: FetchRequest<'_>,
    ) -> Result<PostResponse, FetchError> {
        let (max_bytes, within) = (request.max_bytes, request.within);
        let deadlines = Deadlines { headers: within, body: within, stall: within, ..Deadlines::default() };
        let (mut connection, mut timing) = match kept.take() {
            Some(connection) => (connection, Timing::start(Instant::now())),
            None => {
                let (open, timing) = self.open(url, &deadlines).await?;
                (Connection::start(open).await?, timing)
            }
        };
        let mut http_request = connection.request(request.method.clone(), url);
        self.add_headers(&mut http_request, request)?;
        let mut answer = connection.send(http_request, &deadlines, &mut timing).await?;
        let mut body = Vec::new();
        let limit = BodyLimit { bytes: max_bytes + 1, body: within, stall: within };
        let received = connection.receive(&mut answer, limit, |chunk, _, _| body.extend_from_slice(chunk)).await;
        match received.end {
            BodyEnd::Failed(failure) => return Err(failure.into()),
            BodyEnd::Partial => return Err(FetchError::Cut),
            BodyEnd::Enough => return Err(FetchError::TooLong(max_bytes)),
            BodyEnd::Finished => {}
        }
        if connection.is_reusable().await {
            *kept = Some(connection);
        }
        Ok(PostResponse { status: answer.head.status, excerpt: excerpt(&answer, &body), body })
    }

    /// Connects to the first address that accepts, in their order. Unlike in a probe, other addresses are tried,
    /// because nothing is measured here.
    async fn open(&self, url: &Url, deadlines: &Deadlines) -> Result<(OpenConnection, Timing), Failure> {
        let reserved = self.dialer.reserve(url, LookupPurpose::Other, deadlines.dns).await;
        let mut timing = Timing::start(Instant::now());
        let addresses = self.dialer.addresses(url, reserved, deadlines.dns, &mut timing).await?;
        let mut first = None;
        for address in addresses {
            let mut timing = Timing::start(Instant::now());
            match self.dialer.open_at(url, address, deadlines, Meter::new(), &mut timing).await {
                Ok(open) => return Ok((open, timing)),
                Err(failure) if failure.phase == Phase::Connect => first = first.or(Some(failure)),
                Err(failure) => return Err(failure),
            }
        }
        let host = || Cause::NoAddress(url.host_str().unwrap_or_default().to_owned()).during(Phase::Dns);
        Err(first.unwrap_or_else(host))
    }

    fn add_headers(
        &self,
        http_request: &mut Request<Full<Bytes>>,
        request: FetchRequest<'_>,
    ) -> Result<(), FetchError> {
        let headers = http_request.headers_mut();
        RequestIds::draw(&mut rand::rng()).put_on(headers, &self.agent);
        if let Some(authorization) = request.authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| FetchError::Credentials)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(json) = request.json {
            headers.insert(CONTENT_TYPE, JSON);
            headers.insert(ACCEPT, JSON);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(json.len()));
            *http_request.body_mut() = Full::from(json);
        }
        Ok(())
    }
}

impl Session<'_> {
    /// Sends a GET and returns the body of a response with status 200. All URLs of a session must be on the same
    /// server.
    ///
    /// # Errors
    /// When there is no complete response, or its status is not 200. No error text contains the credentials.
    pub async fn get(&mut self, url: &Url, authorization: Option<&str>) -> Result<Vec<u8>, FetchError> {
        let request = || FetchRequest {
            method: Method::GET,
            authorization,
            json: None,
            max_bytes: MAX_RESPONSE,
            within: GET_DEADLINE,
        };
        if let Some(connection) = &mut self.kept
            && !connection.is_reusable().await
        {
            self.kept = None;
        }
        let was_kept = self.kept.is_some();
        let answer = match self.fetcher.ask(&mut self.kept, url, request()).await {
            // A server may close a kept connection at any time, before it sees the request (RFC 9112 §9.5).
            Err(FetchError::Failed(_)) if was_kept => self.fetcher.ask(&mut self.kept, url, request()).await,
            answer => answer,
        };
        match answer? {
            PostResponse { status: StatusCode::OK, body, .. } => Ok(body),
            other => Err(other.refused()),
        }
    }
}

impl PostResponse {
    /// Turns a response with an unexpected status into an error.
    #[must_use]
    pub fn refused(self) -> FetchError {
        FetchError::Status { status: self.status, excerpt: self.excerpt }
    }
}

/// An excerpt of a response with another status than 200, for a person.
fn excerpt(answer: &UnreadResponse, body: &[u8]) -> String {
    let begins = |text: &str| made_printable(&text.trim().chars().take(200).collect::<String>());
    let moved = answer.head.headers.get(LOCATION).filter(|_| answer.head.status.is_redirection());
    match moved {
        Some(location) => {
            let location = begins(&String::from_utf8_lossy(location.as_bytes()));
            format!(
                "it redirects to `{location}`, and redirects are not followed: if that is the right address, use it"
            )
        }
        None => begins(&String::from_utf8_lossy(body)),
    }
}

const GET_DEADLINE: Duration = Duration::from_secs(60);
const MAX_RESPONSE: u64 = 256 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
