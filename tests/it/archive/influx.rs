//! A real InfluxDB accepts each file as it is, because bandprobe's own lines are comments.

use bandprobe::deliver::influx::Influx;

use super::*;
use crate::influxd;

#[tokio::test]
async fn a_file_can_be_sent_as_it_is() {
    let Some(server) = influxd::shared() else { return };
    let config = server.bucket();
    let dir = scratch();
    let mut writer = Writer::open(dir.path()).unwrap();
    let lines: String = (1..=2500).map(|n| format!("m v={n}i {n}\n")).collect();
    writer.append(time(0), lines.as_bytes(), 2500).unwrap();
    let name = writer.seal().unwrap().unwrap().name;
    let refused = |n| RejectedLine { line: format!("r v={n}i {n}"), message: "no such field".to_owned() };
    Spool::lock(dir.path()).unwrap().quarantine(&name, &[refused(1), refused(2)]).unwrap();
    for folder in ["spool", "rejected"] {
        let content = fs::read_to_string(dir.path().join(folder).join(&name)).unwrap();
        Influx::new(&config, &crate::resolver()).unwrap().write(&content).await;
    }
    let stored = ["m", "r"].map(|measurement| server.count(&config.bucket, measurement, "v"));
    assert_eq!(stored, [2500, 2]);
}
