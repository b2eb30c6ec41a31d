//! Bad input: what is wrong, where, and what to do, with the right exit code.

use std::{fs, process::Stdio};

use super::{Child, Ended, World, bandprobe, command, sound, until};

#[test]
fn every_command_exits_with_78_and_names_the_bad_key() {
    let world = World::new(vec![sound("a")]);
    let influx = "[influxdb]\nurl = \"http://127.0.0.1:8086\"\norg = \"o\"\nbucket = \"b\"\n";
    world.write("empty.token", "\n");
    world.write("two.token", "s3cret-a\ns3cret-b\n");
    let database = |line: &str| format!("{influx}{line}\n");
    let rows = [
        (
            "key.toml",
            "[limits]\nbytes-per-dya = \"5 GB\"\n".to_owned(),
            ["limits.bytes-per-dya", "did you mean `bytes-per-day`?"],
        ),
        ("unreadable.toml", database("token-file = \"none.token\""), ["influxdb.token-file", "none.token"]),
        ("empty.toml", database("token-file = \"empty.token\""), ["influxdb.token-file", "is empty"]),
        ("lines.toml", database("token-file = \"two.token\""), ["influxdb.token-file", "line"]),
        (
            "scheme.toml",
            database("token-file = \"two.token\"").replace("http://127", "127"),
            ["influxdb.url", "http://"],
        ),
        (
            "endpoint.toml",
            "[[source]]\nkind = \"static\"\nnodes = [{ id = \"x\", endpoint = \"x.example\", assets = [] }]\n"
                .to_owned(),
            ["source[1].nodes[0].endpoint", "https://"],
        ),
    ];
    let small = "[[source]]\nkind = \"static\"\nnodes = [{ id = \"x\", endpoint = \"http://x.example/\", \
        assets = [{ kind = \"video\", path = \"/v\", size = \"1 kB\" }] }]\n";
    let beyond = ("beyond.toml", small.to_owned(), ["source[1].nodes[0].assets[0]", "asks for bytes up to"]);
    for (name, section, said) in rows.into_iter().chain([beyond]) {
        let config = world.config(name, None, &section);
        let config = config.to_str().unwrap();
        for command in ["check", "run", "once"] {
            let Ended { code, stdout, stderr } = bandprobe(&[command, "-c", config]);
            assert_eq!((code, stdout.as_str()), (Some(78), ""), "{command} {name}: {stderr}");
            assert!(stderr.contains(name), "{command} {name}: {stderr}");
            said.iter().for_each(|text| assert!(stderr.contains(text), "{command} {name}: {stderr}"));
        }
        assert!(!stderr_of(&["check", "-c", config]).contains("s3cret"), "no secret is shown");
    }
    assert!(!world.archive().exists(), "a bad config leaves nothing behind");
    let missing = world.path("missing.toml");
    for command in ["check", "run", "once", "report"] {
        let ended = bandprobe(&[command, "-c", missing.to_str().unwrap()]);
        assert_eq!(ended.code, Some(78), "{command}");
        assert!(ended.stderr.contains("missing.toml"), "{}", ended.stderr);
    }
}

fn stderr_of(args: &[&str]) -> String {
    bandprobe(args).stderr
}

