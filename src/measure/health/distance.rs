//! How far a node's number is from the fleet's median.

/// How far a number is behind the median.
#[derive(Clone, Copy)]
pub(super) struct MedianDistance {
    /// Difference to the median; negative when the number is ahead.
    pub(super) by: i64,
    /// Number of nodes that the median is computed from.
    pub(super) nodes: usize,
    /// Whether the number is known to stand still below one that changes.
    pub(super) stands_still: bool,
    /// Whether enough of the others agree with the median and are known to change.
    pub(super) others_move: bool,
    /// Whether a number far ahead of the others is certainly on another chain.
    pub(super) is_sure: bool,
}
