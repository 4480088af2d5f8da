//! Figures of several builds made one.

use crate::history::attempt::Attempt;

/// Memory of a build by its threads, fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fitted {
    /// What it needs besides its threads.
    pub(super) base_bytes: u64,
    /// What each thread needs.
    pub(super) slot_bytes: u64,
}

/// The middle one; of two, what is between them.
pub(super) fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(figures[middle]),
        _ => Some(f64::midpoint(figures[middle - 1], figures[middle])),
    }
}

/// What nine of ten do not exceed; of less than ten, the most.
pub(super) fn ninth_tenth(figures: impl Iterator<Item = u64>) -> Option<u64> {
    let mut figures: Vec<u64> = figures.collect();
    figures.sort_unstable();
    let rank = (figures.len() * 9).div_ceil(10);
    figures.get(rank.checked_sub(1)?).copied()
}

/// A line through peaks by `cores`, of least squares; `None` unless there were
/// different ones. `cores = 0` is as many as the machine has, which is not
/// recorded.
pub(super) fn memory(attempts: &[&Attempt]) -> Option<Fitted> {
    #[expect(clippy::cast_precision_loss, reason = "a byte is no matter")]
    let point = |attempt: &&Attempt| {
        let cores = attempt.cores.filter(|&cores| cores > 0)?;
        Some((f64::from(cores), attempt.peak_memory_bytes? as f64))
    };
    let points: Vec<(f64, f64)> = attempts.iter().filter_map(point).collect();
    let count = f64::from(u32::try_from(points.len()).ok()?);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (cores, peak) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - cores).powi(2)).sum();
    if points.len() < 2 || spread <= 0.0 {
        return None;
    }
    let common: f64 = points.iter().map(|point| (point.0 - cores) * (point.1 - peak)).sum();
    // Threads give no memory back, and neither can be below nothing.
    let slot = (common / spread).clamp(0.0, peak / cores);
    let base = peak - slot * cores;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "neither is below 0, and both are below the largest peak"
    )]
    let bytes = |bytes: f64| bytes.max(0.0).round() as u64;
    Some(Fitted { base_bytes: bytes(base), slot_bytes: bytes(slot) })
}
