//! Flags: reasons to distrust a number in an otherwise good sample.

use std::fmt;

macro_rules! flags {
    ($($variant:ident $label:literal $distrust:literal $meaning:literal)*) => {
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
    ClockStep "clock_step" true "the wall clock moved by more than 100 ms against the monotonic one"
    Coarse "coarse" false "finished in under 20 ms or 4 reads: the rate is rough"
    Concurrent "concurrent" true "another heavy transfer ran in this process meanwhile"
    CpuBound "cpu_bound" true "this machine, not the node or the path, was the slow part"
    Overshoot "overshoot" false "the node sent more bytes than asked; we stopped reading"
    Partial "partial" false "the deadline came while bytes were still flowing: the rate holds, the total does not"
    ReceiverLimited "receiver_limited" false "our receive window was the limit: the rate is a lower bound"
    Reconnected "reconnected" false "the warm connection could not carry this part; a new one was opened"
    Reordered "reordered" false "segments arrived out of order"
    StalledSome "stalled_some" false "the body paused, then went on to the end"
    TooSmall "too_small" false "planned under 1 MiB: no rate is given"
    Unsteady "unsteady" false "the rate never settled: no steady rate is given"
    UplinkLimited "uplink_limited" false "the rate is near that of this vantage's own uplink: it is a lower bound"
    VantageSuspect "vantage_suspect" true "every node failed at once: this vantage itself is the likely culprit"
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
    fn our_own_faults_take_validity_away() {
        let invalidating: Flags = Flag::ALL.iter().copied().filter(|flag| flag.invalidates()).collect();
        assert_eq!(invalidating.to_string(), "clock_step,concurrent,cpu_bound,vantage_suspect");
    }
}
