//! Name resolution in a running worker: changing files, too few threads, and a dead name server.

use super::set_up::{SetUp, is_possible};

fn set_up(text: &str) -> SetUp {
    toml::from_str(text).unwrap()
}

#[test]
fn a_changed_resolv_conf_and_hosts_file_are_followed() {
    if !is_possible() {
        return;
    }
    let set_up = set_up(
        r#"
        name = "changes"
        resolv = "nameserver 127.0.0.53\noptions timeout:1 attempts:1"
        servers = [
            { at = "127.0.0.53", names = { "node.lab" = ["127.0.0.2"] } },
            { at = "127.0.0.54", names = { "node.lab" = ["127.0.0.3"] } },
        ]
        "#,
    );
    let output = set_up.run(
        r#"
        cat > probe.toml <<'E'
kind = "image"
spacing = "fixed"
jitter = "0s"
parts = [{ name = "full" }]
E
        cat > config.toml <<'E'
vantage.id = "lab"
archive.dir = "data"
schedule.probes = [{ probe = "./probe.toml", every = "1s" }]
source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://node.lab:18080/", assets = [{ kind = "image", path = "/i" }] }] }]
E
        "$B" run -c config.toml 2> log & worker=$!
        dialled() { for i in $(seq 600); do ! grep -rqs "remote_addr=\"$1\"" data || { echo "$1"; return; }; sleep 0.1; done; cat log; }
        dialled 127.0.0.2
        echo "nameserver 127.0.0.54" > /etc/resolv.conf
        dialled 127.0.0.3
        echo "127.0.0.4 node.lab" >> /etc/hosts
        dialled 127.0.0.4
        kill "$worker"; wait "$worker"
        echo ended
        "#,
    );
    assert_eq!(output, "127.0.0.2\n127.0.0.3\n127.0.0.4\nended\n");
}

