//! `bandprobe probe URL`.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use bandprobe::{
    demo::{Behaviour, IMAGE_ID, NodePlan, VIDEO_ID},
    record::schema::transfer as schema,
};
use serde_json::Value;

use super::{Ended, World, bandprobe, command, objects, sound};
use crate::fault::{FaultServer, cases, certificate};

fn url(world: &World, node: usize, asset: &str) -> String {
    format!("{}api/v1/assets/{asset}", world.demo.nodes()[node].endpoint)
}

#[test]
fn warm_transfers_use_the_connection_of_the_cold_one() {
    let tls = NodePlan { id: "tls", tls: true, ..sound("tls") };
    let world = World::new(vec![sound("plain"), tls]);
    let ca = world.path("ca.pem");
    for (node, http) in [(0, "1.1"), (1, "2")] {
        let url = url(&world, node, IMAGE_ID);
        let ended = bandprobe(&["probe", &url, "--warm", "2", "--json", "--ca-file", ca.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let samples = objects(&ended.stdout);
        let conns: Vec<_> = samples.iter().map(|sample| sample["conn"].as_str().unwrap()).collect();
        assert_eq!(conns, ["cold", "warm", "warm"]);
        for sample in &samples {
            let text = |name: &str| sample[name].as_str().unwrap();
            assert_eq!((text("measurement"), text("vantage"), text("outcome")), ("bandprobe_transfer", "local", "ok"));
            assert_eq!((text("http"), text("part"), text("cache")), (http, "full", "hit"));
            assert_eq!(text("node"), world.demo.nodes()[node].endpoint.as_url().authority());
            assert_eq!((&sample["ok"], &sample["lateness_us"], &sample["status"]), (&1.into(), &0.into(), &200.into()));
            let known = |name: &str| {
                let tags = schema::MEASUREMENT.tags.iter().map(|tag| tag.0);
                ["measurement", "time"]
                    .into_iter()
                    .chain(tags)
                    .chain(schema::MEASUREMENT.fields.iter().map(|f| f.name))
                    .any(|k| k == name)
            };
            assert!(sample.keys().all(|name| known(name)), "{sample:?}");
            assert!(!sample.values().any(|value| value.is_null() || value.is_object() || value.is_array()));
            let cold = text("conn") == "cold";
            assert_eq!(sample.contains_key("connect_us"), cold);
            assert_eq!(sample.contains_key("tls_us"), cold && node == 1);
        }
    }
}

#[test]
fn a_range_is_requested_exactly_and_fails_beyond_the_end() {
    let world = World::new(vec![sound("a")]);
    let (image, video) = (url(&world, 0, IMAGE_ID), url(&world, 0, VIDEO_ID));
    for (args, code, outcome, part, bytes) in [
        (&[video.as_str(), "--range", "0-1048575"][..], 0, "ok", "start", 1_048_576),
        (&[&video, "--range", "1000-1999"], 0, "ok", "seek", 1_000),
        (&[&video, "--range", "8388600-8388607"], 0, "ok", "seek", 8),
        (&[&video, "--range", "99999999-100000000"], 3, "range_unsatisfiable", "seek", 0),
        (&[&image, "--expect", "image"], 0, "ok", "full", 20_000),
        (&[&video, "--range", "0-9", "--expect", "image"], 3, "wrong_type", "start", 0),
        (&[&image, "--expect", "video"], 3, "wrong_type", "full", 0),
        (&[&url(&world, 0, "999")], 3, "object_not_found", "full", 0),
    ] {
        let ended = bandprobe(&[&["probe", "--json"], args].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        let samples = objects(&ended.stdout);
        assert_eq!(samples.len(), 1);
        assert_eq!((samples[0]["outcome"].as_str(), samples[0]["part"].as_str()), (Some(outcome), Some(part)));
        let got = samples[0].get("bytes").and_then(Value::as_u64).unwrap_or(0);
        assert!(outcome != "ok" || got == bytes || (part == "full" && got > bytes), "{args:?}: {got}");
    }
}

#[test]
fn a_broken_answer_is_named_and_exits_with_3() {
    let certificate = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(certificate.path(), certificate::ca_pem()).unwrap();
    let ca = certificate.path().to_str().unwrap();
    for name in [
        "connect_refused",
        "reset_before_head",
        "reset_mid_body",
        "short_body",
        "object_not_found",
        "tls_sound",
        "tls_expired",
        "tls_wrong_name",
        "tls_untrusted",
        "http2_goaway",
        "garbage",
    ] {
        let case = cases().find(|case| case.name == name).unwrap();
        let server = FaultServer::start(case.behaviour);
        let ended = bandprobe(&["probe", &server.url(), "--range", "1000-2023", "--json", "--ca-file", ca]);
        let samples = objects(&ended.stdout);
        let code = if case.outcome.is_ok() { 0 } else { 3 };
        assert_eq!(
            (ended.code, samples[0]["outcome"].as_str()),
            (Some(code), Some(case.outcome.label())),
            "{name}: {ended:?}"
        );
    }
}

#[test]
fn html_is_not_an_image() {
    let case = cases().find(|case| case.name.contains("html")).unwrap();
    let server = FaultServer::start(case.behaviour);
    let ended = bandprobe(&["probe", &server.url(), "--expect", "image", "--range", "1000-2023"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stdout.contains("wrong_type"), "{}", ended.stdout);
}

#[test]
fn piped_output_is_plain_with_and_without_no_color() {
    let world = World::new(vec![NodePlan { behaviour: Behaviour::Sound, ..sound("a") }]);
    let url = url(&world, 0, IMAGE_ID);
    for environment in [&[][..], &[("NO_COLOR", "1")], &[("LANG", "C.UTF-8"), ("TERM", "xterm-256color")]] {
        let mut command = command(&["probe", &url, "--warm", "1"]);
        command.envs(environment.iter().copied());
        let Ended { code, stdout, stderr } = super::Child::spawn(&mut command).end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(!stdout.contains('\u{1b}'), "{stdout}");
        for word in ["connect", "wait", "receive", "ttfb", "new connection", "reused connection", &url] {
            assert!(stdout.contains(word), "{word}: {stdout}");
        }
    }
}

#[test]
fn a_node_that_cannot_be_found_is_a_result() {
    let ended = bandprobe(&["probe", "http://node.invalid/x", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let sample = &objects(&ended.stdout)[0];
    assert!(sample["outcome"].as_str().unwrap().starts_with("dns_"), "{sample:?}");
    assert_eq!((sample["failed_phase"].as_str(), sample["conn"].as_str()), (Some("dns"), Some("cold")));
}

/// The message of a node is shown, but no terminal obeys its control characters.
#[test]
fn a_hostile_message_cannot_control_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let body = "{\"message\":\"\\u001b]0;owned\\u0007\\u009b31m \\u202egone\"}";
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).unwrap();
        write!(socket, "HTTP/1.1 404 No\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let ended = bandprobe(&["probe", &url]);
    server.join().unwrap();
    assert_eq!(ended.code, Some(3));
    assert!(ended.stdout.contains("]0;owned") && ended.stdout.contains("gone"), "{ended:?}");
    assert!(!ended.stdout.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{ended:?}");
}

#[test]
fn verbose_shows_the_evidence() {
    let world = World::new(vec![NodePlan { tls: true, ..sound("a") }]);
    let (url, ca) = (url(&world, 0, VIDEO_ID), world.path("ca.pem"));
    let args = ["probe", &url, "--range", "0-1048575", "--ca-file", ca.to_str().unwrap()];
    let brief = bandprobe(&args);
    assert!(brief.code == Some(0) && !brief.stdout.contains("evidence"), "{brief:?}");
    let full = bandprobe(&[&args[..], &["-v"]].concat());
    assert_eq!((full.code, full.stderr.as_str()), (Some(0), ""));
    let evidence = full.stdout.split_once("evidence\n").unwrap().1;
    for name in ["path rtt", "receive window", "receive lag p90", "cpu share", "run-queue delay", "stall", "ramp"] {
        assert!(evidence.lines().any(|line| line.trim_start().starts_with(name)), "{name}: {evidence}");
    }
    assert!(evidence.contains("certificate") && evidence.contains("expires on "), "{evidence}");
    assert_eq!(bandprobe(&[&args[..], &["-v", "--json"]].concat()).code, Some(2));
}

#[test]
fn many_transfers_are_lines_and_a_summary() {
    let world = World::new(vec![sound("a")]);
    let url = url(&world, 0, IMAGE_ID);
    let ended = bandprobe(&["probe", &url, "--repeat", "3", "--warm", "1"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let (lines, summary) = ended.stdout.split_once("\n\n").unwrap();
    assert_eq!(lines.lines().count(), 6, "{lines}");
    assert!(summary.starts_with("6 transfers, 6 ok (100 %)\n"), "{summary}");
    for conn in ["cold", "warm"] {
        assert!(summary.contains(&format!("\n{conn}, cache hit   3 of 3 {conn} ok (100 %)\n")), "{summary}");
    }
    let pictures = bandprobe(&["probe", &url, "--repeat", "3"]);
    assert_eq!(pictures.stdout.matches(&url).count(), 3, "three are pictures still");
    let data = bandprobe(&["probe", &url, "--repeat", "5", "--json"]);
    assert_eq!(objects(&data.stdout).len(), 5);
}