#[test]
fn an_unwritable_archive_is_named() {
    let world = World::new(vec![sound("a")]);
    let file = world.write("file", "in the way");
    let config = world.config("config.toml", None, "");
    let text = fs::read_to_string(&config).unwrap().replace("dir = \"archive\"", "dir = \"file/below\"");
    fs::write(&config, text).unwrap();
    for command in ["run", "once"] {
        let ended = bandprobe(&[command, "-c", config.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let place = file.join("below");
        for text in [place.to_str().unwrap(), "archive.dir", "Not a directory"] {
            assert_eq!(ended.stderr.matches(text).count(), 1, "{text} in {}", ended.stderr);
        }
    }
}

#[test]
fn wrong_usage_exits_with_2_and_a_correction() {
    let world = World::new(vec![sound("a"), sound("b")]);
    let config = world.config("config.toml", None, "");
    let config = config.to_str().unwrap();
    for (args, said) in [
        (&["probe", "ftp://x"][..], "only http and https"),
        (&["probe", "node.example"], "https://node.example.net/"),
        (&["probe", "http://"], "host"),
        (&["probe", "http://u:p@x/"], "user or password"),
        (&["probe", "http://x/", "--range", "5-1"], "comes after"),
        (&["probe", "http://x/", "--range", "5"], "0-1023"),
        (&["probe", "http://x/", "--http", "2"], "https"),
        (&["probe", "http://x/", "--http", "3"], "1.1"),
        (&["once", "-c", config, "--node", "c"], "no node `c`"),
        (&["once", "-c", config, "--node", "c"], "the known ones are a, b"),
        (&["once", "-c", config, "--probe", "images"], "the known ones are image, video"),
        (&["once"], "--config"),
        (&["report"], "--archive"),
        (&["spool", "status"], "--archive"),
        (&["demo", "--duration", "soon"], "duration"),
        (&["nonsense"], "nonsense"),
    ] {
        let ended = bandprobe(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    assert!(!world.archive().exists());
}

#[test]
fn invalid_certificates_are_a_config_error() {
    let world = World::new(vec![sound("a")]);
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    world.write("broken.pem", broken);
    world.write("good.token", "token");
    let database = world.config(
        "database.toml",
        None,
        "[influxdb]\nurl = \"http://127.0.0.1:8086\"\norg = \"o\"\nbucket = \"b\"\ntoken-file = \"good.token\"\n\
         ca-file = \"broken.pem\"\n",
    );
    let network = world.config("network.toml", None, "");
    fs::write(&network, fs::read_to_string(&network).unwrap().replace("ca.pem", "broken.pem")).unwrap();
    for (config, said) in [(database, "[influxdb] ca-file"), (network, "network.ca-file")] {
        for command in ["check", "run", "once"] {
            let ended = bandprobe(&[command, "-c", config.to_str().unwrap()]);
            assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
            assert!(ended.stderr.contains(said), "{command}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_directory_without_results_is_named() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("nothing-here");
    let missing = missing.to_str().unwrap();
    for args in [["spool", "status", "--archive", missing], ["report", "--archive", missing, "--since=1d"]] {
        let ended = bandprobe(&args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(ended.stderr.contains(missing), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn checking_a_good_config_leaves_no_files() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("config.toml", None, "");
    let ended = bandprobe(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("node a: "), "{}", ended.stdout);
    assert!(!world.archive().exists());
}

/// The findings of `check` on a valid config, and its exit codes without and with --strict.
#[test]
fn check_names_what_to_fix() {
    let world = World::new(vec![sound("a")]);
    let strict = |config: &std::path::Path| {
        let config = config.to_str().unwrap();
        let (plain, strict) = (bandprobe(&["check", "-c", config]), bandprobe(&["check", "-c", config, "--strict"]));
        assert_eq!((plain.code, &plain.stdout), (Some(0), &strict.stdout), "{}", plain.stderr);
        (strict.code, strict.stdout)
    };
    let wide = "[limits]\nbytes-per-day = \"1 TB\"\nbytes-per-node-per-day = \"1 TB\"\n";
    let good = world.config("good.toml", None, wide);
    let (code, said) = strict(&good);
    assert!(code == Some(0) && !said.contains("To fix:"), "{said}");

    let text = fs::read_to_string(&good).unwrap();
    let blocked = world.write("blocked.toml", &text.replace("dir = \"archive\"", "dir = \"ca.pem/data\""));
    let (code, said) = strict(&blocked);
    assert_eq!(code, Some(3));
    assert!(said.contains("- the data directory cannot be written: cannot create a folder in "), "{said}");

    let too_much = world.config("much.toml", None, "[limits]\nbytes-per-day = \"1 kB\"\n");
    let (code, said) = strict(&too_much);
    assert!(code == Some(3) && said.contains("exceeds its limits"), "{said}");

    let url = "http://db.example:8086/".parse().unwrap();
    let database = bandprobe::config::InfluxDb::new(url, "o", "b", bandprobe::config::Secret::new("t0ken"));
    let abroad = world.config("abroad.toml", Some(&database), wide);
    let (code, said) = strict(&abroad);
    assert_eq!(code, Some(3));
    assert!(said.contains("- the token and all results travel unencrypted to http://db.example:8086"), "{said}");
    assert!(!said.contains("t0ken") && !world.archive().exists(), "{said}");
}

#[test]
fn a_variable_that_is_not_utf_8_is_named_without_its_value() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("config.toml", None, "");
    let odd = |bytes: &[u8]| std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    let cases: [(std::ffi::OsString, std::ffi::OsString, &str); 4] = [
        (
            "BANDPROBE_INFLUXDB_TOKEN".into(),
            odd(b"s3cret\xff"),
            "BANDPROBE_INFLUXDB_TOKEN: its value is not valid UTF-8",
        ),
        ("BANDPROBE_LOG".into(), odd(b"\xff"), "BANDPROBE_LOG: its value is not valid UTF-8"),
        (odd(b"BANDPROBE_VANTAGE_\xfe"), "x".into(), "BANDPROBE_VANTAGE_\u{fffd}: its name is not valid UTF-8"),
        ("BANDPROBE_X".into(), odd(b"\x1b\xc0"), "BANDPROBE_X: its value is not valid UTF-8"),
    ];
    for (name, value, expected) in cases {
        for command_name in ["check", "run"] {
            let ended = Child::spawn(command(&[command_name, "-c", config.to_str().unwrap()]).env(&name, &value)).end();
            assert_eq!(ended.code, Some(78), "{}", ended.stderr);
            assert!(ended.stderr.contains(expected) && !ended.stderr.contains("s3cret"), "{}", ended.stderr);
        }
    }
    let foreign = Child::spawn(command(&["check", "-c", config.to_str().unwrap()]).env("OTHER", odd(b"\xff"))).end();
    assert_eq!(foreign.code, Some(0), "{}", foreign.stderr);
}

/// Does not test SIGHUP on a worker that does not ignore it, because that may change.
#[test]
fn a_hangup_that_is_ignored_from_the_start_stays_ignored() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("config.toml", None, "");
    let binary = command(&[]).get_program().to_owned();
    for args in [&["run", "-c", config.to_str().unwrap()][..], &["demo", "--serve"]] {
        // As nohup does, but without its redirections.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(&binary).args(args);
        let worker = Child::spawn(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        until("it listens for signals", || worker.catches_signals());
        worker.signal("HUP");
        // If the first signal had an effect, it would show before the effect of the second one.
        worker.signal("HUP");
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
        let mask = |name: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap()
        };
        assert_eq!((mask("SigIgn:") & 1, mask("SigCgt:") & 1), (1, 0), "{args:?}: nothing may be installed for it");
        worker.signal("TERM");
        assert_eq!(worker.end().code, Some(0), "{args:?}");
    }
}
