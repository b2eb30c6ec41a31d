//! Settings from outside the file: tokens and environment variables, including those of other programs.

use bandprobe::config::TokenSource;

use super::*;

/// A token file as editors and operators leave it, and the token or the message.
#[test]
fn token_files_are_read_as_editors_leave_them() {
    let utf16: Vec<u8> = "\u{feff}t0ken\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = "\u{feff}t0ken".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: [(&[u8], Result<&str, &str>); 18] = [
        (b"t0ken", Ok("t0ken")),
        (b"t0ken\n", Ok("t0ken")),
        (b"t0ken\r\n", Ok("t0ken")),
        (b"  t0ken \t\r\n\r\n", Ok("t0ken")),
        (b"\xef\xbb\xbft0ken==\r\n", Ok("t0ken==")),
        ("\u{feff}jürgen:zwei Wörter\n".as_bytes(), Ok("jürgen:zwei Wörter")),
        (b"user name:pass word:x\n", Ok("user name:pass word:x")),
        (&utf16, Err("`token` is UTF-16 or binary: save it as plain text in UTF-8")),
        (&utf16_be, Err("is UTF-16 or binary")),
        (b"t\0o", Err("is UTF-16 or binary")),
        (b"j\xfcrgen:x", Err("is not valid UTF-8")),
        (b"\xef\xbb\xbf\r\n", Err("is empty")),
        (b"one\r\ntwo\r\n", Err("has 2 lines")),
        (b"user:pass\nword", Err("has 2 lines")),
        (b"to\x1bken", Err("has a control character")),
        ("t\u{f6}ken".as_bytes(), Err("has a space or a non-ASCII character")),
        (b"Token user:password", Err("starts like an `authorization` header")),
        (b"Bearer abc", Err("starts like an `authorization` header")),
    ];
    let influxdb = "[influxdb]\nurl = \"http://a/influx\"\norg = \"o\"\nbucket = \"b\"\ntoken-file = \"token\"";
    let text = format!("{SMALLEST}\n{influxdb}\n");
    for (bytes, expected) in cases {
        match (read("etc/b.toml", &[("etc/b.toml", text.as_bytes()), ("etc/token", bytes)], &[]), expected) {
            (Ok(config), Ok(token)) => {
                let database = config.influxdb.unwrap();
                assert_eq!(
                    (database.token.reveal(), &database.token_from),
                    (token, &TokenSource::File("etc/token".into()))
                );
                assert_eq!(database.url.as_str(), "http://a/influx/");
            }
            (Err(problems), Err(said)) => assert!(problems.to_string().contains(said), "{said}: {problems}"),
            (read, expected) => panic!("{expected:?}: {read:?}"),
        }
    }
    let by_variable = [("BANDPROBE_INFLUXDB_TOKEN", "from-outside\n")];
    let database = read("b.toml", &[("b.toml", text.as_bytes())], &by_variable).unwrap().influxdb.unwrap();
    assert_eq!(
        (database.token.reveal(), &*database.token_from.to_string()),
        ("from-outside", "BANDPROBE_INFLUXDB_TOKEN")
    );
}

#[test]
fn an_unknown_variable_of_a_known_section_is_refused() {
    for section in ["VANTAGE", "SCHEDULE", "LIMITS", "NETWORK", "DEADLINE", "INFLUXDB", "RECORD", "ARCHIVE"] {
        let name = format!("BANDPROBE_{section}_NOTHING");
        let problems = read("b.toml", &[("b.toml", SMALLEST.as_bytes())], &[(&name, "1")]).unwrap_err().to_string();
        assert!(
            problems.contains(&format!("{name}: no config key belongs to this environment variable")),
            "{problems}"
        );
    }
}

/// A Service may be called `bandprobe`, `bandprobe-influxdb`, or like any other section.
#[test]
fn variables_that_kubernetes_sets_for_services_are_ignored() {
    for section in [
        "",
        "VANTAGE_",
        "SCHEDULE_",
        "LIMITS_",
        "NETWORK_",
        "DEADLINE_",
        "INFLUXDB_",
        "INFLUXDB_V2_",
        "RECORD_",
        "ARCHIVE_",
        "REPORT_",
    ] {
        let names = [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_8086_TCP",
            "PORT_8086_TCP_PROTO",
            "PORT_8086_TCP_PORT",
            "PORT_8086_TCP_ADDR",
            "PORT_53_UDP",
            "PORT_53_UDP_ADDR",
            "PORT_9_SCTP_PROTO",
        ];
        let names = names.map(|end| format!("BANDPROBE_{section}{end}"));
        let variables: Vec<_> = names.iter().map(|name| (name.as_str(), "tcp://10.0.0.1:8086")).collect();
        let config = read("b.toml", &[("b.toml", SMALLEST.as_bytes())], &variables).unwrap();
        assert_eq!(config.influxdb, None, "{section}");
    }
    let key = [("BANDPROBE_VANTAGE_ID", "outside"), ("BANDPROBE_VANTAGE_PORT", "tcp://10.0.0.1:80")];
    let config = read("b.toml", &[("b.toml", SMALLEST.as_bytes())], &key).unwrap();
    assert_eq!(&*config.vantage.id, "outside");
}
