//! The queue of output to stderr, and the thread that writes it.
//!
//! Logging never waits for the reader of stderr: a pipe that is not read is full after 64 KiB, and a key can stop a
//! terminal. A line that does not fit into the queue is dropped and counted. Once the reader continues, one line
//! reports how many lines are missing, at the position where they would have been.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

/// Text on its way to stderr.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    /// Notified when there is something to write.
    filled: Condvar,
    /// Notified when something has been written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Text>,
    bytes: usize,
    /// The queue was full and is not half empty yet. Lines are therefore dropped in blocks and not one by one.
    is_full: bool,
    /// Dropped lines that no output line has reported yet.
    unreported: u64,
    /// Lines dropped since the start.
    dropped: u64,
    /// Since when the thread has been writing its current text; `None` when it is not writing.
    writing: Option<Instant>,
}

/// A text that is written at once.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    lines: u64,
}

impl Queue {
    /// Starts the thread that writes the queue to `out`. It ends with the process.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let emptied = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || emptied.write_to(out))?;
        Ok(queue)
    }

    /// Adds lines that belong together. Never waits.
    pub(super) fn put(&self, text: String) {
        let text = Text { lines: text.lines().count() as u64, bytes: text.into_bytes() };
        let mut state = self.lock();
        let room = if state.is_full { MAX_BYTES / 2 } else { MAX_BYTES };
        state.is_full = state.bytes + text.bytes.len() > room;
        if state.is_full {
            state.dropped += text.lines;
            state.unreported += text.lines;
            return;
        }
        state.report();
        state.add(text);
        self.filled.notify_one();
    }

    /// Adds a progress display. It is left out when the reader is slow, because the next one is newer.
    pub(super) fn draw(&self, frame: String) {
        let mut state = self.lock();
        if state.bytes + frame.len() <= MAX_FRAME_BYTES {
            state.add(Text { lines: 0, bytes: frame.into_bytes() });
            self.filled.notify_one();
        }
    }

    /// Lines dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until everything is written, but at most `timeout`. Gives up when one write takes longer than `write_timeout`.
    /// Returns whether everything was written.
    pub(super) fn flush(&self, write_timeout: Duration, timeout: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            if state.is_done() {
                return true;
            }
            let waited = state.writing.map_or(Duration::ZERO, |since| since.elapsed());
            let left = write_timeout.saturating_sub(waited).min(timeout.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return false;
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything is written.
    pub(super) fn flush_all(&self) {
        let done = self.emptied.wait_while(self.lock(), |state| !state.is_done());
        drop(done.unwrap_or_else(PoisonError::into_inner));
    }

    fn write_to(&self, mut out: impl Write) {
        loop {
            let text = self.next();
            let written = write_whole(&mut out, &text.bytes);
            let mut state = self.lock();
            state.writing = None;
            if written.is_err() {
                // The reader is gone, so the loss cannot be reported.
                state.dropped += text.lines;
            }
            drop(state);
            self.emptied.notify_all();
        }
    }

    /// Waits for the next text to write.
    fn next(&self) -> Text {
        let empty = |state: &mut QueueState| state.waiting.is_empty() && state.unreported == 0;
        let mut state = self.filled.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.report();
        }
        let text = state.waiting.pop_front().unwrap_or_default();
        state.bytes -= text.bytes.len();
        state.writing = Some(Instant::now());
        text
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn add(&mut self, text: Text) {
        self.bytes += text.bytes.len();
        self.waiting.push_back(text);
    }

    /// Adds a line that reports the lines missing here, if there are any.
    fn report(&mut self) {
        let missing = std::mem::take(&mut self.unreported);
        if missing > 0 {
            let lines = if missing == 1 { "line is" } else { "lines are" };
            let text =
                format!("{:.6}  WARN {missing} log {lines} missing here: stderr was not read\n", Timestamp::now());
            self.add(Text { bytes: text.into_bytes(), lines: 1 });
        }
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.unreported == 0 && self.writing.is_none()
    }
}

/// Writes all bytes, however long that takes.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the pipe has made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// About 5,000 lines: seconds of a busy debug log, or days of an ordinary one.
const MAX_BYTES: usize = 1 << 20;
/// A few seconds of progress display on a large terminal.
const MAX_FRAME_BYTES: usize = 64 << 10;
const RETRY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes a text only when it is allowed to.
    struct Reader {
        allowed: mpsc::Receiver<()>,
        read: mpsc::Sender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.allowed.recv().is_err() {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let _ = self.read.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Arc<Queue>, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let ((allow, allowed), (read, seen)) = (mpsc::channel(), mpsc::channel());
        (Queue::start(Reader { allowed, read }).unwrap(), allow, seen)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_waits_for_a_reader_and_drops_are_reported() {
        let (queue, allow, seen) = queue();
        let line = format!("{}\n", "x".repeat(1_023));
        for _ in 0..3_000 {
            queue.put(line.clone());
        }
        let kept = 3_000 - queue.dropped();
        // The reader has one more already.
        assert!((1_024..=1_025).contains(&kept), "{kept} of 1 KiB each");
        assert!(!queue.flush(Duration::from_millis(1), LONG), "the reader is stuck");
        (0..=kept).for_each(|_| allow.send(()).unwrap());
        assert!(queue.flush(LONG, LONG));
        let read: Vec<_> = seen.try_iter().collect();
        let (last, lines) = read.split_last().unwrap();
        assert_eq!((lines.len() as u64, lines.iter().all(|read| *read == line)), (kept, true));
        let expected = format!("  WARN {} log lines are missing here: stderr was not read\n", 3_000 - kept);
        assert!(last.ends_with(&expected), "{last}");
    }

    #[test]
    fn missing_lines_are_reported_where_they_were() {
        let (queue, allow, seen) = queue();
        queue.put("a\n".to_owned());
        queue.put("x\n".repeat(MAX_BYTES));
        queue.put("b\n".to_owned());
        (0..3).for_each(|_| allow.send(()).unwrap());
        assert!(queue.flush(LONG, LONG));
        let read: String = seen.try_iter().collect();
        let place = read.find(&format!("WARN {MAX_BYTES} log lines are missing")).unwrap();
        assert!(read.starts_with("a\n") && read.ends_with("b\n") && place < read.len(), "{read}");
    }

    #[test]
    fn lines_without_a_reader_are_dropped_and_counted() {
        let (queue, allow, _seen) = queue();
        drop(allow);
        queue.put("a\nb\n".to_owned());
        queue.put("c\n".to_owned());
        queue.flush_all();
        assert_eq!(queue.dropped(), 3);
    }
}
