//! From the stamps of a body's socket reads to rates that one can trust, and to the reasons for distrust.
//!
//! [`timeline`] is written while the body arrives: bounded memory and constant cost a read, however long the body.
//! [`goodput`] reads it afterwards. Both are pure: stamps are offsets from t0 that the caller took, and the same
//! stamps give the same numbers for ever (`model::sample::METHOD` is raised when a formula here changes).
//!
//! [`evidence`] judges what else is known of the transfer: how well we kept up ([`lag`]), our window, our clock.
//!
//! [`freezes`] knows when this process did not run, so that no deadline counts that time.
//!
//! [`availability`] judges a status round, with what [`restarts`] and [`standstill`] remember of the rounds before, and
//! [`history`] and [`storage_faults`] of the downloads.

pub mod availability;
pub mod evidence;
pub mod freezes;
pub mod goodput;
pub mod history;
pub mod lag;
pub mod restarts;
pub mod standstill;
pub mod storage_faults;
pub mod timeline;

mod gaps;
mod ramp;
mod slots;

pub use self::ramp::NEAR_PERCENT;
