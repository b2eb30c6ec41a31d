//! The evidence for figures and flags: each value next to its limit, or why it was not measured.

use crate::{
    measure::{
        NEAR_PERCENT,
        evidence::{
            MAX_CPU_SHARE, MAX_LAG, MAX_RUN_DELAY_SHARE, MIN_SHARED, Slowness, WINDOW_SHARE, max_run_delay, reached,
            share, under_way,
        },
        goodput::MIN_PLANNED,
        timeline::{STALL_ROUND_TRIPS, stall_threshold},
    },
    model::{
        flag::Flag,
        phase::Phase,
        sample::Sample,
        text::made_printable,
        units::{Bytes, Micros},
    },
    term::{
        Look,
        figure::small_percent,
        ink::Ink,
        wrap::{flow, wrap},
    },
};

use super::{has_room, remarks::Expiry};

/// The whole list, with its heading.
pub(super) fn evidence(sample: &Sample, look: Look) -> String {
    let mut text = wrap(&format!("  {}\n", Ink::Faint.on("evidence", look.colour)), look.width);
    let rows = [path(sample), reader(sample), body(sample), origin(sample)].concat();
    for EvidenceRow { name, value, doubtful } in rows {
        let value = if doubtful { Ink::Doubtful.on(&value, look.colour) } else { value };
        let hanging = " ".repeat(INDENT + NAME + 2);
        let name = format!("{}{name:<NAME$}  ", " ".repeat(INDENT));
        // If the names would take half of the terminal, values are on lines of their own.
        let (first, hanging) = if has_room(look) { (&*name, &*hanging) } else { ("", "  ") };
        if first.is_empty() {
            text += &wrap(&format!("{}\n", name.trim_end()), look.width);
        }
        text += &flow(value.split(' '), " ", (first, hanging), look.width);
        text.push('\n');
    }
    text
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct EvidenceRow {
    name: &'static str,
    value: String,
    /// Whether the value is beyond its limit.
    doubtful: bool,
}

fn row(name: &'static str, value: String) -> EvidenceRow {
    EvidenceRow { name, value, doubtful: false }
}

/// The value in words, or why there is none.
fn or_absent<T>(value: Option<T>, words: impl FnOnce(T) -> String, why: &str) -> String {
    value.map_or_else(|| format!("not measured: {why}"), words)
}

fn path(sample: &Sample) -> Vec<EvidenceRow> {
    let path = &sample.path;
    let why = if path.rtt.is_some() { SYSTEM } else { NO_CONNECTION };
    let source = |rtt: Micros| match sample.phases.took(Phase::Connect) {
        Some(took) if rtt < took => format!("{rtt}: the kernel's minimum; our TCP handshake took {took}"),
        Some(_) => format!("{rtt}: our TCP handshake; the kernel knows no shorter one"),
        None => format!("{rtt}: the kernel's minimum, or the TCP handshake of this connection if that was shorter"),
    };
    vec![
        row("path rtt", or_absent(path.rtt, source, NO_CONNECTION)),
        row("receiver's rtt", or_absent(path.rcv_rtt, |rtt| format!("{rtt}, for information only"), why)),
        EvidenceRow {
            doubtful: sample.flags.contains(Flag::Reordered),
            ..row("out of order", or_absent(path.ooo_segments, |count| format!("{count} segments"), why))
        },
        EvidenceRow {
            doubtful: sample.flags.contains(Flag::ReceiverLimited),
            ..row("receive window", or_absent(path.rcv_wnd, |window| self::window(sample, window), why))
        },
    ]
}

/// The window that was offered, and how much of it the rate needs.
fn window(sample: &Sample, window: Bytes) -> String {
    let limit = small_percent(WINDOW_SHARE);
    let (Some(rate), Some(rtt)) = (reached(&sample.rates), sample.path.rtt) else {
        return format!("{window} offered; there is no rate to compare it with");
    };
    let used = under_way(rate, rtt);
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let part = small_percent(used as f64 / window.0.max(1) as f64);
    format!("{window} offered; rate × rtt needs {} of it, {part} (limit {limit})", Bytes(used))
}

fn reader(sample: &Sample) -> Vec<EvidenceRow> {
    let reader = &sample.reader;
    let receive = sample.phases.took(Phase::Receive);
    let slow = Slowness::of(reader);
    let why = match receive {
        None => NO_ANSWER,
        Some(_) if sample.curve.is_none() => NO_BODY,
        Some(_) => SYSTEM,
    };
    // The kernel begins to stamp segments a moment after the first socket asks for it.
    let unstamped = if why == SYSTEM { "the kernel stamped none of its segments" } else { why };
    let span = reader.span.unwrap_or_default();
    let limit = |limit: String| match span {
        short if short < MIN_SHARED => format!("under {MIN_SHARED}: not judged"),
        _ => format!("limit {limit}"),
    };
    let delay = |delay: Micros| {
        let most = max_run_delay(span);
        let most = if most == MAX_LAG { most.to_string() } else { small_percent(MAX_RUN_DELAY_SHARE) };
        format!("{delay}, {} of the {span} after the head ({})", small_percent(share(delay, span)), limit(most))
    };
    let lag = or_absent(reader.lag_p90, |lag| format!("{lag} (limit {MAX_LAG})"), unstamped);
    let cpu = |share| {
        format!("{} of the {span} after the head ({})", small_percent(share), limit(small_percent(MAX_CPU_SHARE)))
    };
    vec![
        EvidenceRow { doubtful: slow.late, ..row("receive lag p90", lag) },
        EvidenceRow { doubtful: slow.busy, ..row("cpu share", or_absent(reader.cpu_share, cpu, why)) },
        EvidenceRow { doubtful: slow.delayed, ..row("run-queue delay", or_absent(reader.run_delay, delay, why)) },
    ]
}

fn body(sample: &Sample) -> Vec<EvidenceRow> {
    let reads = sample.curve.as_ref().map(|curve| (curve.reads, curve.width));
    let reads = or_absent(reads, |(reads, width)| format!("{reads} with body bytes, in bins of {width}"), NO_BODY);
    let threshold = stall_threshold(sample.path.rtt);
    let least = stall_threshold(None);
    let stalls = format!("{threshold} without a byte: {STALL_ROUND_TRIPS} round trips, and at least {least}");
    let ramp = match sample.rates.ramp {
        Some(Micros::ZERO) => format!("none: {NEAR_PERCENT} % of the median rate of the second half from the start"),
        Some(ramp) => format!("{ramp}, to {NEAR_PERCENT} % of the median rate of the second half"),
        None if sample.flags.contains(Flag::Unsteady) => {
            format!("no end: the first half never reached {NEAR_PERCENT} % of the median rate of the second half")
        }
        None if !sample.outcome.is_ok() => "not measured: the transfer failed".to_owned(),
        None if sample.flags.contains(Flag::TooSmall) => {
            format!("not measured: less than {} were planned", Bytes(MIN_PLANNED))
        }
        None => "not measured: the body took too little time".to_owned(),
    };
    vec![row("socket reads", reads), row("stall", stalls), row("ramp", ramp)]
}

/// What identifies the node, and the transfer in the node's logs.
fn origin(sample: &Sample) -> Vec<EvidenceRow> {
    let (tls, trail) = (&sample.tls, &sample.trail);
    let why = match (tls.version, sample.phases.took(Phase::Tls), sample.path.rtt) {
        (Some(_), ..) => "it could not be read",
        (None, Some(_), _) => "the handshake did not complete",
        (None, None, None) => NO_CONNECTION,
        (None, None, Some(_)) => "the connection is not encrypted",
    };
    let shown = |text: &Option<String>, why: &str| text.as_deref().map_or_else(|| why.to_owned(), made_printable);
    let header = if sample.status.is_some() { "not stated" } else { NO_ANSWER };
    vec![
        row("tls", or_absent(tls.version, str::to_owned, why)),
        row("certificate", or_absent(Expiry::of(sample), |until| until.to_string(), why)),
        row("server", shown(&trail.server, header)),
        row("data source", shown(&trail.data_source, header)),
        row("trace id", shown(&trail.trace_id, "not sent")),
        row("request id", shown(&trail.request_id, "not sent")),
    ]
}

const INDENT: usize = 4;
/// Columns for the names.
const NAME: usize = 15;

/// Why a value can be missing.
const SYSTEM: &str = "this system does not report it";
const NO_CONNECTION: &str = "there was no connection";
const NO_ANSWER: &str = "there was no response";
const NO_BODY: &str = "there was no body";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::waterfall::fixture,
        model::{
            curve::Curve,
            outcome::Outcome,
            sample::{NetworkPath, ReaderStats, Sample, TlsInfo, TraceInfo},
        },
    };

    fn printed(sample: &Sample) -> String {
        evidence(sample, Look { width: Some(100), colour: false })
    }

    #[test]
    fn each_value_is_shown_with_its_limit() {
        let mut sample = fixture::sample();
        let (begin, span, width) = (Micros(70_000), Micros(1_830_000), Micros(10_000));
        sample.curve = Some(Curve { begin, span, width, reads: 1_214, bytes: vec![34_000; 183], ..Curve::default() });
        let printed = printed(&sample);
        assert_eq!(printed, include_str!("../../../tests/data/plot/evidence.txt"), "\n{printed}");
    }

    #[test]
    fn a_short_receive_phase_has_an_absolute_delay_limit() {
        let mut sample = fixture::sample();
        sample.phases = fixture::phases([None, Some(20), None, Some(0), Some(24), Some(40)]);
        (sample.reader.run_delay, sample.reader.span) = (Some(Micros(4_900)), Some(Micros(40_000)));
        let printed = printed(&sample);
        assert!(
            printed.contains("run-queue delay  4.90 ms, 12 % of the 40.0 ms after the head (limit 5.00 ms)"),
            "\n{printed}"
        );
    }

    #[test]
    fn unmeasured_values_say_why() {
        let mut sample = fixture::sample();
        (sample.path, sample.reader) = (NetworkPath::default(), ReaderStats::default());
        (sample.tls, sample.trail, sample.status) = (TlsInfo::default(), TraceInfo::default(), None);
        (sample.outcome, sample.rates) = (Outcome::ConnectTimeout, crate::model::sample::Rates::default());
        sample.phases = fixture::phases([Some(1), Some(5_000), None, None, None, None]);
        let printed = printed(&sample);
        assert_eq!(printed, include_str!("../../../tests/data/plot/evidence-failed.txt"), "\n{printed}");
    }

    #[test]
    fn values_beyond_their_limit_are_coloured() {
        let (yellow, plain) = ("\u{1b}[33m", Look { width: None, colour: true });
        let doubted = |change: fn(&mut Sample)| -> Vec<String> {
            let mut sample = fixture::sample();
            change(&mut sample);
            let printed = evidence(&sample, plain);
            let lines = printed.lines().filter(|line| line.contains(yellow));
            lines.map(|line| line[..INDENT + NAME].trim().to_owned()).collect()
        };
        assert!(doubted(|_| ()).is_empty());
        assert_eq!(doubted(|s| s.reader.lag_p90 = Some(Micros(5_001))), ["receive lag p90"]);
        assert_eq!(doubted(|s| s.reader.cpu_share = Some(0.81)), ["cpu share"]);
        assert_eq!(doubted(|s| s.reader.run_delay = Some(Micros(100_000))), ["run-queue delay"]);
        assert_eq!(doubted(|s| s.flags.raise(Flag::ReceiverLimited)), ["receive window"]);
        assert_eq!(doubted(|s| s.flags.raise(Flag::Reordered)), ["out of order"]);
        assert!(
            doubted(|s| {
                s.reader.span = Some(Micros(19_000));
                s.reader.cpu_share = Some(1.0);
            })
            .is_empty(),
            "too short to have shares"
        );
    }
}
