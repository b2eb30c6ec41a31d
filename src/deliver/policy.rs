//! What an answer of the database means. Pure: the caller supplies the random number, and nothing here reads a clock
//! or socket.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    answer::{Answer, one_line},
    bucket::Bucket,
    client_errors::LOOKUP,
};
use crate::model::text::made_printable;

/// What to do with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is stored.
    Delivered,
    /// It is too large: send it in halves, or quarantine its only line.
    Halve {
        /// The server's message.
        message: String,
    },
    /// The database refuses at least one line permanently: find that line and send the others.
    Refused {
        /// The server's message.
        message: String,
        /// How many lines were not stored. `None` when the server does not say.
        dropped: Option<u64>,
    },
    /// Nothing can be delivered until the user changes something: keep everything, and try again after [`hold`].
    Hold {
        /// What to change, and where.
        reason: String,
    },
    /// Like [`Decision::Hold`], but only the bucket is missing, which bandprobe may be able to create.
    NoBucket {
        /// What to change, and where.
        reason: String,
    },
    /// It may work later: back off.
    Retry {
        /// What happened.
        reason: String,
        /// Whether a smaller batch may help, because the answer took too long.
        less: bool,
    },
}

/// How long to wait for the next try when the user has to change something, after this many failures in a row (the
/// first is 1). It starts at 5 s and doubles up to 60 s. The first waits are short because a user who has just started
/// the worker is probably fixing the problem.
#[must_use]
pub fn hold(failures: u32) -> Duration {
    FIRST_HOLD.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MAX_HOLD)
}

/// What to do after an answer.
///
/// 400 and 422 refer to lines. With InfluxDB 2.9.1, a line that does not parse gives a 400, and nothing of the batch
/// is stored. A wrong field type, or a point older than the retention, gives a 422, and the other lines are stored.
/// Every 2xx except 204, every 3xx, and a 400 without InfluxDB's JSON come from another server. A proxy in front of
/// InfluxDB may also answer 413, and smaller batches help. `is_smallest` marks a batch that cannot sensibly be
/// smaller: for such a batch, only a 413 from InfluxDB itself refers to the lines.
#[must_use]
pub fn decide(answer: &Answer, bucket: &Bucket, is_smallest: bool) -> Decision {
    let Bucket { root, org, name: bucket, token_from } = bucket;
    let (status, text) = match answer {
        Answer::Stored => return Decision::Delivered,
        Answer::Failed { problem, timed_out } => {
            let reason = format!("{root}: {}{}", made_printable(problem), advice(problem));
            return Decision::Retry { reason, less: *timed_out };
        }
        Answer::Status { status, text } => (*status, text),
    };
    let body = Body::of(text);
    let (is_influx, is_about_lines) = (body.message.is_some(), body.message.is_some() && !body.is_about_request);
    let (dropped, text) = (body.dropped, one_line(body.message.as_deref().unwrap_or(text)));
    let held = |advice: String| Decision::Hold { reason: format!("{root} answered {status} ({text}): {advice}") };
    match status {
        400 | 422 if is_about_lines => Decision::Refused { dropped, message: text },
        413 if is_influx || !is_smallest => Decision::Halve { message: text },
        413 => held(
            "even the smallest batch is too large for this server, which does not answer like InfluxDB; raise the limit \
             of the proxy in front of it, or correct [influxdb] url"
                .to_owned(),
        ),
        400 | 422 if is_influx => held(
            "it accepts no points like this; correct [influxdb] bucket, or raise the limit in the message".to_owned(),
        ),
        401 => held(format!("the token is not accepted; put a valid one in {token_from}")),
        403 => held(format!(
            "the token may not write to bucket {bucket:?} of org {org:?}; grant it write access, or put another one in {token_from}"
        )),
        // InfluxDB 2.x: `organization name "x" not found`, and for the bucket `bucket "x" not found`.
        404 if text.contains("organization") => {
            held(format!("there is no org {org:?}, or the token has no access to it; correct [influxdb] org"))
        }
        // InfluxDB 3 answers `not found` without JSON, but never with HTML.
        404 if text.starts_with('<') => held(NOT_INFLUXDB.to_owned()),
        404 => Decision::NoBucket {
            reason: format!(
                "{root} answered {status} ({text}): create the bucket {bucket:?} in org {org:?}, or correct [influxdb] \
                 bucket, org or url; the token needs access to both"
            ),
        },
        429 | 408 | 500..=599 => Decision::Retry { reason: format!("{root} answered {status} ({text})"), less: false },
        200..=399 => held(NOT_INFLUXDB.to_owned()),
        _ => held("InfluxDB does not answer like this; check [influxdb] url".to_owned()),
    }
}

