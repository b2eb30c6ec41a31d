//! Discovery: the registry's queries against its schemas, its answers of every quality, and what becomes of the list.

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
