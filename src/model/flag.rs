//! Flags: reasons to distrust a number in a sample that is otherwise good.

use std::fmt;

macro_rules! flags {
    ($($variant:ident $label:literal $distrust:literal $meaning:literal $remedy:literal)*) => {
        /// A reason to distrust a number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flag {
            $(#[doc = $meaning] $variant,)*
        }

        impl Flag {
            /// All flags, sorted by label.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the `flags` field.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// One clause that explains the flag to a reader.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// One clause that says what the reader can do about it, or how to treat the numbers.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }

            /// Whether a sample with this flag is no longer `valid`.
            #[must_use]
            pub const fn invalidates(self) -> bool {
                match self { $(Self::$variant => $distrust),* }
            }
        }
    };
}

// Sorted by label, so that a set is printed in order.
flags! {
    CacheChanged "cache_changed" false "the check and the download reported different cache states"
        "nothing to do: the numbers count under the state that came with the download"
    ClockStep "clock_step" true "the wall clock jumped by more than 100 ms during the transfer"
        "let a time service slew the clock instead of setting it (chrony, systemd-timesyncd), then measure again"
    Coarse "coarse" false "the body took less than 20 ms or fewer than 4 reads, so the rate is rough"
        "ask for more bytes: a longer --range, or a larger `bytes` in the probe file"
    Concurrent "concurrent" true "another heavy transfer of this process ran at the same time"
        "leave `limits.heavy-transfers` at 1; it can still happen when a silent node continues"
    CpuBound "cpu_bound" true "this machine was too busy to measure the node and the path"
        "treat the rate as a lower bound, and measure on a less loaded or larger machine (-v shows the limit)"
    Frozen "frozen" true "bandprobe itself was stopped, suspended or starved of CPU during the transfer"
        "measure again while this machine runs without interruption; there are no times, and the node is not charged"
    Overshoot "overshoot" false "the node sent more than the range that was asked for"
        "the numbers are good; let the operator know that the node ignores the end of a range"
    Partial "partial" false "the body deadline passed while bytes were still flowing: the rate is good, the total is not"
        "if the total matters, allow more time (--deadline, `deadline.body`) or ask for fewer bytes"
    ReceiverLimited "receiver_limited" false "the receive window of this machine was the limit: the rate is a lower bound"
        "let the kernel offer more: raise the third value of net.ipv4.tcp_rmem with sysctl"
    Reconnected "reconnected" false "the connection that was to be reused was gone, so a new one was opened"
        "it counts as cold; if viewers should reuse connections, configure the node to keep them open longer"
    Reordered "reordered" false "TCP segments arrived out of order"
        "nothing to do if the rate is good; if it is low, look for parallel or faulty links on the path"
    StalledSome "stalled_some" false "the body stalled, and then continued to its end"
        "measure again: viewers will notice stalls that recur"
    TooSlow "too_slow" false "the body took over 5 s at less than the probe's `min-rate`: a viewer would call that a failure"
        "check the node and the path; if such a rate is normal there, lower `min-rate`"
    TooSmall "too_small" false "less than 1 MiB was planned, so there is no rate"
        "ask for at least 1 MiB (--range 0-1048575); for smaller objects, use the ttfb and the effective rate"
    Unsteady "unsteady" false "the rate never settled, so there is no steady rate"
        "ask for more bytes, so that it can settle, and read the goodput as a mean"
    UplinkLimited "uplink_limited" false "the rate reached 80 % of `vantage.uplink`: it is a lower bound"
        "measure from a faster line, or correct `vantage.uplink`"
    VantageSuspect "vantage_suspect" true "no node answered just before: this vantage itself is the likely cause"
        "check this vantage's line and resolver; the node is not charged"
}

impl Flag {
    /// Whether a failure with this flag says nothing about the node, so that it is not charged to the node.
    #[must_use]
    pub const fn excuses(self) -> bool {
        matches!(self, Self::Frozen | Self::VantageSuspect)
    }
}

/// A set of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Adds a flag.
    pub const fn raise(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u32;
    }

    /// Adds every flag of the other set.
    pub const fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the flag is in the set.
    #[must_use]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags, sorted by label.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.iter().copied().filter(move |flag| self.contains(*flag))
    }

    /// Whether a sample with these flags is no longer `valid`.
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
    /// The labels, sorted and separated by commas, as in the `flags` field.
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
    fn each_flag_has_a_meaning_and_a_remedy() {
        for flag in Flag::ALL {
            for words in [flag.meaning(), flag.remedy()] {
                assert!((20..=120).contains(&words.chars().count()) && !words.ends_with('.'), "{flag:?}: {words}");
            }
            assert_ne!(flag.meaning(), flag.remedy());
        }
    }

    #[test]
    fn faults_of_our_own_make_a_sample_invalid() {
        let invalidating: Flags = Flag::ALL.iter().copied().filter(|flag| flag.invalidates()).collect();
        assert_eq!(invalidating.to_string(), "clock_step,concurrent,cpu_bound,frozen,vantage_suspect");
    }
}
