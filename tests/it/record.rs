//! What is recorded: exact lines and objects, the schema, the encoder against an independent parser, histograms.
//!
//! The blobs of `histogram.rs` were also read by the Python and JavaScript readers of HdrHistogram, by hand.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect, in its helpers too")]

mod csv;
mod database;
mod histogram;
mod line;
pub(crate) mod parser;
pub(crate) mod samples;
mod schema;
