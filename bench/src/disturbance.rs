//! What else goes on while something is measured.

use std::fs;
use std::time::Instant;

use crate::compared::Disturbance;

/// Ticks a second of /proc/stat, which the kernel has promised to user space.
const TICKS: f64 = 100.0;

/// Of what takes less, nothing is said: it is ten ticks of one CPU.
const LEAST_SECONDS: f64 = 0.1;

/// What has happened up to a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    at: Instant,
    stat: Option<Stat>,
    cpu_stalled: Option<f64>,
    io_stalled: Option<f64>,
    load_1m: Option<f64>,
}

/// CPU seconds of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    busy: f64,
    stolen: f64,
    all: f64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let stalled = |what: &str| stalled(&read(&format!("/proc/pressure/{what}"))?);
        Self {
            at: Instant::now(),
            stat: read("/proc/stat").and_then(|text| stat(&text)),
            cpu_stalled: stalled("cpu"),
            io_stalled: stalled("io"),
            load_1m: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }

    /// What went on from then to now besides our own `cpu_seconds`.
    pub fn until_now(&self, cpu_seconds: Option<f64>) -> Disturbance {
        if self.at.elapsed().as_secs_f64() < LEAST_SECONDS {
            return Disturbance { load_1m: self.load_1m, ..Disturbance::default() };
        }
        Self::now().since(self, cpu_seconds)
    }

    fn since(&self, then: &Self, cpu_seconds: Option<f64>) -> Disturbance {
        let wall = (self.at - then.at).as_secs_f64();
        let share = |now: Option<f64>, then: Option<f64>| Some(rounded((now? - then?) / wall));
        let of = |figure: fn(&Stat) -> f64| {
            let (now, then) = (self.stat.as_ref()?, then.stat.as_ref()?);
            let all = (now.all - then.all).max(1e-3);
            Some((figure(now) - figure(then), all))
        };
        let foreign = || {
            let (busy, all) = of(|stat| stat.busy)?;
            Some(rounded((busy - cpu_seconds?) / all))
        };
        Disturbance {
            foreign_cpu: foreign(),
            stolen_cpu: of(|stat| stat.stolen).map(|(stolen, all)| rounded(stolen / all)),
            cpu_pressure: share(self.cpu_stalled, then.cpu_stalled),
            io_pressure: share(self.io_stalled, then.io_stalled),
            load_1m: then.load_1m,
            other_builds: None,
        }
    }
}

/// A share, to a thousandth: more would be noise.
fn rounded(share: f64) -> f64 {
    (share.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

/// `cpu  user nice system idle iowait irq softirq steal …` of /proc/stat.
fn stat(text: &str) -> Option<Stat> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> =
        line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = *ticks else { return None };
    let busy = user + nice + system + irq + softirq;
    Some(Stat {
        busy: busy / TICKS,
        stolen: steal / TICKS,
        all: (busy + idle + iowait + steal) / TICKS,
    })
}

/// Seconds in which something waited: `some … total=` of a pressure file, which is in
/// microseconds.
fn stalled(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let total: f64 = line.rsplit_once("total=")?.1.trim().parse().ok()?;
    Some(total / 1e6)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::{Moment, stalled, stat};

    #[test]
    fn reads_what_the_kernel_writes() {
        let found = stat("cpu  100 0 50 800 40 5 5 100 0 0\ncpu0 1 2 3\n").expect("a line");
        assert!((found.busy - 1.6).abs() < 1e-9 && (found.all - 11.0).abs() < 1e-9, "{found:?}");
        let pressure = "some avg10=0.33 avg60=5.97 avg300=13.67 total=2500000\nfull total=1\n";
        assert_eq!(stalled(pressure), Some(2.5));
        for broken in ["", "cpu", "some", "1 (a"] {
            assert!(stat(broken).is_none() && stalled(broken).is_none());
        }
    }

    #[test]
    fn of_what_is_over_at_once_nothing_is_said() {
        let before = Moment::now();
        let soon = before.until_now(Some(0.0));
        assert!(soon.load_1m.is_some() && soon.foreign_cpu.is_none(), "{soon:?}");
        thread::sleep(Duration::from_millis(150));
        let later = before.until_now(Some(0.0));
        assert!(later.foreign_cpu.is_some() && later.stolen_cpu.is_some(), "{later:?}");
        assert_eq!(before.until_now(None).foreign_cpu, None, "our own share is not known");
    }
}
