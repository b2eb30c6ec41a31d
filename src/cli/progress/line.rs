//! The text of a line of progress.

use std::sync::Arc;

use crate::{
    model::{
        outcome::Outcome,
        probe::PartName,
        sample::{ConnectionKind, Sample},
    },
    term::{
        ink::Ink,
        width::{cut, pad},
    },
};

/// How a line is formatted.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineFormat {
    /// Columns for a node's name.
    pub(super) name: usize,
    /// Columns of the terminal.
    pub(super) width: usize,
    pub(super) colour: bool,
}

/// What a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Runs that have ended, and all runs.
    Runs { done: usize, all: usize },
    /// Transfers so far.
    Transfers,
}

/// Numbers of transfers so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TransferCounts {
    transfers: u64,
    failed: u64,
}

/// How far a node is.
#[derive(Clone, Debug)]
pub(super) struct NodeProgress {
    pub(super) count: Count,
    name: Arc<str>,
    counts: TransferCounts,
    /// The words for the last transfer, and whether it failed.
    last: Option<(ResultText, bool)>,
}

impl TransferCounts {
    pub(super) fn note(&mut self, sample: &Sample) {
        // `NotCached` is not the result of a transfer, and not a failure of the node.
        self.transfers += u64::from(sample.outcome != Outcome::NotCached);
        self.failed += u64::from(is_failure(sample));
    }

    pub(super) fn words(self, format: LineFormat) -> String {
        let transfers = if self.transfers == 1 { "transfer" } else { "transfers" };
        let failed = format!("{} failed", self.failed);
        let failed = if self.failed > 0 { Ink::Bad.on(&failed, format.colour) } else { failed };
        format!("{} {transfers}, {failed}", self.transfers)
    }
}

impl NodeProgress {
    pub(super) fn new(name: Arc<str>, count: Count) -> Self {
        Self { count, name, counts: TransferCounts::default(), last: None }
    }

    pub(super) fn note(&mut self, sample: &Sample) {
        self.counts.note(sample);
        let failed = is_failure(sample);
        // A good check is not shown, because the transfer that it was for follows.
        if !sample.outcome.is_ok() || sample.labels.part != Some(PartName::Check) {
            self.last = Some((ResultText::of(sample), failed));
        }
    }

    /// `fast   3/4 runs   1 failed  video start 198 Mbit/s`; narrow terminals leave out words that can be guessed.
    pub(super) fn line(&self, format: LineFormat) -> String {
        let is_narrow = format.width < NARROW;
        let name = pad(cut(&self.name, format.name), format.name);
        let count = match self.count {
            Count::Runs { done, all } if is_narrow => format!("{done:>3}/{all}"),
            Count::Runs { done, all } => format!("{done:>4}/{all} runs"),
            Count::Transfers if is_narrow => format!("{:>4}", self.counts.transfers),
            Count::Transfers => format!("{:>5} transfers", self.counts.transfers),
        };
        let failed = match self.counts.failed {
            0 => String::new(),
            failed if is_narrow => format!("✗{failed}"),
            failed => format!("{failed} failed"),
        };
        let failed = if is_narrow { format!("{failed:<3}") } else { format!("{failed:>11} ") };
        let failed = if self.counts.failed > 0 { Ink::Bad.on(&failed, format.colour) } else { failed };
        let last = match &self.last {
            None => Ink::Faint.on("waiting", format.colour),
            Some((words, true)) => Ink::Bad.on(&words.text(is_narrow), format.colour),
            Some((words, false)) => words.text(is_narrow),
        };
        format!("{name} {count} {failed} {last}")
    }
}

/// Whether this is a failure that the report charges to the node.
fn is_failure(sample: &Sample) -> bool {
    !sample.outcome.is_ok() && sample.is_charged()
}

/// A result in a few words: `video start 20.1 Mbit/s`, `image 1.20 ms`, `image object_not_found`.
#[derive(Clone, Debug)]
struct ResultText {
    kind: String,
    /// Which transfer of the run this is, unless there is only one.
    part: Option<&'static str>,
    figure: Option<String>,
}

impl ResultText {
    fn of(sample: &Sample) -> Self {
        let labels = &sample.labels;
        let part = match (labels.part, labels.conn) {
            (Some(PartName::Full), Some(ConnectionKind::Warm)) => Some(ConnectionKind::Warm.label()),
            (Some(PartName::Full), _) => None,
            (part, _) => part.map(PartName::label),
        };
        let figure = if sample.outcome.is_ok() {
            let rate = sample.rates.goodput.map(|rate| rate.to_string());
            rate.or_else(|| sample.phases.ttfb().map(|ttfb| ttfb.to_string()))
        } else {
            Some(sample.outcome.label().to_owned())
        };
        Self {
            kind: labels.kind.map_or_else(|| labels.probe.to_string(), |kind| kind.label().to_owned()),
            part,
            figure,
        }
    }

    /// The words as text. On narrow terminals, the part is enough.
    fn text(&self, is_narrow: bool) -> String {
        let kind = Some(&*self.kind).filter(|_| !is_narrow || self.part.is_none());
        let words: Vec<_> = [kind, self.part, self.figure.as_deref()].into_iter().flatten().collect();
        words.join(" ")
    }
}

