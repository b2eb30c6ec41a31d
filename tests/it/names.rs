//! Name resolution: through the system, compared with curl and getent in prepared networks, and through the servers of
//! `network.resolver`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;
mod servers;
mod set_up;
mod worker;
