//! Lookups through the system give the same success and address as curl and getent, in every set-up of
//! `tests/data/names.toml` and over several lookups of one process.

use std::{collections::BTreeSet, fs, path::Path, sync::Mutex, thread};

use serde::Deserialize;

use super::set_up::{PORT, SetUp, is_possible};

#[derive(Deserialize)]
struct Table {
    set_up: Vec<SetUp>,
}

/// What was seen of a name: addresses in the order of the lookups.
#[derive(Debug, Default)]
struct Seen {
    /// curl's exit codes.
    codes: Vec<String>,
    curl: Vec<String>,
    /// getent's first addresses.
    getent: Vec<String>,
    outcomes: Vec<String>,
    bandprobe: Vec<String>,
    all: String,
}

#[test]
fn lookups_agree_with_curl_and_getent() {
    if !is_possible() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/names.toml");
    let table: Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(table.set_up.len() >= 30, "{} set-ups", table.set_up.len());
    let (left, wrong) = (Mutex::new(table.set_up.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(set_up) = left.lock().unwrap().next() else { break };
                    wrong.lock().unwrap().extend(compare(set_up));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong about a set-up.
fn compare(set_up: &SetUp) -> Option<String> {
    let url = format!("http://{}:{PORT}/i.webp", set_up.host);
    let seen = seen(&set_up.run(&SCRIPT.replace("URL", &url).replace("HOST", &set_up.host)));
    let is_found = set_up.outcome == "ok";
    let same_outcome = seen.outcomes == [set_up.outcome.as_str(); TIMES];
    let same_success = seen.codes == [if is_found { "0" } else { "6" }; TIMES];
    // A server list that is turned around (`rotate`) gives different addresses by turns.
    let set = |addresses: &[String]| addresses.iter().cloned().collect::<BTreeSet<_>>();
    let same_address = !is_found
        || (seen.bandprobe.len() == TIMES
            && set(&seen.bandprobe) == set(&seen.curl)
            && set(&seen.bandprobe) == set(&seen.getent));
    let is_right = same_outcome && same_success && same_address && is_found != seen.getent.is_empty();
    (!is_right).then(|| format!("{}: {}\n{}", set_up.name, set_up.outcome, seen.all))
}

fn seen(output: &str) -> Seen {
    let mut seen = Seen { all: output.to_owned(), ..Seen::default() };
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("curl", rest)) => {
                let (code, address) = rest.split_once(' ').unwrap_or((rest, ""));
                seen.codes.push(code.to_owned());
                seen.curl.extend(Some(address.to_owned()).filter(|address| !address.is_empty()));
            }
            Some(("getent", address)) => seen.getent.push(address.to_owned()),
            _ => {
                let Ok(point) = serde_json::from_str::<serde_json::Value>(line) else { continue };
                let text = |key: &str| point.get(key).and_then(|value| value.as_str()).map(str::to_owned);
                seen.outcomes.extend(text("outcome"));
                seen.bandprobe.extend(text("remote_addr"));
            }
        }
    }
    seen
}

const TIMES: usize = 3;
/// Set-ups that run at the same time: they mostly wait.
const AT_ONCE: usize = 40;

/// All lookups run at the same time: where name servers are silent, each takes many seconds.
const SCRIPT: &str = r#"
for i in 1 2 3; do
  (
    code=0
    address=$(curl --silent --max-time 20 --range 0-1023 --output /dev/null --write-out '%{remote_ip}' URL) || code=$?
    echo "curl $code $address"
  ) > "curl-$i" &
  lookups+=($!)
  (
    found=$(getent ahosts HOST | head -n 1 | cut -d ' ' -f 1) || true
    [ -z "$found" ] || echo "getent $found"
  ) > "getent-$i" &
  lookups+=($!)
done
"$B" probe URL --range 0-1023 --repeat 3 --json || true
wait "${lookups[@]}"
cat curl-* getent-*
"#;
