//! Good and bad answers: each fault has its own message, and affects only the faulty value.

use bandprobe::{
    config::Dialect,
    discover::joystream::{FreshSamples, find},
    net::guard::Guard,
};
use serde_json::{Value, json};

use super::registry::{Asked, Registry, answer, ask, bag, config, fetcher, good, object, ok, operators, problems};

/// A registry in order, but for what it says to one kind of question.
fn except(name: &'static str, answer: &str) -> Registry {
    let answer = answer.to_owned();
    Registry::start(
        move |asked| {
            if asked.name() == name { answer.clone() } else { ok(&good(Dialect::Orion, asked).to_string()) }
        },
    )
}

/// What is said when a registry answers one kind of question so.
async fn check(name: &'static str, answer: &str, said: &str) {
    let error = except(name, answer).find().await.unwrap_err().to_string();
    assert!(error.contains(said), "expected {said}: {error}");
}

#[tokio::test]
async fn a_non_graphql_answer_is_reported_with_its_beginning() {
    let html = "<html><head><title>502 Bad Gateway</title></head></html>";
    let moved = answer("301 Moved", "location: https://b.example/graphql\r\n", "");
    let huge = ok(&format!("[\"{}\"]", "x".repeat(5 << 20)));
    for (answer, said) in [
        (ok(html), "not JSON but begins with `<html>"),
        (answer("502 Bad Gateway", "", html), "status 502 Bad Gateway: <html>"),
        (answer("404 Not Found", "", "\u{1b}[2Jno"), "status 404 Not Found: \u{fffd}[2Jno"),
        (moved, "redirects to `https://b.example/graphql`"),
        (answer("204 No Content", "", ""), "status 204"),
        (String::new(), "cannot query the registry: wait: "),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned(), "cannot query the registry: receive: "),
        (huge, "longer than 4194304 bytes"),
    ] {
        check("Detect", &answer, said).await;
        check("Operators", &answer, said).await;
    }
}

