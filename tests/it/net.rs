//! One exchange over a simulated link, in paused time: every phase, rate and deadline exactly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod deadlines;
mod freezes;
mod link;
mod model;
mod modelled;
mod phases;
mod rates;
mod reads;
mod records;
mod tls;
mod windows;