/// What to do about a failed connection. Empty when the text of the problem does not show it.
fn advice(problem: &str) -> &'static str {
    let says = |words: &str| problem.contains(words);
    if says("the server's certificate") {
        "; if it is the right server, trust its authority with [influxdb] ca-file"
    } else if says("does not answer with TLS") {
        "; the server does not use TLS: should [influxdb] url start with http:// ?"
    } else if says(LOOKUP) {
        "; is the name in [influxdb] url right?"
    } else if says("refused") {
        "; is InfluxDB running there, and [influxdb] url right? Check also the proxy variables in the environment"
    } else {
        ""
    }
}

/// How long to back off after this many failures in a row (the first is 1). Full jitter: a uniform share, `dice` in
/// [0, 1), of a cap that doubles from 1 s to 60 s, so that workers do not return simultaneously. After Brooker,
/// "Exponential backoff and jitter", AWS Architecture Blog, 2015.
#[must_use]
pub fn backoff(failures: u32, dice: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let cap = FIRST_BACKOFF.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    cap.mul_f64(dice.clamp(0.0, 1.0))
}

/// The content of an answer's body.
#[derive(Default)]
struct Body {
    /// InfluxDB's message, if the body is InfluxDB's JSON: `message` of 2.x, `error` of 1.8 and 3.x.
    message: Option<String>,
    /// Whether it says that the request was refused as a whole, so no line is at fault.
    is_about_request: bool,
    /// How many lines were not stored. `None` when it does not say.
    dropped: Option<u64>,
}

impl Body {
    fn of(text: &str) -> Self {
        let json: Json = serde_json::from_str(text).unwrap_or_default();
        let message = json.get("message").or_else(|| json.get("error")).and_then(Json::as_str).map(str::to_owned);
        let dropped = message.as_deref().and_then(dropped);
        match json.get("data") {
            Some(Json::Null) => Self { message, is_about_request: true, dropped },
            // "partial write of line protocol occurred", with an error for each refused line.
            Some(Json::Array(lines)) => {
                let reason = lines.first().and_then(|line| line.get("error_message")).and_then(Json::as_str);
                let with_reason = |message| reason.map(|reason| format!("{message}: {reason}")).unwrap_or(message);
                Self { message: message.map(with_reason), dropped: Some(lines.len() as u64), is_about_request: false }
            }
            _ => Self { message, dropped, is_about_request: false },
        }
    }
}

/// The number in "partial write: … dropped=7". It is at the end, or before " for database: …", and possibly beyond the
/// text that we show. It is ignored when a line could not be parsed: the message repeats that line, and the line may
/// contain words of a probed node.
fn dropped(text: &str) -> Option<u64> {
    let (before, after) = text.trim_end().rsplit_once("dropped=")?;
    let number = after.split_once(" for database: ").map_or(after, |(number, _)| number);
    let is_count = before.contains("partial write") && !before.contains("unable to parse");
    number.parse().ok().filter(|_| is_count)
}

const NOT_INFLUXDB: &str = "this is not InfluxDB but a captive portal, a proxy or another server; sign in to the network, \
                            or correct [influxdb] url";
