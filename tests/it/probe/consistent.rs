//! Properties of every sample, whatever its outcome.

use bandprobe::model::{phase::Phase, sample::Sample, units::Micros};

/// Panics where a sample contradicts itself.
pub(crate) fn assert_consistent(name: &str, sample: &Sample) {
    let phases = &sample.phases;
    let sum: u64 = Phase::ALL.iter().filter_map(|phase| phases.took(*phase)).map(|took| took.0).sum();
    assert_eq!(Micros(sum), phases.total(), "{name}: the phases add up");
    assert_eq!(phases.ttfb().is_some(), sample.status.is_some(), "{name}: first byte and status come together");
    assert_eq!(sample.error.is_none(), sample.outcome.is_ok(), "{name}: a failure is explained: {:?}", sample.error);
    if let Some(failed) = sample.failed_phase {
        let last = Phase::ALL.into_iter().rfind(|phase| phases.took(*phase).is_some());
        assert_eq!(last, Some(failed), "{name}: the phase that failed is the last one");
    }
    if !sample.outcome.is_ok() {
        assert_eq!(sample.rates, Default::default(), "{name}: a failed transfer has no rates");
        assert!(sample.intervals.is_empty(), "{name}");
    }
    assert_eq!(sample.labels.http.is_some(), sample.status.is_some(), "{name}: the version is that of an answer");
    assert_eq!(sample.trail.trace_id.as_deref().map(str::len), Some(32), "{name}");
}
