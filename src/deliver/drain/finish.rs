//! Complete delivery: until nothing waits, or until waiting does not help.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Drain;
use crate::{
    archive::{Error, status},
    deliver::event::{Counters, Drained, Event},
};

/// After this many failures in a row, [`Drain::drain_all`] gives up on a database that is away or busy. With the
/// [`backoff`](crate::deliver::policy::backoff) this takes about 3 s when the database refuses at once.
pub const MAX_TRIES: u32 = 3;

impl Drain {
    /// Delivers until nothing waits, until the user has to change something, or until the database was away or busy
    /// [`MAX_TRIES`] times in a row and for `patience`. It makes a last try when `patience` ends. Calls `note` with
    /// each event and what it added to the counters. Returns why files still wait, or `None`. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// When the data directory cannot be read or written more than [`MAX_TRIES`] times in a row.
    pub async fn drain_all(
        &mut self,
        patience: Duration,
        mut note: impl FnMut(&Event, Counters),
    ) -> Result<Option<String>, Error> {
        // A file that cannot be read is skipped and does not delay the others.
        let (mut problem, mut problems) = (None, 0);
        // Since when the database is away, and how many requests have failed since.
        let mut away: Option<(Instant, u32)> = None;
        loop {
            let before = self.counters;
            let event = match self.step().await {
                Err(error) if problems < MAX_TRIES => {
                    problems += 1;
                    problem = Some(error.to_string());
                    continue;
                }
                step => step?,
            };
            problems = 0;
            note(&event, self.counters - before);
            match event {
                Event::Idle => return Ok(problem),
                Event::Holding { reason, .. } => return Ok(Some(reason)),
                Event::BackingOff { reason, until, .. } => {
                    let (since, tries) = away.map_or((Instant::now(), 1), |(since, tries)| (since, tries + 1));
                    away = Some((since, tries));
                    let give_up = since + patience;
                    if tries >= MAX_TRIES && Instant::now() >= give_up {
                        return Ok(Some(reason));
                    }
                    if tries >= MAX_TRIES && until > give_up {
                        sleep_until(give_up).await;
                        self.not_before = Instant::now();
                    }
                }
                _ => away = None,
            }
        }
    }

    /// Like [`Drain::drain_all`] without patience, and only until the deadline. A request that is under way then is
    /// repeated by the next drain.
    ///
    /// # Errors
    /// Like [`Drain::drain_all`].
    pub async fn drain_until(&mut self, deadline: Instant) -> Result<Drained, Error> {
        let before = self.counters;
        let reason = match timeout_at(deadline, self.drain_all(Duration::ZERO, |_, _| {})).await {
            Ok(ended) => ended?,
            Err(_) => Some(self.trouble.clone().unwrap_or_else(|| "no time left to send more".to_owned())),
        };
        let Counters { points_written: delivered, points_rejected: rejected, .. } = self.counters - before;
        let waiting = status::waiting(self.spool.dir())?.iter().map(|file| file.points).sum();
        Ok(Drained { delivered, rejected, waiting, reason })
    }
}