const FIRST_HOLD: Duration = Duration::from_secs(5);
const MAX_HOLD: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bucket() -> Bucket {
        let (root, token_from) = ("http://db:8086".to_owned(), "/etc/bandprobe/token".to_owned());
        Bucket { root, org: "dwg".into(), name: "bandprobe".into(), token_from }
    }

    fn decision(status: u16, text: &str) -> Decision {
        decide(&Answer::Status { status, text: text.to_owned() }, &bucket(), false)
    }

    #[test]
    fn only_a_204_counts_as_delivered() {
        let bucket = bucket();
        assert_eq!(decide(&Answer::Stored, &bucket, false), Decision::Delivered);
        let refused = Answer::Failed { problem: "connection refused".into(), timed_out: false };
        let down = decide(&refused, &bucket, false);
        let reason =
            "http://db:8086: connection refused; is InfluxDB running there, and [influxdb] url right? Check also \
                      the proxy variables in the environment"
                .to_owned();
        assert_eq!(down, Decision::Retry { reason, less: false });
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(decision(status, ""), Decision::Retry { .. }), "{status}");
        }
        for status in [400, 422, 200, 201, 202, 206, 301, 302, 307, 401, 402, 403, 405, 418, 411] {
            assert!(matches!(decision(status, "<html>"), Decision::Hold { .. }), "{status}");
        }
        assert_eq!(decision(413, ""), Decision::Halve { message: "no text".into() });
    }

    #[test]
    fn the_smallest_batch_is_halved_only_for_influxdb() {
        let bucket = bucket();
        for (text, least, halves) in [
            ("<html>", false, true),
            ("<html>", true, false),
            (r#"{"message":"too large"}"#, false, true),
            (r#"{"message":"too large"}"#, true, true),
        ] {
            let decision = decide(&Answer::Status { status: 413, text: text.to_owned() }, &bucket, least);
            match decision {
                Decision::Halve { .. } => assert!(halves, "{text} {least}"),
                Decision::Hold { reason } => assert!(!halves && reason.contains("raise the limit"), "{text}: {reason}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_hold_says_what_to_change() {
        for (status, text, expected) in [
            (401, r#"{"code":"unauthorized","message":"unauthorized access"}"#, "401 (unauthorized access): the token"),
            (404, r#"{"message":"bucket \"bandprobe\" not found"}"#, r#"create the bucket "bandprobe" in org "dwg""#),
            (404, r#"{"message":"organization name \"dwg\" not found"}"#, r#"there is no org "dwg""#),
            (401, "", "put a valid one in /etc/bandprobe/token"),
            (403, "", r#"may not write to bucket "bandprobe""#),
            (403, "", "put another one in /etc/bandprobe/token"),
            (302, "", "captive portal"),
            (404, "<html>404", "captive portal"),
            (401, "\u{1b}]0;x\u{7} no", "401 (\u{fffd}]0;x\u{fffd} no): the token"),
            (200, "<html>\n <title>Sign in", "200 (<html> <title>Sign in): this is not InfluxDB"),
        ] {
            let (Decision::Hold { reason } | Decision::NoBucket { reason }) = decision(status, text) else {
                panic!("{status}")
            };
            assert!(reason.contains(expected) && reason.contains("http://db:8086"), "{reason}");
        }
    }

    #[test]
    fn refused_lines_keep_the_message_and_their_number() {
        let text = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict dropped=12"}"#;
        let Decision::Refused { message, dropped } = decision(422, text) else { panic!() };
        assert_eq!((dropped, message.starts_with("failure writing points")), (Some(12), true));
        // The repeated line may contain words of a probed node.
        for message in ["unable to parse 'm error=\"partial write dropped=3'", "partial write: dropped=3 of them"] {
            let Decision::Refused { dropped, .. } = decision(400, &json!({"message": message}).to_string()) else {
                panic!()
            };
            assert_eq!(dropped, None, "{message}");
        }
        let unparsed = Decision::Refused { message: "unable to parse 'x'".into(), dropped: None };
        assert_eq!(decision(400, r#"{"message":"unable to parse 'x'"}"#), unparsed);
    }

    /// The shapes of InfluxDB 3 Core: influxdb3_server/src/http.rs of its sources.
    #[test]
    fn a_request_refused_as_a_whole_blames_no_line() {
        for (status, message) in [
            (400, "db name did not start with a number or letter"),
            (422, "Adding a new database would exceed limit of 5 databases"),
        ] {
            let Decision::Hold { reason } = decision(status, &format!(r#"{{"error":"{message}","data":null}}"#)) else {
                panic!("{message}")
            };
            assert!(reason.contains(message) && reason.contains("correct [influxdb] bucket"), "{reason}");
        }
        let partial = r#"{"error":"partial write of line protocol occurred","data":[
            {"original_line":"m v=\"x\" 2","line_number":2,"error_message":"invalid column type for column 'v'"},
            {"original_line":"m v= 3","line_number":3,"error_message":"No fields were provided"}]}"#;
        let message = "partial write of line protocol occurred: invalid column type for column 'v'".to_owned();
        assert_eq!(decision(400, partial), Decision::Refused { message, dropped: Some(2) });
        let whole = r#"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"m v= 3",
            "line_number":1,"error_message":"No fields were provided"}}"#;
        let message = "parsing failed for write_lp endpoint".to_owned();
        assert_eq!(decision(400, whole), Decision::Refused { message, dropped: None });
    }

    #[test]
    fn a_hold_doubles_up_to_a_minute() {
        for (failures, seconds) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (u32::MAX, 60)] {
            assert_eq!(hold(failures), Duration::from_secs(seconds), "{failures}");
        }
    }

    #[test]
    fn a_backoff_doubles_up_to_a_minute() {
        for (failures, cap) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            assert_eq!(backoff(failures, 1.0), Duration::from_secs(cap), "{failures}");
            assert_eq!(backoff(failures, 0.5), Duration::from_secs(cap) / 2, "{failures}");
            assert_eq!(backoff(failures, 0.0), Duration::ZERO, "{failures}");
        }
    }
}
