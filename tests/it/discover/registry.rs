//! A scripted registry on loopback, and a small fleet in the schema of each dialect.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use bandprobe::{
    config::{self, Dialect, Network},
    discover::{
        error::DiscoverError,
        joystream::{FreshSamples, RegistryList, find},
    },
    net::{fetch::Fetcher, guard::Guard},
};
use serde_json::{Value, json};
use url::Url;

use crate::probe::network;

/// One question that came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) query: String,
    pub(super) variables: Value,
}

impl Asked {
    /// The name of its operation.
    pub(super) fn name(&self) -> &str {
        let rest = self.query.lines().find_map(|line| line.strip_prefix("query ")).unwrap();
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap()
    }
}

/// A registry on loopback.
pub(super) struct Registry {
    pub(super) url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Registry {
    /// Answers JSON with status 200.
    pub(super) fn answering(mut respond: impl FnMut(&Asked) -> Value + Send + 'static) -> Self {
        Self::start(move |asked| ok(&respond(asked).to_string()))
    }

    /// Answers with these bytes, whatever they are.
    pub(super) fn start(mut respond: impl FnMut(&Asked) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/graphql", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let question = read(&stream);
                let answer = respond(&question);
                log.lock().unwrap().push(question);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, asked }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> config::Registry {
        config(self.url.clone())
    }

    pub(super) async fn find(&self) -> Result<RegistryList, DiscoverError> {
        ask(&self.config()).await
    }
}

pub(super) fn config(url: Url) -> config::Registry {
    let (refresh, refresh_assets) = (Duration::from_secs(600), Duration::from_secs(3_600));
    config::Registry { url, refresh, refresh_assets, dialect: None, exclude: vec![], fixed: vec![] }
}

pub(super) async fn ask(registry: &config::Registry) -> Result<RegistryList, DiscoverError> {
    find(&fetcher(), registry, &Guard::default(), &FreshSamples::default()).await
}

/// With a contact, and without name servers.
pub(super) fn fetcher() -> Fetcher {
    let network = Network { contact: Some("https://probes.example/".to_owned()), ..network(None) };
    Fetcher::over(&network, crate::resolver()).unwrap()
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Asked { head, query: body["query"].as_str().unwrap_or_default().to_owned(), variables: body["variables"].clone() }
}

pub(super) fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

pub(super) fn answer(status: &str, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
}

/// What a registry in order says: two distributors, one of them with two buckets, one switched off, one at a private
/// address; a storage node, and a bucket without an operator.
pub(super) fn good(dialect: Dialect, asked: &Asked) -> Value {
    let is_first = asked.variables["offset"] == json!(0);
    match asked.name() {
        "Detect" => {
            let name = |known: bool| if known { json!({"name": "x"}) } else { Value::Null };
            let (join, version) = (dialect != Dialect::Hydra, dialect == Dialect::StorageSquid);
            json!({"data": {"operators": name(true), "join": name(join), "version": name(version)}})
        }
        "Operators" => json!({"data": {"distributionBucketOperators": if is_first { operators() } else { vec![] }}}),
        "Storage" => json!({"data": {"storageBuckets": if is_first { storage() } else { vec![] }}}),
        "Newest" => json!({"data": newest(dialect, &asked.variables)}),
        "Samples" => json!({"data": samples(dialect, asked.variables["bucket"].as_str().unwrap())}),
        "Fixed" => {
            let bag = bag(dialect, &["1:0", "7:7"]);
            json!({"data": {"storageDataObjects": [{"id": "1343", "size": "21136", "ipfsHash": hash(), "storageBag": bag}]}})
        }
        other => panic!("no query asks for {other}"),
    }
}

/// Four operators of distribution buckets.
pub(super) fn operators() -> Vec<Value> {
    let paris =
        json!({"countryCode": "FR", "city": "Paris", "coordinates": {"latitude": 48.8566, "longitude": 2.3522}});
    vec![
        operator("1:0", 1, true, "https://dp.example/distributor/", &paris),
        operator("1:1", 1, true, "https://DP.example/distributor", &Value::Null),
        operator("2:0", 2, false, "https://off.example/", &Value::Null),
        operator("3:0", 3, true, "http://127.0.0.1:8080/", &Value::Null),
    ]
}

pub(super) fn operator(bucket: &str, worker: u32, distributing: bool, endpoint: &str, place: &Value) -> Value {
    let family = bucket.split(':').next().unwrap();
    json!({
        "id": format!("{bucket}-{worker}"),
        "workerId": worker,
        "distributionBucket": {
            "id": bucket,
            "distributing": distributing,
            "family": {"id": family, "metadata": {"region": format!("region {family}")}},
        },
        "metadata": {"nodeEndpoint": endpoint, "nodeLocation": place},
    })
}

fn storage() -> Vec<Value> {
    let active = json!({"__typename": "StorageBucketOperatorStatusActive", "workerId": 9});
    let metadata = json!({"nodeEndpoint": "https://dp.example/storage/", "nodeLocation": null});
    vec![
        json!({"id": "4", "operatorStatus": active, "operatorMetadata": metadata}),
        json!({"id": "5", "operatorStatus": {"__typename": "StorageBucketOperatorStatusMissing"}, "operatorMetadata": null}),
    ]
}

/// What was odd, of the list and of the samples.
pub(super) fn problems(found: &RegistryList) -> Vec<&str> {
    found.problems.iter().chain(found.sample_problems.iter().flatten()).map(String::as_str).collect()
}

/// The image 9 of bucket 1:1, the image 7 of 1:0 and 1:1, and the video 8 of 1:0.
fn newest(dialect: Dialect, variables: &Value) -> Value {
    let bag = |ids: &[&str]| bag(dialect, ids);
    let image = |id: &str, size: Value, buckets: &[&str]| object(id, size, &bag(buckets));
    let (nine, seven) = (image("9", json!(null), &["1:1"]), image("7", json!("21136"), &["1:1", "1:0"]));
    let video = image("8", json!(48_000_000), &["1:0", "7:7"]);
    let is_images = variables["type"] == json!("DataObjectTypeVideoThumbnail") || variables["most"] == json!("1048576");
    match dialect {
        Dialect::Hydra => json!({"videos": [
            {"thumbnailPhoto": nine, "media": null}, {"thumbnailPhoto": seven, "media": video},
        ]}),
        _ if is_images => json!({"storageDataObjects": [nine, seven]}),
        _ => json!({"storageDataObjects": [video]}),
    }
}

/// An object in the words of a dialect, in a bag with these buckets.
pub(super) fn object(id: &str, size: Value, bag: &Value) -> Value {
    json!({"id": id, "size": size, "ipfsHash": hash(), "storageBag": bag})
}

pub(super) fn bag(dialect: Dialect, buckets: &[&str]) -> Value {
    let bucket = |id: &&str| match dialect {
        Dialect::Hydra => json!({"id": id}),
        _ => json!({"distributionBucket": {"id": id}}),
    };
    json!({"distributionBuckets": buckets.iter().map(bucket).collect::<Vec<_>>()})
}

/// Of bucket 1:0 the image 7 and the video 8, of any other the images 9 and 7.
fn samples(dialect: Dialect, bucket: &str) -> Value {
    let object = |id: &str, size: Value| json!({"id": id, "size": size, "ipfsHash": hash()});
    let (image, video) = (object("7", json!("21136")), object("8", json!(48_000_000)));
    let other = object("9", json!(null));
    match (dialect, bucket) {
        (Dialect::Hydra, "1:0") => json!({"videos": [{"thumbnailPhoto": image, "media": video}]}),
        (Dialect::Hydra, _) => {
            json!({"videos": [{"thumbnailPhoto": other, "media": null}, {"thumbnailPhoto": image, "media": null}]})
        }
        (_, "1:0") => json!({"images": [image], "videos": [video]}),
        _ => json!({"images": [other, image], "videos": []}),
    }
}

pub(super) fn hash() -> String {
    bs58::encode([&[0x1e, 32][..], &[7; 32]].concat()).into_string()
}
