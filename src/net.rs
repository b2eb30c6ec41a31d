//! Outgoing probe connections, and the timestamps taken on them.
//!
//! The steps of a transfer, and the phases that they end:
//!
//! ```text
//! resolve ─ guard ─ connect ─ tls ─ http        dns, connect, tls, send + wait + receive
//!                      │        │      │
//!                      meter    meter  boundary   the source of the timestamps
//! ```
//!
//! `meter` takes the times of socket reads and writes, and counts bytes. `boundary` finds the read and the write at
//! which a message begins or ends.
//!
//! Nothing here retries, tries another address, follows a redirect or caches: each of these would hide time in a
//! number.

pub mod body;
pub mod boundary;
pub mod connect;
pub mod dial;
pub mod drive;
pub mod errno;
pub mod failure;
pub mod fetch;
mod frames;
pub mod guard;
pub mod http;
pub mod identity;
mod length_list;
pub mod meter;
pub mod records;
pub mod resolve;
pub mod run_clock;
pub mod tcp_info;
pub mod timing;
pub mod tls;