#[test]
fn a_lack_of_descriptors_is_never_charged_to_the_node() {
    if !is_possible() {
        return;
    }
    let set_up = set_up(
        r#"
        name = "descriptors"
        resolv = "nameserver 127.0.0.53"
        servers = [{ at = "127.0.0.53", names = { "node.lab" = ["127.0.0.2"] } }]
        "#,
    );
    let script = r#"
        for limit in $(seq 6 30); do
            (ulimit -n "$limit"; "$B" probe http://node.lab:18080/i --range 0-1023 --json 2>&1 | grep -o '"outcome":"[a-z_]*"') || true
        done
    "#;
    let output = set_up.run(script);
    let outcomes: Vec<_> = output.lines().collect();
    let all = |expected: &str| outcomes.iter().filter(|outcome| outcome.contains(expected)).count();
    assert!(all("\"ok\"") > 0 && all("local_failed") > 0, "{output}");
    assert_eq!(all("\"ok\"") + all("local_failed"), outcomes.len(), "{output}");
}

#[test]
fn a_dead_name_server_delays_nothing_else() {
    if !is_possible() {
        return;
    }
    let set_up = set_up(
        r#"
        name = "dead"
        resolv = "nameserver 127.0.0.53\noptions timeout:30 attempts:5"
        servers = [{ at = "127.0.0.53", fails = "silent" }]
        "#,
    );
    let output = set_up.run(
        r#"
        {
            printf 'vantage.id = "lab"\narchive.dir = "data"\nschedule.probes = ["status"]\ndeadline.dns = "1s"\n'
            printf '[[source]]\nkind = "static"\nnodes = [\n'
            for i in $(seq 100); do printf '{ id = "n%s", endpoint = "http://n%s.lab:18080/", assets = [{ kind = "image", path = "/i" }] },\n' "$i" "$i"; done
            printf '{ id = "here", endpoint = "http://127.0.0.2:18080/", assets = [{ kind = "image", path = "/i" }] }]\n'
        } > config.toml
        code=0; "$B" once -c config.toml > table 2> log || code=$?
        echo "exit code $code"
        cat log data/*/*.lp
        "#,
    );
    let nodes: Vec<_> = output.lines().filter(|line| line.starts_with("bandprobe_node,")).collect();
    let all = |words: &str| nodes.iter().filter(|line| line.contains(words)).count();
    assert_eq!(nodes.len(), 101, "{output}");
    // 16 lookups are given up; there are no threads for the others.
    assert_eq!(all("all resolver threads are waiting"), 84, "{output}");
    let abandoned = output.lines().rfind(|line| line.starts_with("bandprobe_worker,")).unwrap();
    assert!(abandoned.contains("lookups_abandoned=16i"), "{abandoned}");
}

#[test]
fn silent_names_do_not_hide_the_health_of_others() {
    if !is_possible() {
        return;
    }
    let names: String = (0..40).map(|number| format!("\"good{number}.lab\" = [\"127.0.0.2\"], ")).collect();
    let set_up = set_up(&format!(
        r#"
        name = "some silent"
        resolv = "nameserver 127.0.0.53\noptions timeout:4 attempts:1"
        servers = [{{ at = "127.0.0.53", silent = "dead", names = {{ {} }} }}]
        "#,
        names.trim_end_matches(", "),
    ));
    let output = set_up.run(
        r#"
        {
            printf 'vantage.id = "lab"\narchive.dir = "data"\nschedule.probes = ["status"]\ndeadline.dns = "2s"\n'
            printf '[[source]]\nkind = "static"\nnodes = [\n'
            for i in $(seq 0 39); do
                names="good$i"; if [ $((i % 2)) = 0 ]; then names="dead$i good$i"; fi
                for n in $names; do printf '{ id = "%s", endpoint = "http://%s.lab:18080/", assets = [{ kind = "image", path = "/i" }] },\n' "$n" "$n"; done
            done
            printf ']\n'
        } > config.toml
        # On a busy machine the name server itself may be late for a whole round.
        for _ in 1 2 3 4 5 6; do
            rm -rf data
            "$B" once -c config.toml > table 2> log || true
            [ "$(cat data/*/*.lp | grep -c '^bandprobe_node,.*node=good.*state="ok"')" != 40 ] || break
        done
        cat log data/*/*.lp
        "#,
    );
    let nodes: Vec<_> = output.lines().filter(|line| line.starts_with("bandprobe_node,")).collect();
    let good: Vec<_> = nodes.iter().filter(|line| line.contains("node=good")).collect();
    assert_eq!((nodes.len(), good.len()), (60, 40), "{output}");
    assert!(good.iter().all(|line| line.contains("state=\"ok\"")), "{output}");
}

#[test]
fn silent_names_come_last_from_the_second_round() {
    if !is_possible() {
        return;
    }
    // The silent names are first in the list and take all threads of the first round for longer than anybody waits.
    let output = set_up(
        r#"
        name = "silent first"
        resolv = "nameserver 127.0.0.53\noptions timeout:4 attempts:1"
        servers = [{ at = "127.0.0.53", silent = "dead", names = { "good.lab" = ["127.0.0.2"] } }]
        "#,
    )
    .run(
        r#"
        {
            printf 'vantage.id = "lab"\narchive.dir = "data"\nschedule.probes = [{ probe = "status", every = "6s" }]\ndeadline.dns = "1s"\n'
            printf '[[source]]\nkind = "static"\nnodes = [\n'
            for i in $(seq 0 49); do printf '{ id = "dead%s", endpoint = "http://dead%s.lab:18080/", assets = [{ kind = "image", path = "/i" }] },\n' "$i" "$i"; done
            printf '{ id = "good", endpoint = "http://good.lab:18080/", assets = [{ kind = "image", path = "/i" }] }]\n'
        } > config.toml
        "$B" run -c config.toml 2> log & worker=$!
        for _ in $(seq 600); do
            ! grep -hs '^bandprobe_node,.*node=good' data/open/* data/*/* | grep -q 'state="ok"' || break
            kill -0 "$worker" || break
            sleep 0.1
        done
        kill "$worker"; wait "$worker" || true
        cat log data/*/*.lp
        "#,
    );
    let mut good = output.lines().filter(|line| line.starts_with("bandprobe_node,") && line.contains("node=good"));
    assert!(good.next().unwrap().contains("all resolver threads are waiting"), "{output}");
    assert!(good.any(|line| line.contains("state=\"ok\"")), "{output}");
}

#[test]
fn unreachable_name_servers_are_a_local_failure() {
    if !is_possible() {
        return;
    }
    let output = set_up("name = \"list\"\nresolv = \"\"").run(
        r#"
        cat > config.toml <<'E'
vantage.id = "lab"
archive.dir = "data"
schedule.probes = ["image"]
network.resolver = ["10.9.9.9:53", "[2001:db8::53]:53"]
source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://node.lab:18080/", assets = [{ kind = "image", path = "/i" }] }] }]
E
        "$B" once -c config.toml --json 2> log || true
        "#,
    );
    assert!(output.contains(r#""outcome":"local_failed""#), "{output}");
    assert!(!output.contains(r#""outcome":"dns_"#), "{output}");
}

#[test]
fn delivery_and_report_resolve_the_same_address() {
    if !is_possible() {
        return;
    }
    // The first address of the name is one where nothing listens.
    let set_up = set_up(
        r#"
        name = "database"
        resolv = ""
        hosts = "::1 db_1.lab\n127.0.0.1 db_1.lab\n"
        web = "127.0.0.1"
        "#,
    );
    for resolver in ["\"system\"", "[\"10.9.9.9:53\"]"] {
        let script = r#"
        echo token > token; chmod 600 token
        cat > config.toml <<'E'
vantage.id = "lab"
archive.dir = "data"
schedule.probes = ["status"]
network.resolver = RESOLVER
source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://127.0.0.1:18080/", assets = [{ kind = "image", path = "/i" }] }] }]
[influxdb]
url = "http://db_1.lab:18080"
org = "dwg"
bucket = "b"
token-file = "token"
E
        "$B" once -c config.toml 2>&1 > table | grep -o "points delivered"
        "$B" report -c config.toml > table && echo reported
        "#;
        let output = set_up.run(&script.replace("RESOLVER", resolver));
        assert_eq!(output, "points delivered\nreported\n", "{resolver}");
    }
}
