//! Names: looked up by the system as curl and getent do it, in set-ups of their own, and by servers of a list.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;
mod servers;
mod set_up;
mod worker;
