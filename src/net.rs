//! Outgoing probe connections, and the stamps taken on them.
//!
//! One transfer goes down this road, each step a room:
//!
//! ```text
//! resolve ─ guard ─ connect ─ tls ─ http        dns, connect, tls, send + wait + receive
//!                      │        │      │
//!                    meter    meter  boundary   who stamps: the socket (bytes, time), the message (which read, which write)
//! ```
//!
//! Nothing here retries, falls back to another address, follows a redirect or caches: each of these would hide in a number.

pub mod boundary;
pub mod connect;
pub mod dial;
pub mod drive;
pub mod failure;
pub mod fetch;
mod frames;
pub mod guard;
pub mod http;
pub mod identity;
pub mod meter;
pub mod records;
pub mod resolve;
pub mod run_clock;
pub mod tcp_info;
pub mod timing;
pub mod tls;
mod watch;
