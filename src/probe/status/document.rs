//! The status document of a distributor or storage node. Each field is read separately, because the content is
//! untrusted.

use std::collections::HashMap;

use http::{HeaderMap, StatusCode, header::LOCATION};
use serde_json::{Value, value::RawValue};

use crate::{
    model::{
        health::{OtherContent, StatusDocument},
        text::made_printable,
    },
    probe::verify::text,
};

/// The fields of an object, not parsed yet, so that an unreadable field does not invalidate the others.
struct Fields<'a>(HashMap<String, &'a RawValue>);

/// Parses a body. `None` when it is not a status document: not a JSON object, or an object without any of the known
/// fields.
pub(super) fn parse(body: &[u8]) -> Option<StatusDocument> {
    let fields = Fields(serde_json::from_slice(body).ok()?);
    let query_node = fields.0.get("queryNodeStatus").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let query_node = Fields(query_node.unwrap_or_default());
    let document = StatusDocument {
        version: fields.words("version"),
        node_env: fields.words_or_empty("nodeEnv"),
        uptime_s: fields.number("uptime"),
        storage_used: fields.number("storageUsed"),
        storage_limit: fields.number("storageLimit"),
        cached_objects: fields.number("objectsInCache"),
        downloads_in_progress: fields.number("downloadsInProgress"),
        blocks_processed: query_node.number("blocksProcessed"),
        chain_head: query_node.number("chainHead"),
    };
    (document != StatusDocument::default()).then_some(document)
}

/// The kind of answer when the body is not a status document.
pub(super) fn other_content(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> OtherContent {
    if status.is_redirection() {
        let to = text(headers, &LOCATION).unwrap_or_default();
        return OtherContent::Redirect(made_printable(&to.chars().take(MAX_LOCATION).collect::<String>()));
    }
    let fields = serde_json::from_slice(body).map(Fields).ok();
    if let Some(message) = fields.as_ref().and_then(|fields| fields.text("message", MAX_MESSAGE)) {
        let is_typed = fields.is_some_and(|fields| fields.words("type").is_some());
        return OtherContent::Error { is_typed, message };
    }
    if body.is_empty() {
        return OtherContent::Empty;
    }
    let is_page = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
    if is_page { OtherContent::Page } else { OtherContent::Unknown }
}

impl Fields<'_> {
    fn value(&self, key: &str) -> Option<Value> {
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }

    /// A number that is not negative, without its fraction. GraphQL's `BigInt` arrives as text.
    fn number(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        }
    }

    /// A text that is not empty.
    fn words(&self, key: &str) -> Option<String> {
        self.words_or_empty(key).filter(|words| !words.is_empty())
    }

    fn words_or_empty(&self, key: &str) -> Option<String> {
        self.text(key, MAX_WORDS)
    }

    /// A text, made printable and cut after `most` characters.
    fn text(&self, key: &str, most: usize) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(made_printable(&text.chars().take(most).collect::<String>())),
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be within, and dropping the fraction is wanted")]
fn whole(number: f64) -> Option<u64> {
    (0.0..9.2e18).contains(&number).then_some(number as u64)
}

