//! Small requests of our own, such as a database's query API: the whole answer or an error, with limits.

use std::time::Duration;

use http::{
    HeaderValue, Method, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT},
};
use thiserror::Error;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    config::{FamilyChoice, HttpChoice, Network, Resolver},
    model::{probe::Deadlines, text::made_printable},
};

use super::{
    dial::{Dialer, DialerError},
    failure::Failure,
    http::{Appetite, Connection, End},
    meter::Meter,
    timing::Timing,
};

/// Fetches from servers that the user named.
#[derive(Clone)]
pub struct Fetcher {
    dialer: Dialer,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The connection or the exchange.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Too slow as a whole.
    #[error("no complete answer within {0:?}")]
    Slow(Duration),
    /// Cut off.
    #[error("the answer broke off")]
    Cut,
    /// Too long.
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// Another status than 200.
    #[error("status {status}: {said}")]
    Status {
        /// Which one.
        status: StatusCode,
        /// The beginning of its body.
        said: String,
    },
    /// The credentials hold a character that no header can carry.
    #[error("the credentials hold a character that cannot be sent")]
    Credentials,
}

impl Fetcher {
    /// Trusts the system's certificates, and those of `extra_ca` (PEM text).
    ///
    /// # Errors
    /// When resolver or trust store cannot be set up.
    pub fn new(extra_ca: Option<&str>) -> Result<Self, DialerError> {
        let network = Network {
            allow_private: true,
            resolver: Resolver::System,
            http: HttpChoice::Auto,
            family: FamilyChoice::Any,
            extra_ca: extra_ca.map(Into::into),
            contact: None,
        };
        Ok(Self { dialer: Dialer::new(&network)? })
    }

    /// The body of a 200 to a GET.
    ///
    /// # Errors
    /// Anything else; no error text holds the credentials.
    pub async fn get(&self, url: &Url, authorization: Option<&str>) -> Result<Vec<u8>, FetchError> {
        timeout(TOTAL, self.exchange(url, authorization)).await.unwrap_or(Err(FetchError::Slow(TOTAL)))
    }

    async fn exchange(&self, url: &Url, authorization: Option<&str>) -> Result<Vec<u8>, FetchError> {
        let deadlines = Deadlines { headers: TOTAL, body: TOTAL, stall: TOTAL, ..Deadlines::default() };
        let mut timing = Timing::start(Instant::now());
        let address = self.dialer.look_up(url, false, deadlines.dns, &mut timing).await?;
        let line = self.dialer.open(url, address, &deadlines, Meter::new(), &mut timing).await?;
        let mut connection = Connection::start(line).await?;
        let mut request = connection.request(Method::GET, url);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bandprobe/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| FetchError::Credentials)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut answer = connection.ask(request, &deadlines, &mut timing).await?;
        let mut body = Vec::new();
        let appetite = Appetite { bytes: MAX_ANSWER + 1, body: TOTAL, stall: TOTAL };
        let received = connection.receive(&mut answer, appetite, |chunk, _| body.extend_from_slice(chunk)).await;
        match received.end {
            End::Failed(failure) => return Err(failure.into()),
            End::Partial => return Err(FetchError::Cut),
            End::Enough => return Err(FetchError::TooLong),
            End::Finished => {}
        }
        if answer.head.status != StatusCode::OK {
            let said = made_printable(&String::from_utf8_lossy(&body).chars().take(200).collect::<String>());
            return Err(FetchError::Status { status: answer.head.status, said });
        }
        Ok(body)
    }
}

const TOTAL: Duration = Duration::from_secs(60);
const MAX_ANSWER: u64 = 256 << 20;
