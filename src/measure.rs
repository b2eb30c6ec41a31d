//! Turns the stamps of a body's socket reads into reliable rates, and into reasons to distrust them.
//!
//! [`timeline`] is filled while the body arrives, with bounded memory and constant cost per read, whatever the length
//! of the body. [`goodput`] evaluates it afterwards. Both are pure: stamps are offsets from t0 that the caller took,
//! and the same stamps always give the same numbers (`model::sample::METHOD` is raised when a formula here changes).
//!
//! [`evidence`] evaluates what else is known about the transfer: how well this process kept up ([`lag`]), the receive
//! window and the clock.
//!
//! [`freezes`] records when this process did not run, so that no deadline counts that time.
//!
//! [`health`] judges a status round. It uses what [`restarts`] and [`standstill`] remember of earlier rounds, and
//! what [`history`] and [`storage_faults`] remember of the downloads.

pub mod evidence;
pub mod freezes;
pub mod goodput;
pub mod health;
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
