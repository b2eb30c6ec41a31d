//! `[influxdb]`, and the files that hold secrets and certificates.

use std::sync::Arc;

use url::Url;

use super::{
    super::{InfluxDb, Order, Secret, TokenSource, file::Section},
    Input, resolve,
};
use crate::model::{
    target::{Endpoint, EndpointError},
    units::BitRate,
};

const MAX_NAME_CHARS: usize = 200;
const MAX_TOKEN_BYTES: usize = 4_096;
const MAX_CA_BYTES: usize = 1 << 20;
/// At a lower rate, a batch of results would take longer than the request may, so delivery would never catch up.
const LEAST_RATE: BitRate = BitRate(100_000);
const ORDERS: [(&str, Order); 2] = [("oldest-first", Order::OldestFirst), ("recent-first", Order::RecentFirst)];
const TOKEN_VARIABLE: &str = "BANDPROBE_INFLUXDB_TOKEN";
/// Paths of the APIs of InfluxDB 1.x to 3.x, the longest first. A URL that was copied from another client may end with
/// one.
const API_PATHS: [&str; 8] =
    ["/api/v2/write", "/api/v2/query", "/api/v3/write_lp", "/api/v2", "/api/v3", "/write", "/query", "/ping"];
/// A token starts with one of these when the whole header was copied.
const SCHEMES: [&str; 3] = ["Token ", "Bearer ", "Basic "];
const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Reads the section; `None` when it is missing or was refused.
pub(super) fn influxdb(root: &Section<'_>, input: &Input<'_>) -> Option<InfluxDb> {
    let section = root.section("influxdb");
    if !section.is_present() {
        return None;
    }
    let url = section.required("url", section.parse("url", url), "the root of its API, as in `http://127.0.0.1:8086`");
    let org = section.required("org", section.parse("org", name), "the organisation that owns the bucket");
    let bucket = section.required("bucket", section.parse("bucket", name), "the bucket for the points");
    let token = token(&section, input);
    let extra_ca = certificates(&section, "ca-file", input);
    let create_bucket = section.yes_or_no("create-bucket").unwrap_or(false);
    let order = section.choice("order", &ORDERS).unwrap_or_default();
    let rate = section.parse("rate", rate);
    section.done();
    let (token, token_from) = token?;
    let database = InfluxDb::new(url?, &org?, &bucket?, token);
    Some(InfluxDb { token_from, extra_ca, create_bucket, order, rate: rate.unwrap_or(database.rate), ..database })
}

/// The PEM text of a key that names a certificate file.
pub(super) fn certificates(section: &Section<'_>, key: &'static str, input: &Input<'_>) -> Option<Arc<str>> {
    section.parse(key, |file| {
        let bytes = read(file, input, MAX_CA_BYTES)?;
        match String::from_utf8(bytes) {
            Ok(text) if text.contains(PEM_CERTIFICATE) => Ok(Arc::from(text)),
            _ => Err(format!("`{file}` contains no PEM certificate: it should contain `{PEM_CERTIFICATE}`")),
        }
    })
}

/// PEM certificates that are written in the configuration itself.
pub(super) fn inline_certificates(section: &Section<'_>, key: &'static str) -> Option<Arc<str>> {
    section.parse(key, |text| match text {
        text if text.len() > MAX_CA_BYTES => Err(format!("is larger than {MAX_CA_BYTES} bytes")),
        text if text.contains(PEM_CERTIFICATE) => Ok(Arc::from(text)),
        _ => Err(format!(
            "is not a PEM certificate: it should contain `{PEM_CERTIFICATE}`; to name a file, use `{key}-file`"
        )),
    })
}

