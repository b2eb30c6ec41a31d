//! Warnings and failures of a transfer, and what the user can do about them.

use jiff::Timestamp;

use crate::{
    model::{flag::Flag, sample::Sample},
    term::{Look, ink::Ink, wrap::wrap},
};

/// Flags, outcome, and a certificate that expires soon, each with its remedy. Empty when there is nothing to say.
pub(super) fn remarks(sample: &Sample, look: Look) -> String {
    let mut text = String::new();
    for flag in sample.flags.iter() {
        let ink = if flag.invalidates() { Ink::Bad } else { Ink::Doubtful };
        text += &remark(flag.label(), ink, flag.meaning(), look);
        if let Some(frozen) = sample.reader.frozen.filter(|_| flag == Flag::Frozen) {
            text += &wrap(&format!("    bandprobe did not run for {frozen}\n"), look.width);
        }
        text += &remedy(Some(flag.remedy()), look);
    }
    if let Some(until) = Expiry::of(sample).filter(|until| until.is_soon()) {
        text += &remark("certificate", Ink::Doubtful, &format!("it {until}"), look);
        text += &remedy(Some("the operator must renew it before then"), look);
    }
    if !sample.outcome.is_ok() {
        let outcome = sample.outcome;
        text += &remark(outcome.label(), Ink::Bad, outcome.meaning(), look);
        if let Some(error) = &sample.error {
            text += &wrap(&format!("    {error}\n"), look.width);
        }
        text += &remedy(outcome.remedy(), look);
    }
    text
}

fn remark(label: &str, ink: Ink, meaning: &str, look: Look) -> String {
    wrap(&format!("  {}: {meaning}\n", ink.on(label, look.colour)), look.width)
}

fn remedy(words: Option<&str>, look: Look) -> String {
    words.map_or_else(String::new, |words| wrap(&format!("    → {words}\n"), look.width))
}

/// When a certificate expires.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    at: Option<Timestamp>,
    seconds: i64,
}

impl Expiry {
    pub(super) fn of(sample: &Sample) -> Option<Self> {
        let seconds = sample.tls.cert_expires?;
        let at = sample.at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        Some(Self { at, seconds })
    }

    const fn is_soon(self) -> bool {
        self.seconds < SOON_DAYS * DAY
    }
}

impl std::fmt::Display for Expiry {
    /// `expires on 2026-12-01, in 8 days`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = self.at.map(|at| at.strftime("%Y-%m-%d").to_string());
        let on = date.map(|date| format!(" on {date}")).unwrap_or_default();
        match self.seconds.div_euclid(DAY) {
            ..0 => write!(f, "expired{on}"),
            0 => write!(f, "expires{on}, within a day"),
            1 => write!(f, "expires{on}, in a day"),
            days => write!(f, "expires{on}, in {days} days"),
        }
    }
}

/// A certificate that expires within this number of days gets a remark. Automatic renewal would have replaced it
/// earlier.
const SOON_DAYS: i64 = 14;

/// Seconds.
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::waterfall::fixture::sample,
        model::{outcome::Outcome, units::Micros},
    };

    fn look(width: u16) -> Look {
        Look { width: Some(width), colour: false }
    }

    #[test]
    fn a_flag_comes_with_its_remedy() {
        let mut sample = sample();
        assert_eq!(remarks(&sample, look(80)), "");
        sample.flags.raise(Flag::TooSmall);
        assert_eq!(
            remarks(&sample, look(80)),
            "  too_small: less than 1 MiB was planned, so there is no rate\n    \
             → ask for at least 1 MiB (--range 0-1048575); for smaller objects, use the\n      ttfb and the effective rate\n"
        );
    }

    #[test]
    fn a_freeze_comes_with_its_length() {
        let mut sample = sample();
        sample.flags.raise(Flag::Frozen);
        sample.reader.frozen = Some(Micros(8_031_000));
        let text = remarks(&sample, look(200));
        assert!(
            text.contains("frozen: bandprobe itself was stopped")
                && text.contains("\n    bandprobe did not run for 8.03 s\n"),
            "{text}"
        );
    }

    #[test]
    fn a_failure_comes_with_its_reason_and_its_remedy() {
        let mut sample = sample();
        (sample.outcome, sample.error) = (Outcome::Redirected, Some("status 302: to https://b/".to_owned()));
        assert_eq!(
            remarks(&sample, look(100)),
            "  redirected: a redirect, which bandprobe does not follow\n    \
             status 302: to https://b/\n    → use the URL that it redirects to\n"
        );
    }

    #[test]
    fn a_certificate_that_expires_soon_is_reported() {
        for (days, expected) in [
            (-1, Some("it expired on 2026-11-21")),
            (0, Some("it expires on 2026-11-22, within a day")),
            (1, Some("it expires on 2026-11-23, in a day")),
            (13, Some("it expires on 2026-12-05, in 13 days")),
            (14, None),
        ] {
            let mut sample = sample();
            sample.tls.cert_expires = Some(days * DAY + 60);
            let text = remarks(&sample, look(80));
            assert_eq!(text.lines().next().and_then(|line| line.strip_prefix("  certificate: ")), expected, "{text}");
        }
        let mut sample = sample();
        sample.tls.cert_expires = Some(i64::MAX);
        assert_eq!(remarks(&sample, look(80)), "");
        assert!(Expiry::of(&sample).unwrap().to_string().starts_with("expires, in "), "no date is so late");
    }
}
