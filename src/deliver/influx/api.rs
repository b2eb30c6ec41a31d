//! The requests to the API of InfluxDB 2. At the root of a server `influxdb2` makes them. Below a path, behind a
//! proxy, this module makes them in the same form.

use std::{sync::Arc, time::Duration};

use hyper_0::client::connect::dns::Name;
use influxdb2::{
    BuildError, Client, ClientBuilder, RequestError, api::organization::ListOrganizationRequest,
    models::PostBucketRequest,
};
use reqwest::{
    RequestBuilder, StatusCode,
    dns::{Addrs, Resolve, Resolving},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;

use super::{Connecting, Error};
use crate::{
    config::{self, FamilyChoice},
    net::resolve::Resolver,
};

/// The API, at the root of a server or below a path.
#[derive(Debug)]
pub(super) enum Api {
    Root(Client),
    Below { http: reqwest::Client, config: Box<config::InfluxDb> },
}

#[derive(Deserialize)]
struct Organizations {
    orgs: Vec<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    id: Option<String>,
    name: String,
}

impl Api {
    /// Creates a client. `headers` and the credentials are sent with each request.
    pub(super) fn new(connecting: &Connecting, mut headers: HeaderMap) -> Result<Self, Error> {
        let config = &connecting.config;
        let mut authorization = match HeaderValue::from_str(config.authorization().reveal()) {
            Ok(authorization) if !config.token.reveal().is_empty() => authorization,
            _ => return Err(Error::Token),
        };
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        let http = http(connecting, headers)?;
        // Additional certificates are parsed only here, so if there are any, they are the likely cause.
        let error = if config.extra_ca.is_some() { Error::Ca } else { Error::Client };
        if config.url.path() == "/" {
            let origin = config.url.origin().ascii_serialization();
            // With an empty token the library adds no credentials. Ours may have another scheme.
            let client = ClientBuilder::with_builder(http, &origin, &config.org, "").build();
            return client.map(Self::Root).map_err(error);
        }
        let http = http.build().map_err(|source| error(BuildError::ReqwestClientError { source }))?;
        Ok(Self::Below { http, config: Box::new(config.clone()) })
    }

    /// Writes lines, each ending in a newline. The default headers state their encoding.
    pub(super) async fn write(&self, org: &str, bucket: &str, body: Vec<u8>) -> Result<(), RequestError> {
        match self {
            Self::Root(client) => client.write_line_protocol(org, bucket, body).await,
            Self::Below { http, config } => {
                let query = [("bucket", bucket), ("org", org), ("precision", "ns")];
                let request = http.post(config.at("/api/v2/write")).query(&query).body(body);
                ask(request, StatusCode::NO_CONTENT).await.map(drop)
            }
        }
    }

    /// The id of an organisation. `None` when no organisation has this name, or when the token has no access to it.
    pub(super) async fn organization_id(&self, org: &str) -> Result<Option<String>, RequestError> {
        match self {
            Self::Root(client) => {
                let wanted =
                    ListOrganizationRequest { org: Some(org.to_owned()), ..ListOrganizationRequest::default() };
                let found = client.list_organizations(wanted).await?;
                Ok(found.orgs.into_iter().find(|found| found.name == *org).and_then(|found| found.id))
            }
            Self::Below { http, config } => {
                let request = http.get(config.at("/api/v2/orgs")).query(&[("org", org)]);
                let text = ask(request, StatusCode::OK).await?;
                let found: Organizations = serde_json::from_str(&text)
                    .map_err(|error| RequestError::Deserializing { text: error.to_string() })?;
                Ok(found.orgs.into_iter().find(|found| found.name == *org).and_then(|found| found.id))
            }
        }
    }

    /// Creates a bucket without a retention limit.
    pub(super) async fn create_bucket(&self, org_id: &str, bucket: &str) -> Result<(), RequestError> {
        let wanted = PostBucketRequest::new(org_id.to_owned(), bucket.to_owned());
        match self {
            Self::Root(client) => client.create_bucket(Some(wanted)).await,
            Self::Below { http, config } => {
                let body = serde_json::to_vec(&wanted).map_err(|source| RequestError::Serializing { source })?;
                let json = HeaderValue::from_static("application/json");
                let request = http.post(config.at("/api/v2/buckets")).header(CONTENT_TYPE, json).body(body);
                ask(request, StatusCode::CREATED).await.map(drop)
            }
        }
    }
}

/// Returns the body of an answer with the expected status. Any other status is an error with the body as its text.
async fn ask(request: RequestBuilder, expected: StatusCode) -> Result<String, RequestError> {
    let failed = |source| RequestError::ReqwestProcessing { source };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let text = answer.text().await.map_err(failed)?;
    if status == expected { Ok(text) } else { Err(RequestError::Http { status, text }) }
}

/// The settings of the HTTP client for the database.
pub(super) fn http(connecting: &Connecting, headers: HeaderMap) -> Result<reqwest::ClientBuilder, Error> {
    let Connecting { config, resolver, timeouts } = connecting;
    let names = Names { resolver: resolver.clone(), limit: timeouts.connect };
    let mut http = reqwest::ClientBuilder::new()
        .default_headers(headers)
        .user_agent(concat!("bandprobe/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(names))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total);
    if config.is_on_this_machine() {
        // A proxy in the environment is meant for other hosts.
        http = http.no_proxy();
    }
    for pem in config.extra_ca.iter().flat_map(|text| certificates(text)) {
        let source = |source| Error::Ca(BuildError::ReqwestClientError { source });
        http = http.add_root_certificate(reqwest::Certificate::from_pem(pem.as_bytes()).map_err(source)?);
    }
    Ok(http)
}

/// Our own resolver as the client's trait. The client tries all addresses in order.
struct Names {
    resolver: Resolver,
    limit: Duration,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, limit) = (self.resolver.clone(), self.limit);
        Box::pin(async move {
            let addresses = resolver.find(name.as_str(), FamilyChoice::Any, limit).await?;
            // The client sets the port.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| (address, 0).into()));
            Ok(addresses)
        })
    }
}

/// The single certificates of a PEM text, because the client takes one at a time.
fn certificates(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(PEM_END).filter(|pem| pem.contains(PEM_END))
}

const PEM_END: &str = "-----END CERTIFICATE-----";