/// The token and its source: `BANDPROBE_INFLUXDB_TOKEN`, or else the file. It is never a key of the file, because
/// configurations are shared.
fn token(section: &Section<'_>, input: &Input<'_>) -> Option<(Secret, TokenSource)> {
    // Both are known keys, whichever of them is used.
    let (is_given, _) = (section.has("token"), section.has("token-file"));
    if section.is_written("token") {
        section.refuse_with(
            "token",
            "a secret does not belong in this file",
            format!("name a file with `token-file`, or set {TOKEN_VARIABLE}"),
        );
        return None;
    }
    if is_given {
        let token = section.parse("token", |text| secret(text, "the token"))?;
        return Some((token, TokenSource::Variable(TOKEN_VARIABLE)));
    }
    let token = section.parse("token-file", |file| {
        let text = text(file, read(file, input, MAX_TOKEN_BYTES)?)?;
        Ok::<_, String>((secret(&text, &format!("`{file}`"))?, TokenSource::File(resolve(input.path, file))))
    });
    section.required("token-file", token, "name the file that contains the API token, or set BANDPROBE_INFLUXDB_TOKEN")
}

/// The text of a token file, as editors on any system save it.
fn text(file: &str, bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return Err(format!("`{file}` is UTF-16 or binary: save it as plain text in UTF-8"));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{file}` is not valid UTF-8: it should contain only the token"))
}

/// Checks a secret: one line, without the byte order mark, spaces and line ends around it. A token has only visible
/// ASCII characters. The credentials of InfluxDB 1.8, `user:password`, may have others.
fn secret(text: &str, whence: &str) -> Result<Secret, String> {
    let line = text.trim_start_matches('\u{feff}').trim_matches(|c: char| c.is_ascii_whitespace());
    if line.is_empty() {
        Err(format!("{whence} is empty: it should contain the token"))
    } else if line.contains(['\n', '\r']) {
        Err(format!("{whence} has {} lines: it should contain only the token", line.lines().count()))
    } else if line.chars().any(char::is_control) {
        Err(format!("{whence} has a control character in it, which no token has"))
    } else if SCHEMES.iter().any(|scheme| line.starts_with(scheme)) {
        Err(format!("{whence} starts like an `authorization` header: it should hold only the token"))
    } else if !line.contains(':') && line.chars().any(|c| c.is_whitespace() || !c.is_ascii()) {
        Err(format!(
            "{whence} has a space or a non-ASCII character in it, which no token has (credentials of InfluxDB 1.8 are \
             written `user:password`)"
        ))
    } else {
        Ok(Secret::new(line))
    }
}

fn read(file: &str, input: &Input<'_>, most: usize) -> Result<Vec<u8>, String> {
    let bytes = (input.read)(&resolve(input.path, file)).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    if bytes.len() > most {
        Err(format!("`{file}` is larger than {most} bytes: is this the right file?"))
    } else {
        Ok(bytes)
    }
}

fn url(text: &str) -> Result<Url, String> {
    let endpoint = text.parse::<Endpoint>().map_err(|error| match error {
        EndpointError::NotUrl(_) => {
            format!("`{text}` is not a URL: include the scheme, as in http://127.0.0.1:8086")
        }
        EndpointError::Scheme(_, scheme) => {
            format!("`{text}` has scheme `{scheme}`: InfluxDB only supports http and https")
        }
        EndpointError::Surplus(shown, what) => format!("`{shown}` has a {what}: give only the root of the API"),
        EndpointError::NoHost(_) => error.to_string(),
    })?;
    let url = endpoint.as_url();
    let path = url.path().trim_end_matches('/');
    match API_PATHS.iter().find_map(|api| path.strip_suffix(api)) {
        Some(above) => Err(format!(
            "`{text}` names a path of the API: write its root, {}{above}/, to which bandprobe adds the paths",
            url.origin().ascii_serialization()
        )),
        None => Ok(url.clone()),
    }
}

fn rate(text: &str) -> Result<BitRate, String> {
    match text.parse() {
        Ok(rate) if rate < LEAST_RATE => {
            Err(format!("`{text}` is too slow for delivery: it must be at least {LEAST_RATE}"))
        }
        Ok(rate) => Ok(rate),
        Err(error) => Err(error.to_string()),
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("is empty".to_owned())
    } else if text.chars().count() > MAX_NAME_CHARS || text.chars().any(char::is_control) {
        Err(format!("is not a name: at most {MAX_NAME_CHARS} characters, without control characters"))
    } else {
        Ok(text.to_owned())
    }
}
