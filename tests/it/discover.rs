//! Discovery: the registry's queries against its schemas, its answers of every quality, and what becomes of the list.

mod queries;
