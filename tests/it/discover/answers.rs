//! Answers of every quality: each has its words, and none costs more than what is wrong with it.

use bandprobe::{config::Dialect, discover::joystream::find, net::guard::Guard};
use serde_json::{Value, json};

use super::registry::{Asked, Registry, answer, ask, config, fetcher, good, ok, operators};

/// A registry in order, but for what it says to one kind of question.
fn except(name: &'static str, answer: impl Fn() -> String + Send + 'static) -> Registry {
    Registry::start(
        move |asked| {
            if asked.name() == name { answer() } else { ok(&good(Dialect::Orion, asked).to_string()) }
        },
    )
}

#[tokio::test]
async fn a_registry_without_a_list_says_why() {
    let html = "<html><head><title>502 Bad Gateway</title></head></html>";
    let huge = || ok(&format!("[\"{}\"]", "x".repeat(5 << 20)));
    let cases: Vec<(&'static str, Box<dyn Fn() -> String + Send>, &str)> = vec![
        ("Detect", Box::new(move || ok(html)), "no JSON but begins with `<html>"),
        ("Detect", Box::new(move || answer("502 Bad Gateway", "", html)), "status 502 Bad Gateway: <html>"),
        ("Detect", Box::new(|| answer("404 Not Found", "", "\u{1b}[2Jno")), "status 404 Not Found: \u{fffd}[2Jno"),
        (
            "Detect",
            Box::new(|| answer("301 Moved", "location: https://b.example/graphql\r\n", "")),
            "sends us to `https://b.example/graphql`",
        ),
        ("Detect", Box::new(|| answer("204 No Content", "", "")), "status 204"),
        ("Detect", Box::new(String::new), "the registry cannot be asked: wait: "),
        (
            "Detect",
            Box::new(|| "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned()),
            "the registry cannot be asked: receive: ",
        ),
        ("Detect", Box::new(huge), "longer than 4194304 bytes"),
        (
            "Detect",
            Box::new(|| ok(r#"{"errors":[{"message":"introspection is off"}]}"#)),
            "(introspection is off): set `dialect`",
        ),
        (
            "Detect",
            Box::new(|| ok(r#"{"data":{"operators":null},"errors":[{"message":"off"}]}"#)),
            "(off): set `dialect`",
        ),
        (
            "Detect",
            Box::new(|| ok(r#"{"data":{"operators":null,"join":null,"version":null}}"#)),
            "knows no distribution buckets",
        ),
        (
            "Operators",
            Box::new(|| ok(r#"{"errors":[{"message":"timeout"}],"data":null}"#)),
            "with errors alone: timeout",
        ),
        (
            "Operators",
            Box::new(|| ok(r#"{"errors":[{"message":"half"}],"data":{"distributionBucketOperators":null}}"#)),
            "no `distributionBucketOperators` (half)",
        ),
        ("Operators", Box::new(|| ok(r#"{"data":{}}"#)), "no `distributionBucketOperators`"),
        (
            "Operators",
            Box::new(|| ok(r#"{"data":{"distributionBucketOperators":{"id":"1:0-1"}}}"#)),
            "no `distributionBucketOperators`",
        ),
        ("Operators", Box::new(|| ok(r#"{"data":null}"#)), "neither `data` nor `errors`"),
        ("Operators", Box::new(|| ok(r#"{"data":{"distributionBucketOperators":[]}}"#)), "no active operator"),
        ("Operators", Box::new(|| ok(r#"{"data":{"distributionBucketOperators":[null,{},7]}}"#)), "no active operator"),
        (
            "Operators",
            Box::new(|| answer("400 Bad Request", "", r#"{"errors":[{"message":"Cannot query"}]}"#)),
            "Cannot query",
        ),
    ];
    for (question, answer, said) in cases {
        let error = except(question, answer).find().await.unwrap_err().to_string();
        assert!(error.contains(said), "expected {said}: {error}");
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_says_why() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = Registry::answering(|asked| good(Dialect::Orion, asked));
    let plain = plain.url.port().unwrap();
    for (url, said) in [
        (format!("http://127.0.0.1:{port}/graphql"), "cannot be asked: connect: "),
        (format!("https://127.0.0.1:{plain}/graphql"), "cannot be asked: tls: "),
        ("http://nowhere.invalid/graphql".to_owned(), "cannot be asked: dns: "),
    ] {
        let error = ask(&config(url.parse().unwrap())).await.unwrap_err().to_string();
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[tokio::test]
async fn what_is_there_is_used_and_what_is_not_is_told() {
    let partial = json!({
        "data": {"distributionBucketOperators": [operators()[0], null, {"id": null}]},
        "errors": [{"message": "Cannot return null for non-nullable field"}],
    });
    let found = except("Operators", move || ok(&partial.to_string())).find().await.unwrap();
    assert_eq!(found.nodes.len(), 2);
    assert_eq!(
        found.problems,
        [
            "`distributionBucketOperators` is not whole: Cannot return null for non-nullable field",
            "2 rows of `distributionBucketOperators` do not say who they are: left out",
        ]
    );

    let found = except("Storage", || ok(r#"{"errors":[{"message":"down"}]}"#)).find().await.unwrap();
    assert_eq!((found.nodes.len(), found.gaps.storage, found.gaps.samples), (2, true, false));
    assert!(found.problems[0].contains("no storage nodes: ") && found.problems[0].contains("down"));

    let halves = r#"{"data":{"images":[{"id":"7"}],"videos":null},"errors":[{"message":"slow"}]}"#;
    let found = except("Samples", move || ok(halves)).find().await.unwrap();
    assert_eq!((found.nodes[0].assets.len(), found.gaps.samples), (1, true));
    assert_eq!(found.problems[0], "not all samples of bucket 1:0: slow");
}

#[tokio::test]
async fn a_failing_registry_is_not_asked_for_every_bucket() {
    let registry = Registry::start(|asked| match asked.name() {
        "Samples" => answer("503 Unavailable", "", "busy"),
        "Operators" => {
            let many = (0..30)
                .map(|n| super::registry::operator(&format!("1:{n}"), n, true, "https://a.example/", &Value::Null));
            ok(&json!({"data": {"distributionBucketOperators": many.collect::<Vec<_>>()}}).to_string())
        }
        _ => ok(&good(Dialect::Orion, asked).to_string()),
    });
    let found = registry.find().await.unwrap();
    let samples = registry.asked().iter().filter(|asked| asked.name() == "Samples").count();
    assert_eq!((samples, found.gaps.samples, found.problems.len()), (3, true, 4), "{:?}", found.problems);
}

/// Every value of the first row, spoilt in every way: the other nodes stay, and nothing else breaks.
#[tokio::test]
async fn a_spoilt_value_costs_no_other_node() {
    let values = [
        json!(null),
        json!(7),
        json!(-1),
        json!(18_446_744_073_709_551_616.0),
        json!("\u{1b}[31m\u{202e}"),
        json!("x".repeat(10_000)),
        json!([]),
        json!({"id": {}}),
        json!(true),
    ];
    let spoilt: Vec<_> = pointers(&operators()[0], "")
        .into_iter()
        .flat_map(|pointer| values.iter().map(move |value| (pointer.clone(), value.clone())))
        .collect();
    assert!(spoilt.len() > 100, "{}", spoilt.len());
    let mut turn = 0;
    let (cases, rows) = (spoilt.clone(), move |asked: &Asked| {
        let mut rows = operators();
        if asked.name() == "Operators" {
            let (pointer, value): &(String, Value) = &spoilt[turn];
            *rows[0].pointer_mut(pointer).unwrap() = value.clone();
            turn += 1;
            return json!({"data": {"distributionBucketOperators": rows}});
        }
        good(Dialect::Orion, asked)
    });
    let registry = Registry::answering(rows);
    let whole = bandprobe::config::Registry { dialect: Some(Dialect::Orion), ..registry.config() };
    let fetcher = fetcher();
    for (pointer, value) in cases {
        let found = find(&fetcher, &whole, &Guard::default()).await.unwrap();
        let endpoints: Vec<_> = found.nodes.iter().map(|node| node.endpoint.as_url().as_str()).collect();
        let expected = ["https://dp.example/distributor/", "https://dp.example/storage/", "https://off.example/"];
        assert_eq!(endpoints, expected, "{pointer} = {value:.50}");
        let texts = format!("{:?}{:?}{:?}", found.nodes, found.blocked, found.problems);
        assert!(!texts.contains("\\u{1b}") && !texts.contains("\\u{202e}"), "{pointer}: {texts:.2000}");
        assert!(texts.len() < 20_000, "{pointer}: {}", texts.len());
    }
}

/// The places of all values below one.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below = value.as_object().into_iter().flatten();
    let own = (!at.is_empty()).then(|| at.to_owned());
    own.into_iter().chain(below.flat_map(|(key, value)| pointers(value, &format!("{at}/{key}")))).collect()
}
