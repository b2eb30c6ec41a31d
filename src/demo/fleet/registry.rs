//! The registry of the simulated network: GraphQL over HTTP in one of Joystream's dialects. A real GraphQL engine runs
//! the queries on the network's own data. Fields that a schema lacks are therefore refused as by a real server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use apollo_compiler::{
    ExecutableDocument, Schema,
    resolvers::Execution,
    response::{GraphQLError, JsonMap},
    validation::Valid,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use crate::config::Dialect;

use super::{
    super::{
        DemoError,
        answer::{json, validation_error},
        response_body::ResponseBody,
    },
    library::Library,
};

mod filter;
mod graph;
mod listing;
mod rows;

use graph::Graph;
use rows::Root;

/// The data that the registry lists.
pub(in crate::demo) struct RegistryContent<'a> {
    pub(in crate::demo) library: &'a Library,
    /// Endpoints by node name. A node that is not in the map is not listed.
    pub(in crate::demo) endpoints: HashMap<&'static str, Option<String>>,
}

/// The registry, shared by all its connections.
#[derive(Debug)]
pub(in crate::demo) struct Registry {
    schema: Valid<Schema>,
    dialect: Dialect,
    listed: Mutex<RegistryState>,
}

#[derive(Debug)]
struct RegistryState {
    graph: Arc<Graph>,
    /// The status that a proxy in front of the registry returns instead of the registry's answer.
    outage: Option<StatusCode>,
}

/// The body of a request (GraphQL over HTTP, §5.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphQlRequest {
    query: String,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default)]
    operation_name: Option<String>,
}

/// The body of a response to a request that was not executed.
#[derive(Serialize)]
struct GraphQlErrors {
    errors: Vec<GraphQLError>,
}

impl Registry {
    pub(in crate::demo) fn new(dialect: Dialect, content: &RegistryContent<'_>) -> Result<Self, DemoError> {
        let text = match dialect {
            Dialect::Hydra => HYDRA,
            Dialect::Orion => ORION,
            Dialect::StorageSquid => STORAGE_SQUID,
        };
        let schema = Schema::parse_and_validate(text, dialect.label());
        let schema = schema.map_err(|invalid| DemoError::Schema(invalid.errors.to_string()))?;
        let graph = Arc::new(listing::graph(dialect, content));
        Ok(Self { schema, dialect, listed: Mutex::new(RegistryState { graph, outage: None }) })
    }

    /// Replaces the listed data.
    pub(in crate::demo) fn relist(&self, content: &RegistryContent<'_>) {
        let graph = Arc::new(listing::graph(self.dialect, content));
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).graph = graph;
    }

    /// Makes a proxy answer with this status instead of the registry; `None` ends that.
    pub(in crate::demo) fn cut(&self, outage: Option<StatusCode>) {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).outage = outage;
    }

    /// Answers one request.
    pub(in crate::demo) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        if path != "/graphql" {
            return validation_error(StatusCode::NOT_FOUND, &path, "not found");
        }
        let (graph, outage) = {
            let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&listed.graph), listed.outage)
        };
        if let Some(status) = outage {
            return page(status);
        }
        if request.method() != Method::POST {
            return validation_error(StatusCode::METHOD_NOT_ALLOWED, &path, "POST it");
        }
        let Ok(body) = Limited::new(request.into_body(), MAX_REQUEST).collect().await else {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, vec![plain("request entity too large")]);
        };
        let Ok(asked) = serde_json::from_slice(&body.to_bytes()) else {
            return refused(StatusCode::BAD_REQUEST, vec![plain("POST body is no GraphQL request")]);
        };
        self.execute(&asked, &graph)
    }

    /// Returns 400 for what cannot be executed, and 200 with `errors` for what fails during execution, as Apollo Server
    /// does.
    fn execute(&self, asked: &GraphQlRequest, graph: &Graph) -> Response<ResponseBody> {
        let bad = |errors| refused(StatusCode::BAD_REQUEST, errors);
        let document = match ExecutableDocument::parse_and_validate(&self.schema, &asked.query, "query") {
            Ok(document) => document,
            Err(invalid) => {
                let errors = invalid.errors.iter().map(|error| error.unstable_to_json_compat());
                return bad(errors.collect());
            }
        };
        let none = JsonMap::new();
        let executed = Execution::new(&self.schema, &document)
            .enable_schema_introspection(true)
            .raw_variable_values(asked.variables.as_ref().unwrap_or(&none))
            .operation_name(asked.operation_name.as_deref())
            .and_then(|execution| execution.execute_sync(&Root { graph }));
        match executed {
            Ok(response) => json(StatusCode::OK, written(&response)),
            Err(error) => bad(vec![error.to_graphql_error(&document.sources)]),
        }
    }
}

fn refused(status: StatusCode, errors: Vec<GraphQLError>) -> Response<ResponseBody> {
    json(status, written(&GraphQlErrors { errors }))
}

/// The HTML error page of a proxy.
fn page(status: StatusCode) -> Response<ResponseBody> {
    let text = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
    let mut response = json(status, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn plain(message: &str) -> GraphQLError {
    GraphQLError::new(message, None, &Default::default())
}

fn written(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("invariant: strings and numbers always serialise")
}

const HYDRA: &str = include_str!("registry/hydra.graphql");
const ORION: &str = include_str!("registry/orion.graphql");
const STORAGE_SQUID: &str = include_str!("registry/storage-squid.graphql");
/// The longest request body, in bytes.
const MAX_REQUEST: usize = 1 << 20;
