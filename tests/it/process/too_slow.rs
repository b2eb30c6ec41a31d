//! A node that sends far too slowly: `once`, `report` and its JSON agree about it.

use std::time::Duration;

use serde_json::Value;

use super::{World, bandprobe, objects, sound};
use crate::fault::{
    FaultServer,
    server::{Behaviour, Port, Step},
};

#[test]
fn a_node_that_trickles_is_degraded_wherever_it_is_shown() {
    let script = |_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 65536\r\n\r\n".to_vec();
        vec![Step::Request, Step::Send(head), Step::Drip(vec![b'x'; 4_096], Duration::from_millis(40))]
    };
    let server = FaultServer::start(Behaviour { port: Port::Http, script });
    let world = World::new(vec![sound("unused")]);
    world.write("slow.toml", "kind = \"image\"\nparts = [{ name = \"full\" }]\ndeadline = { body = \"6s\" }\n");
    let text = format!(
        "vantage.id = \"here\"\nschedule.probes = [\"./slow.toml\", \"status\"]\narchive.dir = \"archive\"\n\
         [[source]]\nkind = \"static\"\n[[source.nodes]]\nid = \"n\"\nprofile = \"http\"\n\
         endpoint = \"http://{}/\"\nassets = [{{ kind = \"image\", path = \"/i.png\" }}]\n",
        server.address()
    );
    let config = world.write("b.toml", &text);
    let ended = bandprobe(&["once", "--json", "-c", config.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let points = objects(&ended.stdout);
    let [transfer, node] = ["bandprobe_transfer", "bandprobe_node"]
        .map(|name| points.iter().find(|point| point["measurement"] == name).unwrap());
    assert_eq!((&transfer["outcome"], &transfer["run_ok"]), (&"ok".into(), &0.into()), "{transfer:?}");
    let reason = "status answers, but the last download was slower than 64.0 kbit/s (`min-rate`)";
    assert_eq!((&node["state"], &node["reason"]), (&"degraded".into(), &reason.into()));

    let archive = world.archive();
    let report = |format| {
        let ended = bandprobe(&["report", "--archive", archive.to_str().unwrap(), "--format", format]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let figures = &json["nodes"][0];
    assert_eq!((&figures["success_share"], &figures["too_slow"]), (&0.0.into(), &1.into()), "{figures}");
    assert_eq!((&json["states"][0]["state"], &json["states"][0]["reason"]), (&"degraded".into(), &reason.into()));
    assert_eq!(json["slowest"][0]["flags"], "too_slow");
    let table = report("table");
    for said in [reason, "n: too slow for a viewer: 1 of 1 good", "slow/full   too_slow"] {
        assert!(table.contains(said), "{said} in {table}");
    }
}
