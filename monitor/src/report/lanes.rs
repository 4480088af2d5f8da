//! What happened at the same time, side by side.

/// The lane of each of some spans, each from when to when: the first that is
/// free when it begins. As many lanes as were ever needed at once.
pub(super) fn lanes(spans: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by(|&one, &other| spans[one].0.total_cmp(&spans[other].0));
    let mut busy_until: Vec<f64> = Vec::new();
    let mut found = vec![0; spans.len()];
    for index in order {
        let (from, until) = spans[index];
        let free = busy_until.iter().position(|&end| end <= from);
        let lane = free.unwrap_or(busy_until.len());
        if free.is_none() {
            busy_until.push(until);
        } else {
            busy_until[lane] = until;
        }
        found[index] = lane;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::lanes;

    #[test]
    fn nothing_overlaps_and_no_lane_is_wasted() {
        assert_eq!(lanes(&[]), [0; 0]);
        let spans = [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (2.5, 2.6), (3.0, 5.0)];
        assert_eq!(lanes(&spans), [0, 1, 0, 2, 1]);
        assert_eq!(lanes(&[(5.0, 6.0), (0.0, 5.0)]), [0, 0], "in order of time");
    }
}