/// Characters of a version or an environment; both are short words.
const MAX_WORDS: usize = 40;
const MAX_LOCATION: usize = 100;
/// Characters of a message of the node. It goes into a reason that people read.
const MAX_MESSAGE: usize = 160;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DISTRIBUTOR: &str = r#"{"id":"klaudiusz-node","version":"2.1.2","workerId":12,"objectsInCache":2,
        "storageLimit":536870912000,"storageUsed":123456789,"uptime":2,"downloadsInProgress":1,
        "queryNodeStatus":{"url":"http://squid-graphql-server:4352/graphql","chainHead":5678901,
        "blocksProcessed":5678899,"packageVersion":"1.2.0"},"nodeEnv":"production"}"#;

    fn real() -> StatusDocument {
        StatusDocument {
            version: Some("2.1.2".into()),
            node_env: Some("production".into()),
            uptime_s: Some(2),
            storage_used: Some(123_456_789),
            storage_limit: Some(536_870_912_000),
            cached_objects: Some(2),
            downloads_in_progress: Some(1),
            blocks_processed: Some(5_678_899),
            chain_head: Some(5_678_901),
        }
    }

    #[test]
    fn real_documents_are_read() {
        assert_eq!(parse(DISTRIBUTOR.as_bytes()), Some(real()));
        let old = r#"{"id":"n","version":"1.0.0","objectsInCache":0,"storageLimit":1,"storageUsed":0,"uptime":9,
            "downloadsInProgress":0,"queryNodeStatus":{"url":"u","chainHead":7,"blocksProcessed":6}}"#;
        let document = parse(old.as_bytes()).unwrap();
        assert_eq!(
            (document.version.as_deref(), document.node_env, document.chain_head),
            (Some("1.0.0"), None, Some(7))
        );
        let storage = r#"{"version":"4.5.0","uptime":8123,"uploadBuckets":["0"],"downloadBuckets":["0"],
            "sync":{"enabled":true,"interval":1},"cleanup":{"enabled":false},
            "queryNodeStatus":{"url":"…","chainHead":1,"blocksProcessed":1},"nodeEnv":"production"}"#;
        let expected = StatusDocument {
            version: Some("4.5.0".into()),
            node_env: Some("production".into()),
            uptime_s: Some(8_123),
            blocks_processed: Some(1),
            chain_head: Some(1),
            ..StatusDocument::default()
        };
        assert_eq!(parse(storage.as_bytes()), Some(expected));
    }

    #[test]
    fn an_invalid_field_is_unknown_and_affects_no_other() {
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        for wrong in ["null", "true", "-1", "-0.5", "1e400", "1e19", "\"-1\"", "\"\"", "\"2,1\"", "{}", "[1]", &deep] {
            let hostile = DISTRIBUTOR.replace("\"uptime\":2,", &format!("\"uptime\":{wrong},\"more\":{wrong},"));
            let expected = StatusDocument { uptime_s: None, ..real() };
            assert_eq!(parse(hostile.as_bytes()), Some(expected), "{}", &wrong[..wrong.len().min(20)]);
        }
        for (right, number) in [("\"7\"", 7), ("7.9", 7), ("1e3", 1_000), ("18446744073709551615", u64::MAX)] {
            let odd = DISTRIBUTOR.replace("\"uptime\":2,", &format!("\"uptime\":{right},"));
            assert_eq!(parse(odd.as_bytes()), Some(StatusDocument { uptime_s: Some(number), ..real() }), "{right}");
        }
        for wrong in ["null", "[]", "\"x\"", "7", &deep] {
            let start = DISTRIBUTOR.find("{\"url\"").unwrap();
            let end = DISTRIBUTOR.find("},\"nodeEnv\"").unwrap() + 1;
            let hostile = format!("{}{wrong}{}", &DISTRIBUTOR[..start], &DISTRIBUTOR[end..]);
            let expected = StatusDocument { blocks_processed: None, chain_head: None, ..real() };
            assert_eq!(parse(hostile.as_bytes()), Some(expected));
        }
        let twice = DISTRIBUTOR.replace("\"uptime\":2,", "\"uptime\":2,\"uptime\":3,");
        assert_eq!(parse(twice.as_bytes()).unwrap().uptime_s, Some(3));
        let loud = format!("{{\"version\":\"\\u001b[31m{}\"}}", "v".repeat(1_000));
        assert_eq!(parse(loud.as_bytes()).unwrap().version.unwrap(), format!("\u{fffd}[31m{}", "v".repeat(35)));
    }

    #[test]
    fn an_empty_environment_differs_from_a_missing_one() {
        for (env, expected) in [("\"\"", Some("")), ("\"prod\"", Some("prod")), ("null", None), ("1", None)] {
            let document = DISTRIBUTOR.replace("\"nodeEnv\":\"production\"", &format!("\"nodeEnv\":{env}"));
            assert_eq!(parse(document.as_bytes()).unwrap().node_env.as_deref(), expected, "{env}");
        }
    }

    #[test]
    fn other_bodies_are_not_status_documents() {
        for body in
            ["", "{}", "[]", "null", "<html></html>", "{\"status\":\"ok\"}", "{\"uptime\":-1}", "{\"version\":\"1\""]
        {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
        assert_eq!(parse(b"{\"version\":\"\xff\"}"), None);
    }

    proptest! {
        /// Any body gives an answer, and what it says about the chain is a number or `None`.
        #[test]
        fn no_body_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..500_usize,
            gone in 0..30_usize,
            new in "[\\PC\"{}:,\\[\\]]{0,12}",
        ) {
            let headers = HeaderMap::new();
            let mut document = DISTRIBUTOR.as_bytes().to_vec();
            let cut = cut % document.len();
            let end = (cut + gone).min(document.len());
            document.splice(cut..end, new.bytes());
            for body in [bytes, document] {
                let _ = other_content(StatusCode::OK, &headers, &body);
                if let Some(document) = parse(&body) {
                    prop_assert!(serde_json::from_slice::<HashMap<String, &RawValue>>(&body).is_ok());
                    prop_assert!(document.version.is_none_or(|version| version.chars().count() <= MAX_WORDS));
                }
            }
        }
    }

    #[test]
    fn other_contents_are_recognised() {
        let typed = r#"{"type":"request_validation","message":"not found","errors":[]}"#;
        let said = |message: &str| OtherContent::Error { is_typed: false, message: message.to_owned() };
        let long = format!(r#"{{"message":"{}"}}"#, "m".repeat(1_000));
        for (status, location, body, expected) in [
            (404, None, typed, OtherContent::Error { is_typed: true, message: "not found".into() }),
            (404, None, r#"{"message":"Data object does not exist"}"#, said("Data object does not exist")),
            (500, None, &long, said(&"m".repeat(MAX_MESSAGE))),
            (500, None, r#"{"message":"\u001b[31mred"}"#, said("\u{fffd}[31mred")),
            (500, None, r#"{"message":7}"#, OtherContent::Unknown),
            (404, None, " \n<!doctype html><title>404</title>", OtherContent::Page),
            (404, None, "", OtherContent::Empty),
            (302, Some("https://a.example/x"), "<a>", OtherContent::Redirect("https://a.example/x".into())),
            (301, None, "", OtherContent::Redirect(String::new())),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(location) = location {
                headers.insert(LOCATION, location.parse().unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(other_content(status, &headers, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
