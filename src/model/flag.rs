//! Flags: reasons to distrust a number in an otherwise good sample.

use std::fmt;

macro_rules! flags {
    ($($variant:ident $label:literal $distrust:literal $meaning:literal $remedy:literal)*) => {
        /// One reason for distrust.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flag {
            $(#[doc = $meaning] $variant,)*
        }

        impl Flag {
            /// All of them, sorted by label.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that the outside sees.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// One clause that explains the flag to a person.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// What the reader can do about it, or how to take the figures: one clause.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }

            /// Does the flag take `valid` away from the sample?
            #[must_use]
            pub const fn invalidates(self) -> bool {
                match self { $(Self::$variant => $distrust),* }
            }
        }
    };
}

// Sorted by label, so that a set prints sorted.
flags! {
    CacheChanged "cache_changed" false "the cache state of the answer differs from that of the check before it"
        "nothing to do: the figures count under the state that came with the download"
    ClockStep "clock_step" true "the wall clock moved by more than 100 ms against the monotonic one"
        "let the clock be slewed and not set (chrony, systemd-timesyncd), then measure again"
    Coarse "coarse" false "finished in under 20 ms or 4 reads: the rate is rough"
        "ask for more bytes: a longer --range, or larger `bytes` of the part"
    Concurrent "concurrent" true "another heavy transfer ran in this process meanwhile"
        "leave `limits.heavy-transfers` at 1; beside a node that falls silent it happens all the same"
    CpuBound "cpu_bound" true "this machine was too busy to tell how fast the node and the path are"
        "take the rate for a lower bound, and measure on a quieter or larger machine (-v shows which limit was passed)"
    Frozen "frozen" true "this program did not run for part of the transfer: stopped, suspended or kept from the CPU"
        "measure again when this machine runs without interruption; the times are left out, and the node is not charged"
    Overshoot "overshoot" false "the node sent more bytes than asked; we stopped reading"
        "the figures hold; tell the operator that the node ignores the end of a range"
    Partial "partial" false "the deadline came while bytes were still flowing: the rate holds, the total does not"
        "if the total matters, give more time (--deadline, `deadline.body`) or ask for fewer bytes"
    ReceiverLimited "receiver_limited" false "our receive window was the limit: the rate is a lower bound"
        "let the kernel offer more: raise the third figure of net.ipv4.tcp_rmem (sysctl)"
    Reconnected "reconnected" false "the warm connection could not carry this part; a new one was opened"
        "it counts as cold; if viewers should reuse connections, let the node keep them for longer"
    Reordered "reordered" false "segments arrived out of order"
        "nothing to do while the rate is good; if it is low, look for a link on the path that is parallel or failing"
    StalledSome "stalled_some" false "the body paused, then went on to the end"
        "measure again: pauses that come back are what viewers meet"
    TooSlow "too_slow" false "the body took over 5 s at less than the probe's `min-rate`: to a viewer that is a failure"
        "look at the node and the path; if so slow a rate is expected there, lower the probe's `min-rate`"
    TooSmall "too_small" false "planned under 1 MiB: no rate is given"
        "ask for 1 MiB or more (--range 0-1048575); of less, judge the ttfb and the effective rate"
    Unsteady "unsteady" false "the rate never settled: no steady rate is given"
        "ask for more bytes, so that the rate can settle; take the goodput as a mean"
    UplinkLimited "uplink_limited" false "the rate is near that of this vantage's own uplink: it is a lower bound"
        "measure from a faster line, or correct `vantage.uplink`"
    VantageSuspect "vantage_suspect" true "every node failed at once: this vantage itself is the likely culprit"
        "look at this vantage's own line and resolver; the node is not charged"
}

impl Flag {
    /// Does a failure with this flag say nothing about the node? Then it is not charged.
    #[must_use]
    pub const fn excuses(self) -> bool {
        matches!(self, Self::Frozen | Self::VantageSuspect)
    }
}

/// A set of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No flag: nothing to distrust.
    pub const NONE: Self = Self(0);

    /// Adds a flag.
    pub const fn raise(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u32;
    }

    /// Adds every flag of the other set.
    pub const fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Is this flag in the set?
    #[must_use]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    /// Is the set empty?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags, sorted by label.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.iter().copied().filter(move |flag| self.contains(*flag))
    }

    /// Does any flag of the set take `valid` away?
    #[must_use]
    pub fn invalidate(self) -> bool {
        self.iter().any(Flag::invalidates)
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Self::NONE;
        flags.into_iter().for_each(|flag| set.raise(flag));
        set
    }
}

impl fmt::Display for Flags {
    /// Sorted and comma-joined: the form of the `flags` field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.iter().map(Flag::label).collect();
        f.pad(&labels.join(","))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_prints_sorted() {
        assert!(Flag::ALL.is_sorted_by_key(|flag| flag.label()));
        let flags: Flags = [Flag::TooSmall, Flag::Coarse, Flag::TooSmall].into_iter().collect();
        assert_eq!(flags.to_string(), "coarse,too_small");
        assert!(!flags.invalidate());
    }

    #[test]
    fn each_has_one_clause_of_meaning_and_one_of_remedy() {
        for flag in Flag::ALL {
            for words in [flag.meaning(), flag.remedy()] {
                assert!((20..=120).contains(&words.chars().count()) && !words.ends_with('.'), "{flag:?}: {words}");
            }
            assert_ne!(flag.meaning(), flag.remedy());
        }
    }

    #[test]
    fn our_own_faults_take_validity_away() {
        let invalidating: Flags = Flag::ALL.iter().copied().filter(|flag| flag.invalidates()).collect();
        assert_eq!(invalidating.to_string(), "clock_step,concurrent,cpu_bound,frozen,vantage_suspect");
    }
}
