//! The thread on which [`Shipping`] works. The thread may wait for the disk; the rest of bandprobe waits for the thread
//! only for a limited time.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{Shipping, house::take_over};
use crate::{
    archive::status::status,
    config::Archive,
    deliver::event::{Counters, Drained},
    worker::{recorder::Inbox, service::on_own_thread, tally::Tally},
};

/// The handle of the thread. Dropping it ends the thread.
pub(in crate::worker) struct ShippingThread {
    orders: mpsc::UnboundedSender<Order>,
    shipped: Shipped,
    ended: oneshot::Receiver<()>,
}

/// The counters of delivery since the start. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Shipped(Arc<Mutex<Counters>>);

/// The state of delivery when it stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::worker) struct Shipment {
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
    answer: oneshot::Sender<Shipment>,
}

impl ShippingThread {
    /// Starts the thread. It recovers the files of killed processes, then delivers and enforces the limits of the
    /// archive.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(in crate::worker) fn start(
        shipping: Shipping,
        archive: Archive,
        inbox: Inbox,
        tally: Tally,
    ) -> io::Result<Self> {
        let (orders, received) = mpsc::unbounded_channel();
        let shipped = shipping.shipped.clone();
        let ended = on_own_thread("delivery", async move { work(shipping, &archive, inbox, &tally, received).await })?;
        Ok(Self { orders, shipped, ended })
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
    ) -> Shipment {
        let (stop, hurried) = oneshot::channel();
        let (answer, mut answered) = oneshot::channel();
        let patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        let _ = self.orders.send(Order::Finish(Finish { patience, hurry: hurried, answer }));
        let mut deadline = deadline;
        let shipment = tokio::select! {
            shipment = timeout_at(deadline, &mut answered) => shipment.ok().and_then(Result::ok),
            () = hurry => {
                drop(stop);
                deadline = deadline.min(Instant::now() + GRACE);
                timeout_at(deadline, answered).await.ok().and_then(Result::ok)
            }
        };
        if shipment.is_some() {
            // The thread enforces the limits once more. The next start does what is left.
            let _ = timeout_at((Instant::now() + GRACE).min(deadline), self.ended).await;
        }
        shipment.unwrap_or_else(|| {
            let Counters { points_written: delivered, points_rejected: rejected, .. } = self.shipped.so_far();
            let reason = Some("the disk is too slow".to_owned());
            Shipment { drained: Drained { delivered, rejected, reason, ..Drained::default() }, waiting: None }
        })
    }
}

impl Shipped {
    pub(super) fn add(&self, counters: Counters) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += counters;
    }

    pub(super) fn so_far(&self) -> Counters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(
    mut shipping: Shipping,
    archive: &Archive,
    inbox: Inbox,
    tally: &Tally,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    take_over(&archive.dir, tally);
    let finish = loop {
        let order = tokio::select! {
            () = shipping.work(archive, &inbox, tally) => continue,
            order = orders.recv() => order,
        };
        match order {
            None => return,
            Some(Order::MakeRoom(done)) => {
                shipping.make_room();
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
    let drained = shipping.finish(finish.patience, hurry, tally).await;
    let waiting = status(&archive.dir).map_or(0, |status| status.spool.points + status.open.points);
    let _ = finish.answer.send(Shipment { drained, waiting: Some(waiting) });
    shipping.keep_house(archive, tally);
}

/// How long the disk may take when nothing more is delivered.
const GRACE: Duration = Duration::from_secs(5);
