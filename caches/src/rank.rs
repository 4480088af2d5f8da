//! In which order caches are best asked.
//!
//! For each path Nix asks one cache after another, the lowest priority first,
//! until one has it (libstore's `getDefaultSubstituters`): a miss costs an
//! answer, a hit an answer and the download. What an order costs is the sum over
//! some paths of which it is known who has them.

use std::collections::BTreeMap;

/// Caches for which every order is weighed; of more, the best one to add next is
/// taken each time.
const MOST_EXACT: usize = 12;

/// Caches that can be ranked at all.
pub const MOST: usize = 64;

/// What asking a cache costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds until it says that it has a path.
    pub hit_seconds: f64,
    /// Seconds until it says that it has not.
    pub miss_seconds: f64,
    /// What it sends in a second; `None` where nothing was downloaded, and then
    /// downloads do not count.
    pub bytes_per_second: Option<f64>,
}

/// Paths that the same caches have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Group {
    paths: f64,
    bytes: f64,
}

/// What is known of some caches and some paths.
#[derive(Clone, Debug)]
pub struct Matrix {
    costs: Vec<Cost>,
    /// By the set of caches that have them, a bit each.
    groups: BTreeMap<u64, Group>,
}

impl Matrix {
    /// Caches, and for each path who of them has it and how many bytes it takes
    /// to download; at most [`MOST`] caches.
    pub fn new(costs: Vec<Cost>, paths: impl IntoIterator<Item = (Vec<bool>, u64)>) -> Self {
        let mut groups: BTreeMap<u64, Group> = BTreeMap::new();
        for (hits, bytes) in paths {
            let bits = hits.iter().take(MOST).enumerate();
            let set = bits.fold(0, |set, (index, &hit)| set | u64::from(hit) << index);
            let group = groups.entry(set).or_default();
            group.paths += 1.0;
            #[expect(clippy::cast_precision_loss, reason = "sizes of downloads are far smaller")]
            let bytes = bytes as f64;
            group.bytes += bytes;
        }
        Self { costs, groups }
    }

    /// Seconds that an order of caches takes for all paths, one after another.
    pub fn seconds(&self, order: &[usize]) -> f64 {
        let mut asked = 0;
        let mut sum = 0.0;
        for &cache in order {
            sum += self.step(asked, cache);
            asked |= 1 << cache;
        }
        sum
    }

    /// What asking a cache costs after these others were asked.
    fn step(&self, asked: u64, cache: usize) -> f64 {
        let cost = self.costs[cache];
        let left = self.groups.iter().filter(|(set, _)| **set & asked == 0);
        left.map(|(set, group)| {
            if set >> cache & 1 == 0 {
                return group.paths * cost.miss_seconds;
            }
            let download = cost.bytes_per_second.map_or(0.0, |speed| group.bytes / speed.max(1.0));
            group.paths * cost.hit_seconds + download
        })
        .sum()
    }

    /// The order of these caches that takes least; among equals the one that
    /// keeps to theirs.
    ///
    /// What a cache costs depends on which were asked before it and not on their
    /// order, so that the best order of a set ends in the best of the sets that
    /// lack one of it.
    pub fn best(&self, caches: &[usize]) -> Vec<usize> {
        if caches.len() > MOST_EXACT {
            return self.greedy(caches);
        }
        let count = caches.len();
        let mut best: Vec<(f64, usize)> = vec![(f64::INFINITY, 0); 1 << count];
        best[0].0 = 0.0;
        for set in 0..best.len() {
            let members = (0..count).filter(|index| set >> index & 1 == 1);
            let asked = members.fold(0, |asked, index| asked | 1 << caches[index]);
            for next in (0..count).filter(|index| set >> index & 1 == 0) {
                let seconds = best[set].0 + self.step(asked, caches[next]);
                let with = &mut best[set | 1 << next];
                // Later ones last, where it makes no difference.
                if seconds < with.0 || (seconds <= with.0 && next > with.1) {
                    *with = (seconds, next);
                }
            }
        }
        let mut order = Vec::with_capacity(count);
        let mut set = best.len() - 1;
        while set > 0 {
            let last = best[set].1;
            order.push(caches[last]);
            set &= !(1 << last);
        }
        order.reverse();
        order
    }

    /// Take the cache next that has most for its time.
    fn greedy(&self, caches: &[usize]) -> Vec<usize> {
        let mut left = caches.to_vec();
        let mut order = Vec::with_capacity(left.len());
        let mut asked = 0;
        while !left.is_empty() {
            let found = |cache: usize| {
                let groups = self.groups.iter();
                let new = groups.filter(|(set, _)| **set & asked == 0 && **set >> cache & 1 == 1);
                new.map(|(_, group)| group.paths).sum::<f64>()
            };
            let price = |cache: usize| self.step(asked, cache) / found(cache).max(1e-9);
            let next = (0..left.len()).min_by(|&a, &b| price(left[a]).total_cmp(&price(left[b])));
            let next = left.remove(next.unwrap_or(0));
            asked |= 1 << next;
            order.push(next);
        }
        order
    }

    /// Paths that only this one of these caches has.
    pub fn unique(&self, cache: usize, among: &[usize]) -> usize {
        let all = among.iter().fold(0, |all, cache| all | 1_u64 << cache);
        let only = self.groups.iter().filter(|(set, _)| **set & all == 1 << cache);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = only.map(|(_, group)| group.paths).sum::<f64>() as usize;
        count
    }

    /// Which of these caches to keep: those without which a path would be in
    /// none, and of the others those that save time. The one whose loss saves
    /// most goes first, since another may be needed once it is gone.
    pub fn needed(&self, caches: &[usize]) -> Vec<usize> {
        let mut kept = caches.to_vec();
        loop {
            let now = self.seconds(&self.best(&kept));
            let without = |cache: usize| -> Vec<usize> {
                kept.iter().copied().filter(|&other| other != cache).collect()
            };
            let spare = kept.iter().filter(|&&cache| self.unique(cache, &kept) == 0);
            let spare = spare.map(|&cache| (self.seconds(&self.best(&without(cache))), cache));
            let spare = spare.filter(|(seconds, _)| kept.len() > 1 && *seconds <= now);
            match spare.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) {
                Some((_, cache)) => kept = without(cache),
                None => return kept,
            }
        }
    }
}

#[cfg(test)]
mod tests;
