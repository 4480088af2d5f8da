//! The best order is the best of all orders.

use proptest::prelude::*;

use super::{Cost, MOST_EXACT, Matrix};

fn cost(hit: f64, miss: f64, speed: Option<f64>) -> Cost {
    Cost { hit_seconds: hit, miss_seconds: miss, bytes_per_second: speed }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(1.0)
}

/// Every order of some caches.
fn orders(caches: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = caches.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, *first);
            all.push(order);
        }
    }
    all
}

/// What an order takes, path by path, as Nix goes about it.
fn by_hand(costs: &[Cost], paths: &[(Vec<bool>, u64)], order: &[usize]) -> f64 {
    let mut sum = 0.0;
    for (hits, bytes) in paths {
        for &cache in order {
            if hits[cache] {
                sum += costs[cache].hit_seconds;
                let speed = costs[cache].bytes_per_second;
                sum += speed
                    .map_or(0.0, |speed| f64::from(u32::try_from(*bytes).expect("small")) / speed);
                break;
            }
            sum += costs[cache].miss_seconds;
        }
    }
    sum
}

#[test]
fn a_near_cache_with_little_comes_before_a_far_one_with_all() {
    let costs = vec![cost(0.2, 0.2, None), cost(0.001, 0.001, None)];
    let paths = (0..10).map(|path| (vec![true, path < 3], 0));
    let matrix = Matrix::new(costs, paths);
    assert_eq!(matrix.best(&[0, 1]), [1, 0]);
    assert!(close(matrix.seconds(&[1, 0]), 0.01 + 7.0 * 0.2));
    assert!(close(matrix.seconds(&[0, 1]), 2.0));
    assert_eq!((matrix.unique(0, &[0, 1]), matrix.unique(1, &[0, 1])), (7, 0));
    assert_eq!(matrix.needed(&[0, 1]), [0, 1], "it saves time, though it has nothing of its own");
}

#[test]
fn a_far_cache_with_nothing_of_its_own_is_not_needed() {
    let costs = vec![cost(0.01, 0.01, None), cost(0.5, 0.5, None), cost(0.01, 0.01, None)];
    // The last path is in no cache: each is asked for it.
    let paths = [(vec![true, true, false], 0), (vec![true, true, false], 0), (vec![false; 3], 0)];
    let matrix = Matrix::new(costs, paths);
    assert_eq!(matrix.needed(&[0, 1, 2]), [0]);
    assert_eq!(matrix.needed(&[1]), [1], "the last one stays");
    assert!(matrix.needed(&[]).is_empty());
}

#[test]
fn speed_counts_where_it_is_known() {
    let costs = vec![cost(0.01, 0.01, Some(1e6)), cost(0.02, 0.02, Some(1e8))];
    let paths = [(vec![true, true], 100_000_000)];
    assert_eq!(Matrix::new(costs, paths).best(&[0, 1]), [1, 0]);
}

#[test]
fn equals_keep_their_order() {
    let costs = vec![cost(0.01, 0.01, None); 4];
    let matrix = Matrix::new(costs, [(vec![true; 4], 0)]);
    assert_eq!(matrix.best(&[2, 0, 3, 1]), [2, 0, 3, 1]);
    assert_eq!(Matrix::new(Vec::new(), []).best(&[]), [0; 0]);
}

fn world(most: usize) -> impl Strategy<Value = (Vec<Cost>, Vec<(Vec<bool>, u64)>)> {
    (1..=most).prop_flat_map(|count| {
        let speed = prop::option::of(1e3..1e9);
        let cost =
            (1e-4..1.0, 1e-4..1.0, speed).prop_map(|(hit, miss, speed)| cost(hit, miss, speed));
        let path = (prop::collection::vec(any::<bool>(), count), 0_u64..1 << 30);
        (prop::collection::vec(cost, count), prop::collection::vec(path, 0..30))
    })
}

proptest! {
    #[test]
    fn the_best_order_is_the_best_of_all((costs, paths) in world(6)) {
        let all: Vec<usize> = (0..costs.len()).collect();
        let matrix = Matrix::new(costs.clone(), paths.clone());
        let best = matrix.best(&all);
        let mut sorted = best.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &all);
        let least = orders(&all).iter().map(|order| by_hand(&costs, &paths, order)).fold(f64::INFINITY, f64::min);
        prop_assert!(close(matrix.seconds(&best), least), "{} {}", matrix.seconds(&best), least);
        prop_assert!(close(by_hand(&costs, &paths, &best), least));
    }

    #[test]
    fn what_is_not_needed_costs_nothing_to_lose((costs, paths) in world(6)) {
        let all: Vec<usize> = (0..costs.len()).collect();
        let matrix = Matrix::new(costs, paths.clone());
        let kept = matrix.needed(&all);
        prop_assert!(!kept.is_empty());
        for (hits, _) in &paths {
            prop_assert_eq!(hits.contains(&true), kept.iter().any(|&cache| hits[cache]));
        }
        let (before, after) = (matrix.seconds(&matrix.best(&all)), matrix.seconds(&matrix.best(&kept)));
        prop_assert!(after <= before + 1e-9);
    }

    #[test]
    fn many_caches_are_all_ranked((costs, paths) in world(20)) {
        let all: Vec<usize> = (0..costs.len()).collect();
        let matrix = Matrix::new(costs, paths);
        let mut order = matrix.best(&all);
        // Of few, the one that is best by steps is never better than the best.
        if all.len() <= MOST_EXACT {
            prop_assert!(matrix.seconds(&order) <= matrix.seconds(&matrix.greedy(&all)) + 1e-9);
        }
        order.sort_unstable();
        prop_assert_eq!(order, all);
    }
}
