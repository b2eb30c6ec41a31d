//! A real InfluxDB understands the queries in the documentation, and the answers of the newer ones are right.

use jiff::Timestamp;
use serde_json::Value;

use super::database::{series, write};
use crate::{docs, influxd};

#[test]
fn every_query_of_the_docs_is_understood() {
    let Some(server) = influxd::shared() else { return };
    let bucket = server.bucket().bucket;
    let now = Timestamp::now().as_nanosecond();
    let lines: String = [("", 864_000), (",cpu_bound", 777_600)]
        .into_iter()
        .zip(0..)
        .map(|((flag, left), second)| {
            let at = now - 5_000_000_000 + second * 1_000_000_000;
            format!(
                "bandprobe_transfer,vantage=v,node=n,outcome=ok valid=1i,cert_expires_s={left}i,flags=\"coarse{flag}\" {at}\n"
            )
        })
        .collect();
    write(server, &bucket, &lines);
    let queries = docs::queries();
    assert!(queries.len() > 5);
    let answer = |word: &str| -> Value {
        let query = queries.iter().find(|query| query.contains(word)).unwrap();
        series(server, &bucket, query)[0]["values"][0][1].clone()
    };
    queries.iter().for_each(|query| drop(series(server, &bucket, query)));
    assert_eq!((answer("cert_expires_s").as_f64(), answer("cpu_bound").as_f64()), (Some(9.0), Some(1.0)));
}
