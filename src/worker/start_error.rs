//! Why a worker cannot start.

use thiserror::Error;

use super::threads::ThreadError;
use crate::{archive, deliver::influx, net::dial::DialerError};

/// Why a worker cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("the data directory cannot be used; set `archive.dir` to one that this user can write")]
    Archive(#[from] archive::Error),
    /// The trusted certificates cannot be used.
    #[error(transparent)]
    Dialer(#[from] DialerError),
    /// The database client cannot be set up.
    #[error(transparent)]
    Influx(#[from] influx::Error),
    /// The system cannot start a thread.
    #[error(transparent)]
    Thread(#[from] ThreadError),
}
