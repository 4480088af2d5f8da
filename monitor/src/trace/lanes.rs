//! Lanes in which nothing overlaps.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// From one moment to another, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Span {
    /// From and to moments in seconds.
    pub(super) fn new(from: f64, to: f64) -> Self {
        let (from, to) = (microseconds(from), microseconds(to));
        Self { from, to: to.max(from) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn microseconds(seconds: f64) -> u64 {
    // Half the range, so that sums stay in it.
    ((seconds * 1e6).round() as u64).min(u64::MAX / 2)
}

/// A lane for each span, from 1 up: the lowest that is free when it begins.
pub(super) fn lanes(spans: &[Span]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|index| (spans[*index].from, *index));
    let mut placed = vec![0; spans.len()];
    let mut free = BTreeSet::new();
    let mut taken: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut lanes = 0;
    for index in order {
        let Span { from, to } = spans[index];
        while taken.peek().is_some_and(|Reverse((end, _))| *end <= from) {
            free.extend(taken.pop().map(|Reverse((_, lane))| lane));
        }
        let lane = free.pop_first().unwrap_or_else(|| {
            lanes += 1;
            lanes
        });
        placed[index] = lane;
        taken.push(Reverse((to, lane)));
    }
    placed
}