/// On terminals narrower than this, words that can be guessed are left out.
const NARROW: usize = 60;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{
        flag::Flags,
        outcome::Outcome,
        phase::{Phase, Phases},
        sample::{CacheState, Labels, NetworkPath, Rates, ReaderStats, TlsInfo, TraceInfo},
        target::AssetKind,
        units::{BitRate, Micros},
    };

    fn sample(kind: AssetKind, part: PartName, conn: ConnectionKind, outcome: Outcome, goodput: Option<u64>) -> Sample {
        let mut phases = Phases::default();
        phases.end(Phase::Wait, Micros(1_234));
        phases.end(Phase::Receive, Micros(2_000));
        Sample {
            at: Timestamp::UNIX_EPOCH,
            labels: Labels {
                vantage: "here".into(),
                node: "fast".into(),
                region: None,
                probe: "mine".into(),
                kind: Some(kind),
                part: Some(part),
                conn: Some(conn),
                http: None,
                family: None,
                cache: CacheState::Hit,
            },
            outcome,
            failed_phase: None,
            error: None,
            lateness: Micros::ZERO,
            phases,
            bytes: None,
            expected_bytes: None,
            status: None,
            rates: Rates { goodput: goodput.map(BitRate), ..Rates::default() },
            intervals: vec![],
            curve: None,
            hit: None,
            run_ok: None,
            flags: Flags::NONE,
            distance_km: None,
            path: NetworkPath::default(),
            reader: ReaderStats::default(),
            tls: TlsInfo::default(),
            trail: TraceInfo::default(),
        }
    }

    const WIDE: LineFormat = LineFormat { name: 6, width: 80, colour: false };
    const NARROW: LineFormat = LineFormat { name: 6, width: 40, colour: false };

    #[test]
    fn a_result_is_a_few_words() {
        let (image, video, ok) = (AssetKind::Image, AssetKind::Video, Outcome::Ok);
        for (sample, wide, narrow) in [
            (sample(image, PartName::Full, ConnectionKind::Cold, ok, None), "image 1.23 ms", "image 1.23 ms"),
            (sample(image, PartName::Full, ConnectionKind::Warm, ok, None), "image warm 1.23 ms", "warm 1.23 ms"),
            (
                sample(video, PartName::Start, ConnectionKind::Cold, ok, Some(20_100_000)),
                "video start 20.1 Mbit/s",
                "start 20.1 Mbit/s",
            ),
            (
                sample(video, PartName::Tail, ConnectionKind::Warm, Outcome::Stalled, Some(1)),
                "video tail stalled",
                "tail stalled",
            ),
            (
                sample(image, PartName::Check, ConnectionKind::Cold, Outcome::ObjectNotFound, None),
                "image check object_not_found",
                "check object_not_found",
            ),
        ] {
            let words = ResultText::of(&sample);
            assert_eq!((&*words.text(false), &*words.text(true)), (wide, narrow));
        }
    }

    #[test]
    fn progress_lines_align() {
        let ok = sample(AssetKind::Image, PartName::Full, ConnectionKind::Cold, Outcome::Ok, None);
        let check = sample(AssetKind::Image, PartName::Check, ConnectionKind::Cold, Outcome::Ok, None);
        let bad = sample(AssetKind::Video, PartName::Seek, ConnectionKind::Warm, Outcome::Reset, None);
        let runs = Count::Runs { done: 3, all: 12 };
        for (name, count, samples, wide, narrow) in [
            ("fast", runs, &[][..], "fast      3/12 runs              waiting", "fast     3/12     waiting"),
            (
                "fast",
                runs,
                &[&ok, &check],
                "fast      3/12 runs              image 1.23 ms",
                "fast     3/12     image 1.23 ms",
            ),
            ("東京", runs, &[], "東京      3/12 runs              waiting", "東京     3/12     waiting"),
            ("東京大阪", runs, &[], "東京大    3/12 runs              waiting", "東京大   3/12     waiting"),
            (
                "a-long-name",
                Count::Transfers,
                &[&ok, &bad],
                "a-long     2 transfers    1 failed  video seek reset",
                "a-long    2 ✗1  seek reset",
            ),
        ] {
            let mut progress = NodeProgress::new(name.into(), count);
            samples.iter().for_each(|sample| progress.note(sample));
            assert_eq!((&*progress.line(WIDE), &*progress.line(NARROW)), (wide, narrow));
        }
    }

    #[test]
    fn failures_are_red() {
        let bad = sample(AssetKind::Image, PartName::Full, ConnectionKind::Cold, Outcome::Reset, None);
        let mut progress = NodeProgress::new("fast".into(), Count::Transfers);
        progress.note(&bad);
        let line = progress.line(LineFormat { colour: true, ..WIDE });
        assert!(
            line.contains("\u{1b}[31mimage reset\u{1b}[0m") && line.contains("\u{1b}[31m   1 failed \u{1b}[0m"),
            "{line:?}"
        );
        let mut all = TransferCounts::default();
        assert_eq!(all.words(WIDE), "0 transfers, 0 failed");
        all.note(&bad);
        assert_eq!(all.words(WIDE), "1 transfer, 1 failed");
    }
}
