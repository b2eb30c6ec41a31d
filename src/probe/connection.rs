//! Opens the connection of a transfer or a status check: dns, guard, connect, tls, and the start of HTTP, each with its
//! own deadline.

use std::{net::IpAddr, sync::Arc};

use url::Url;

use crate::{
    model::{phase::Phase, probe::Deadlines, target::Node},
    net::{
        dial::Dialer,
        failure::{Cause, Failure},
        http::Connection,
        meter::Meter,
        resolve::Reservation,
        timing::Timing,
    },
};

/// What to connect to, and how long each phase may take.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) node: &'a Node,
    pub(super) url: &'a Url,
    pub(super) deadlines: &'a Deadlines,
}

impl Opening<'_> {
    /// Opens the connection. Ends the phases `dns`, `connect` and `tls` in `timing`, up to the one before the phase
    /// that failed. `on_address` gets the address before it is dialled.
    ///
    /// # Errors
    /// The phase that failed, and its cause. Starting HTTP belongs to the phase `send`.
    pub(super) async fn open(
        &self,
        reserved: Reservation,
        meter: Arc<Meter>,
        timing: &mut Timing,
        on_address: impl FnOnce(IpAddr),
    ) -> Result<Connection, Failure> {
        let Self { dialer, url, deadlines, .. } = *self;
        let is_untrusted = self.node.listing.origin.is_untrusted();
        let chosen = dialer.look_up(url, reserved, is_untrusted, deadlines.dns, timing).await?;
        on_address(chosen.address);
        let open = dialer.open(url, chosen, deadlines, meter, timing).await?;
        // Starting HTTP (the preface of HTTP/2) has the time limit of a response head.
        let started = dialer.clock().within(timing.last(), deadlines.headers, Connection::start(open)).await;
        started.unwrap_or_else(|| Err(Cause::Deadline(deadlines.headers).during(Phase::Send)))
    }
}
