//! A machine as builds feel it: so many threads at such a speed, memory, swap.

/// A CPU of the slow kind, by one of the fast kind.
const SLOW_CPU: f64 = 0.55;

/// What two threads of a core do together, by what one does: 1.19 to 1.24 by
/// builds of Chromium and `QtWebEngine` with and without the second.
const SMT_YIELD: f64 = 1.22;

/// What of the CPU time is lost to switching when far more threads run than there are
/// CPUs: 2 to 10 % by runs of real Nix. Decisions are on the safe side.
pub const LOSS: f64 = 0.1;

/// The same as real builds on two CPUs had it, of packages and of made-up graphs: with
/// it, all settings whose times are more than 4 % apart come in the order measured.
pub const MEASURED_LOSS: f64 = 0.02;

/// A machine to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Fast cores.
    pub fast: u32,
    /// Slow cores, as hybrid processors have.
    pub slow: u32,
    /// Second threads of fast cores.
    pub siblings: u32,
    /// Memory that builds may use.
    pub memory_gib: f64,
    /// Swap, zram by what it adds to memory.
    pub swap_gib: f64,
    /// What is lost to switching: [`LOSS`], if nothing better is known.
    pub loss: f64,
}

impl Machine {
    /// All logical CPUs.
    pub fn cpus(&self) -> u32 {
        self.fast.saturating_add(self.slow).saturating_add(self.siblings)
    }

    /// How fast each of so many threads runs, by one alone on a fast core. The
    /// scheduler fills fast cores first, then slow ones, then second threads.
    pub(crate) fn speed(&self, threads: f64) -> f64 {
        let [fast, slow, siblings] = [self.fast, self.slow, self.siblings].map(f64::from);
        let on_fast = threads.min(fast);
        let on_slow = (threads - fast).clamp(0.0, slow);
        let on_siblings = (threads - fast - slow).clamp(0.0, siblings);
        let capacity = on_fast + on_slow * SLOW_CPU + on_siblings * (SMT_YIELD - 1.0);
        let cpus = fast + slow + siblings;
        let kept = if threads > cpus { 1.0 - self.loss * (1.0 - cpus / threads) } else { 1.0 };
        // Whatever runs makes some progress, so that every simulation ends.
        if threads > 0.0 { (capacity * kept / threads).max(1e-6) } else { 1.0 }
    }

    /// How many times slower everything gets with so much memory in use.
    pub(crate) fn swapping(&self, gib: f64) -> f64 {
        1.0 + (gib / self.memory_gib - 1.0).max(0.0)
    }

    /// Cores for a single job after memory ran out: two GiB for each.
    pub(crate) fn careful_cores(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never below 0, and what is above the range becomes its end"
        )]
        let cores = (self.memory_gib / 2.0) as u32;
        cores.clamp(1, self.cpus().max(1))
    }
}
