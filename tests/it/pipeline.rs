//! The main job, end to end: demo nodes, the binary, a real InfluxDB.

mod budget;
mod delivery;
mod killed;
mod outage;
mod proxy;
mod stopped;
