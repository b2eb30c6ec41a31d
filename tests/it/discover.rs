//! Discovery: the queries against the registry's schemas, good and bad answers, and the resulting list.

#![expect(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

mod answers;
mod followed;
mod found;
mod labels;
mod pages;
mod queries;
mod registry;
mod samples;
mod slow;