#[tokio::test]
async fn an_unrecognised_registry_is_refused() {
    for (answer, said) in [
        (r#"{"errors":[{"message":"introspection is off"}]}"#, "(introspection is off): set `dialect`"),
        (r#"{"data":{"operators":null},"errors":[{"message":"off"}]}"#, "(off): set `dialect`"),
        (r#"{"data":{"operators":null,"join":null,"version":null}}"#, "has no distribution buckets"),
        (r#"{"data":{}}"#, "has no distribution buckets"),
    ] {
        check("Detect", &ok(answer), said).await;
    }
    // Apollo's server from version 3 on; servers that follow GraphQL over HTTP; those that ask for a key.
    let apollo = json!({"errors": [{
        "message": "GraphQL introspection is not allowed by Apollo Server, but the query contained __schema or __type. To \
            enable introspection, pass introspection: true to ApolloServer in production",
        "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
    }]});
    for status in ["400 Bad Request", "403 Forbidden", "422 Unprocessable Content", "500 Internal Server Error"] {
        let refused = answer(status, "content-type: application/json; charset=utf-8\r\n", &apollo.to_string());
        check("Detect", &refused, "(GraphQL introspection is not allowed by Apollo Server, ").await;
        check("Detect", &refused, "): set `dialect` to `hydra`, `orion` or `storage-squid`").await;
    }
    let gateway = answer("403 Forbidden", "", r#"{"message":"Introspection is disabled"}"#);
    check("Detect", &gateway, "Introspection is disabled\"}): set `dialect`").await;
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let busy = answer(status, "", r#"{"errors":[{"message":"come back later"}]}"#);
        check("Detect", &busy, &format!("returned only errors: come back later (status {status})")).await;
    }
}

#[tokio::test]
async fn a_registry_without_a_list_is_explained() {
    for (answer, said) in [
        (r#"{"errors":[{"message":"timeout"}],"data":null}"#, "returned only errors: timeout"),
        (
            r#"{"errors":[{"message":"half"}],"data":{"distributionBucketOperators":null}}"#,
            "no `distributionBucketOperators` (half)",
        ),
        (r#"{"data":{}}"#, "no `distributionBucketOperators`"),
        (r#"{"data":{"distributionBucketOperators":{"id":"1:0-1"}}}"#, "no `distributionBucketOperators`"),
        (r#"{"data":null}"#, "neither `data` nor `errors`"),
        (r#"{"data":{"distributionBucketOperators":[]}}"#, "no active operator"),
        (r#"{"data":{"distributionBucketOperators":[null,{},7]}}"#, "no active operator"),
    ] {
        check("Operators", &ok(answer), said).await;
    }
    let refused = answer("400 Bad Request", "", r#"{"errors":[{"message":"Cannot query"}]}"#);
    check("Operators", &refused, "returned only errors: Cannot query (status 400 Bad Request)").await;
    let with_data = answer(
        "500 Internal Server Error",
        "",
        &json!({"data": {"distributionBucketOperators": operators()}}).to_string(),
    );
    assert_eq!(except("Operators", &with_data).find().await.unwrap().nodes.len(), 3, "a body of GraphQL counts");
}

#[tokio::test]
async fn an_unreachable_registry_is_explained() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = Registry::answering(|asked| good(Dialect::Orion, asked));
    let plain = plain.url.port().unwrap();
    for (url, said) in [
        (format!("http://127.0.0.1:{port}/graphql"), "cannot query the registry: connect: "),
        (format!("https://127.0.0.1:{plain}/graphql"), "cannot query the registry: tls: "),
        ("http://nowhere.invalid/graphql".to_owned(), "cannot query the registry: dns: "),
    ] {
        let error = ask(&config(url.parse().unwrap())).await.unwrap_err().to_string();
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[tokio::test]
async fn partial_answers_are_used_and_gaps_reported() {
    let partial = json!({
        "data": {"distributionBucketOperators": [operators()[0], null, {"id": null}]},
        "errors": [{"message": "Cannot return null for non-nullable field"}],
    });
    let found = except("Operators", &ok(&partial.to_string())).find().await.unwrap();
    assert_eq!(found.nodes.len(), 2);
    assert_eq!(
        found.problems,
        [
            "`distributionBucketOperators` is incomplete: Cannot return null for non-nullable field",
            "2 rows of `distributionBucketOperators` have no id: skipped",
        ]
    );

    let found = except("Storage", &ok(r#"{"errors":[{"message":"down"}]}"#)).find().await.unwrap();
    assert_eq!((found.nodes.len(), found.gaps.storage, found.gaps.samples.len()), (2, true, 0));
    assert!(found.problems[0].contains("no storage nodes: ") && found.problems[0].contains("down"));

    let halves = r#"{"data":{"images":[{"id":"7"}],"videos":null},"errors":[{"message":"slow"}]}"#;
    let found = Registry::start(|asked| match asked.name() {
        "Newest" => ok(r#"{"data":{"storageDataObjects":[]}}"#),
        "Samples" => ok(halves),
        _ => ok(&good(Dialect::Orion, asked).to_string()),
    });
    let found = found.find().await.unwrap();
    assert_eq!((found.nodes[0].assets.len(), &found.gaps.samples), (1, &[found.nodes[0].id.clone()].into()));
    assert_eq!(problems(&found)[0], "not all samples of bucket 1:0: slow");

    let partial = json!({
        "data": {"storageDataObjects": [object("5", json!("9"), &bag(Dialect::Orion, &["1:0", "1:1"]))]},
        "errors": [{"message": "half of it"}],
    });
    let found = except("Newest", &ok(&partial.to_string())).find().await.unwrap();
    let all = found.nodes.iter().filter(|node| !node.listing.buckets.is_empty()).map(|node| node.id.clone()).collect();
    assert_eq!((found.nodes[0].assets.len(), &found.gaps.samples), (1, &all));
    assert_eq!(problems(&found)[0], "`storageDataObjects` is incomplete: half of it");
}

#[tokio::test]
async fn a_failing_registry_is_not_queried_for_every_bucket() {
    let registry = Registry::start(|asked| match asked.name() {
        "Newest" | "Samples" => answer("503 Unavailable", "", "busy"),
        "Operators" => {
            let many = (0..30)
                .map(|n| super::registry::operator(&format!("1:{n}"), n, true, "https://a.example/", &Value::Null));
            ok(&json!({"data": {"distributionBucketOperators": many.collect::<Vec<_>>()}}).to_string())
        }
        _ => ok(&good(Dialect::Orion, asked).to_string()),
    });
    let found = registry.find().await.unwrap();
    let samples = registry.asked().iter().filter(|asked| asked.name() == "Samples").count();
    let newest = "the newest images of all buckets cannot be listed: cannot query the registry: status 503";
    assert!(problems(&found)[0].starts_with(newest), "{:?}", problems(&found));
    assert_eq!((samples, found.gaps.samples.len(), problems(&found).len()), (3, 2, 6), "{:?}", problems(&found));
}

/// Every value of the first row, spoilt in every way: the other nodes stay, and nothing else breaks.
#[tokio::test]
async fn an_invalid_value_affects_no_other_node() {
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
        let found = find(&fetcher, &whole, &Guard::default(), &FreshSamples::default()).await.unwrap();
        let endpoints: Vec<_> = found.nodes.iter().map(|node| node.endpoint.as_url().as_str()).collect();
        let expected = ["https://dp.example/distributor/", "https://dp.example/storage/", "https://off.example/"];
        assert_eq!(endpoints, expected, "{pointer} = {value:.50}");
        let texts = format!("{:?}{:?}{:?}", found.nodes, found.blocked, problems(&found));
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
