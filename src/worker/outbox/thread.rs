//! The thread on which [`Outbox`] works. The thread may wait for the disk; the rest of bandprobe waits for the thread
//! only for a limited time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{Outbox, housekeeping::recover_orphans};
use crate::{
    archive::status::status,
    config::Archive,
    deliver::event::{Counters, Drained},
    worker::{
        recorder::Inbox,
        tally::Tally,
        threads::{self, ThreadError},
    },
};

/// The handle of the thread. Dropping it ends the thread.
pub(in crate::worker) struct OutboxThread {
    orders: mpsc::UnboundedSender<Order>,
    totals: DeliveryTotals,
    ended: oneshot::Receiver<()>,
}

/// The counters of delivery since the start. Clones share them.
#[derive(Clone, Default)]
pub(super) struct DeliveryTotals(Arc<Mutex<Counters>>);

/// The state of delivery when it stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::worker) struct OutboxEnd {
    pub(in crate::worker) drained: Drained,
    /// Points that wait in the archive; `None` when the disk did not answer in time.
    pub(in crate::worker) waiting: Option<u64>,
}

enum Order {
    /// Make room on the full disk now.
    MakeRoom(oneshot::Sender<()>),
    Finish(Finish),
}

struct Finish {
    patience: Duration,
    /// Completes with a value or an error when delivery must stop at once.
    hurry: oneshot::Receiver<()>,
    answer: oneshot::Sender<OutboxEnd>,
}

impl OutboxThread {
    /// Starts the thread. It recovers the files of killed processes, then delivers and enforces the limits of the
    /// archive.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(in crate::worker) fn start(
        outbox: Outbox,
        archive: Archive,
        inbox: Inbox,
        tally: Tally,
    ) -> Result<Self, ThreadError> {
        let (orders, received) = mpsc::unbounded_channel();
        let totals = outbox.totals.clone();
        let ended =
            threads::spawn_future("delivery", async move { work(outbox, &archive, inbox, &tally, received).await })?;
        Ok(Self { orders, totals, ended })
    }

    /// Deletes delivered files from a full disk, and waits for that until `deadline` at most.
    pub(in crate::worker) async fn make_room(&self, deadline: Instant) {
        let (done, made) = oneshot::channel();
        if self.orders.send(Order::MakeRoom(done)).is_ok() {
            let _ = timeout_at(deadline, made).await;
        }
    }

    /// Delivers for at most `patience` or until `hurry` completes. A slow disk may delay the return until `deadline`,
    /// but at most by [`GRACE`] after `hurry`.
    pub(in crate::worker) async fn finish(
        self,
        patience: Duration,
        hurry: impl Future<Output = ()>,
        deadline: Instant,
    ) -> OutboxEnd {
        let (stop, hurried) = oneshot::channel();
        let (answer, mut answered) = oneshot::channel();
        let patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        let _ = self.orders.send(Order::Finish(Finish { patience, hurry: hurried, answer }));
        let mut deadline = deadline;
        let end = tokio::select! {
            end = timeout_at(deadline, &mut answered) => end.ok().and_then(Result::ok),
            () = hurry => {
                drop(stop);
                deadline = deadline.min(Instant::now() + GRACE);
                timeout_at(deadline, answered).await.ok().and_then(Result::ok)
            }
        };
        if end.is_some() {
            // The thread enforces the limits once more. The next start does what is left.
            let _ = timeout_at((Instant::now() + GRACE).min(deadline), self.ended).await;
        }
        end.unwrap_or_else(|| {
            let Counters { points_written: delivered, points_rejected: rejected, .. } = self.totals.so_far();
            let reason = Some("the disk is too slow".to_owned());
            OutboxEnd { drained: Drained { delivered, rejected, reason, ..Drained::default() }, waiting: None }
        })
    }
}

impl DeliveryTotals {
    pub(super) fn add(&self, counters: Counters) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += counters;
    }

    pub(super) fn so_far(&self) -> Counters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(
    mut outbox: Outbox,
    archive: &Archive,
    inbox: Inbox,
    tally: &Tally,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    recover_orphans(&archive.dir, tally);
    let finish = loop {
        let order = tokio::select! {
            () = outbox.work(archive, &inbox, tally) => continue,
            order = orders.recv() => order,
        };
        match order {
            None => return,
            Some(Order::MakeRoom(done)) => {
                outbox.make_room();
                // The caller may have given up.
                let _ = done.send(());
            }
            Some(Order::Finish(finish)) => break finish,
        }
    };
    // The recorder ends when the last inbox is dropped.
    drop(inbox);
    let hurry = async {
        let _ = finish.hurry.await;
    };
    let drained = outbox.finish(finish.patience, hurry, tally).await;
    let waiting = status(&archive.dir).map_or(0, |status| status.spool.points + status.open.points);
    let _ = finish.answer.send(OutboxEnd { drained, waiting: Some(waiting) });
    outbox.housekeep(archive, tally);
}

/// How long the disk may take when nothing more is delivered.
pub(in crate::worker) const GRACE: Duration = Duration::from_secs(5);
