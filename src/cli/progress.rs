//! Progress on stderr, only on a terminal: a line for each node with its last result, and a line for all nodes.
//!
//! If the terminal has too few lines for all nodes, only the line for all nodes is shown. At the end, all lines are
//! removed. The terminal is written at most [`REDRAWS`] times per second, however many results there are. Without a
//! terminal, no text is formatted at all.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    model::{sample::Sample, target::Node},
    telemetry::{may_colour, set_progress_bars},
    term::width::columns,
    worker::OnRecorded,
};

use super::terminal;

pub(super) mod drawing;
mod line;

use self::line::{Count, LineFormat, NodeProgress, TransferCounts};

/// Lines that show how far a command is. Without a terminal, nothing is shown.
#[derive(Clone)]
pub(super) struct Progress(Option<Arc<Bars>>);

struct Bars {
    lines: MultiProgress,
    total: ProgressBar,
    state: Mutex<ProgressState>,
}

struct ProgressState {
    nodes: HashMap<Arc<str>, (Option<ProgressBar>, NodeProgress)>,
    all: TransferCounts,
    format: LineFormat,
}

impl Progress {
    /// Progress over the runs of these nodes.
    pub(super) fn over_runs<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        Self::start(nodes, Count::Runs { done: 0, all: 0 })
    }

    /// Progress over a time of probing these nodes.
    pub(super) fn over_time(nodes: &[Node]) -> Self {
        Self::start(nodes.iter(), Count::Transfers)
    }

    fn start<'a>(nodes: impl Iterator<Item = &'a Node>, count: Count) -> Self {
        let Some((width, height)) = terminal::size_of_stderr() else { return Self(None) };
        let names: Vec<_> = nodes.map(|node| node.id.clone()).collect();
        let longest = names.iter().map(|name| columns(name)).max().unwrap_or_default();
        let colour = may_colour(&std::io::stderr());
        let format = LineFormat { name: longest.min(usize::from(width) / 3), width: width.into(), colour };
        let lines = MultiProgress::with_draw_target(drawing::target());
        let is_high = names.len() + MARGIN <= usize::from(height);
        let state = names.into_iter().map(|name| {
            let progress = NodeProgress::new(name.clone(), count);
            let bar = is_high.then(|| lines.add(ProgressBar::new(0).with_style(style("{wide_msg}"))));
            if let Some(bar) = &bar {
                bar.set_message(show(&progress.line(format)));
            }
            (name, (bar, progress))
        });
        let state = ProgressState { nodes: state.collect(), all: TransferCounts::default(), format };
        let template = if width < ROOM_FOR_BAR { "{prefix}  {wide_msg}" } else { "{prefix}  {bar:24}  {wide_msg}" };
        let total = lines.add(ProgressBar::new(1).with_style(style(template)));
        total.enable_steady_tick(Duration::from_millis(1_000 / u64::from(REDRAWS)));
        set_progress_bars(Some(lines.clone()));
        Self(Some(Arc::new(Bars { lines, total, state: Mutex::new(state) })))
    }

    /// Records that `done` of `all` runs of a node have ended.
    pub(super) fn runs(&self, node: &str, done: usize, all: usize) {
        let Some(bars) = &self.0 else { return };
        let mut state = bars.state();
        let format = state.format;
        if let Some((bar, progress)) = state.nodes.get_mut(node) {
            progress.count = Count::Runs { done, all };
            redraw(bar.as_ref(), progress, format);
        }
        let counts = state.nodes.values().map(|(_, progress)| progress.count);
        let (done, all) = counts.fold((0, 0), |(done, all), count| match count {
            Count::Runs { done: more_done, all: more } => (done + more_done, all + more),
            Count::Transfers => (done, all),
        });
        bars.total.set_length(all as u64);
        bars.total.set_position(done as u64);
        bars.total.set_prefix(format!("{done}/{all} runs"));
    }

    /// Shows how many nodes a status round has checked, out of how many, whenever that changes. Never returns.
    pub(super) async fn follow(&self, mut checked: watch::Receiver<(usize, usize)>) -> Infallible {
        while let (Some(bars), Ok(())) = (&self.0, checked.changed().await) {
            let (done, all) = *checked.borrow_and_update();
            bars.total.set_length(all as u64);
            bars.total.set_position(done as u64);
            bars.total.set_prefix(format!("{done}/{all} nodes checked"));
        }
        pending().await
    }

    /// Records the result of a transfer.
    pub(super) fn result(&self, sample: &Sample) {
        let Some(bars) = &self.0 else { return };
        let mut state = bars.state();
        let format = state.format;
        if let Some((bar, progress)) = state.nodes.get_mut(&sample.labels.node) {
            progress.note(sample);
            redraw(bar.as_ref(), progress, format);
        }
        state.all.note(sample);
        bars.total.set_message(show(&state.all.words(format)));
    }

    /// The function that the pipeline calls with each result.
    pub(super) fn on_recorded(&self) -> OnRecorded {
        let progress = self.clone();
        Box::new(move |sample| progress.result(sample))
    }

    /// Waits for `duration` and shows the time.
    pub(super) async fn tick(&self, duration: Duration) {
        let started = Instant::now();
        while started.elapsed() < duration {
            if let Some(bars) = &self.0 {
                let (passed, all) = (started.elapsed(), duration.as_secs());
                bars.total.set_length(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
                bars.total.set_position(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
                bars.total.set_prefix(format!("{}/{all} s", passed.as_secs()));
            }
            sleep(STEP.min(duration.saturating_sub(started.elapsed()))).await;
        }
    }

    /// Shows that results are being delivered, after measuring has ended.
    pub(super) fn delivering(&self) {
        if let Some(bars) = &self.0 {
            bars.total.set_prefix("delivering");
        }
    }

    /// Calls a function while the lines are hidden.
    pub(super) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bars) => bars.lines.suspend(what),
            None => what(),
        }
    }

    /// Removes the lines.
    pub(super) fn end(&self) {
        if let Some(bars) = &self.0 {
            bars.clear();
        }
    }
}

impl Bars {
    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        set_progress_bars(None);
        self.total.finish_and_clear();
        self.state().nodes.values().filter_map(|(bar, _)| bar.as_ref()).for_each(ProgressBar::finish_and_clear);
        // Lines that were drawn are already removed. If the terminal cannot be written, there is nothing else to do.
        let _ = self.lines.clear();
    }
}

/// Removes the lines when a command fails, too.
impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

fn redraw(bar: Option<&ProgressBar>, progress: &NodeProgress, format: LineFormat) {
    if let Some(bar) = bar {
        bar.set_message(show(&progress.line(format)));
    }
}

/// The text in characters that this terminal can show.
pub(super) fn show(text: &str) -> String {
    terminal::fit(text, &std::io::stderr()).into_owned()
}

/// A style for a line, whose bar has characters that the terminal can show.
pub(super) fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("invariant: the template is well-formed");
    style.progress_chars(if terminal::fit("█", &std::io::stderr()) == "█" { "━╸─" } else { "=>-" })
}

/// How often the terminal is written at most, per second.
pub(super) const REDRAWS: u8 = 8;

/// How often the time is updated.
const STEP: Duration = Duration::from_millis(250);

/// Terminal lines that are not for nodes, such as the line for all nodes and the cursor's line.
const MARGIN: usize = 3;

/// The narrowest terminal on which a line has a bar, in columns.
pub(super) const ROOM_FOR_BAR: u16 = 70;
