//! What changes from moment to moment: free memory, load, pressure, free space.

use procfs_core::{FromRead, LoadAverage};

use crate::hardware::{Live, PerRole, Place, Pressure, Storage};
use crate::memory;
use crate::root::Root;

/// Look at the moment.
pub fn live(root: &Root, storage: &Storage) -> Live {
    let memory = root.read("proc/meminfo").map(|text| memory::parse(&text)).unwrap_or_default();
    let load =
        root.read("proc/loadavg").and_then(|text| LoadAverage::from_read(text.as_bytes()).ok());
    let stalled = |resource: &str| pressure(&root.read(format!("proc/pressure/{resource}"))?);
    let free = |figure: &dyn Fn(&rustix::fs::StatVfs) -> u64| {
        let of = |place: &Option<Place>| {
            let mount_point = place.as_ref()?.mount_point.as_ref()?;
            root.statvfs(mount_point.as_ref()).map(|size| figure(&size))
        };
        PerRole {
            store: of(&storage.store),
            build_dir: of(&storage.build_dir),
            tmp: of(&storage.tmp),
        }
    };
    Live {
        memory_available_bytes: memory.available_bytes,
        swap_free_bytes: memory.swap_free_bytes,
        load_1m: load.and_then(|load| decimal(load.one)),
        pressure: Pressure { cpu: stalled("cpu"), memory: stalled("memory"), io: stalled("io") },
        free_bytes: free(&|size| size.f_bavail.saturating_mul(size.f_frsize)),
        free_inodes: free(&|size| size.f_favail),
    }
}

/// The kernel prints two decimals; as a wider float they would become twelve.
/// `inf` and `NaN`, which parse as floats, are no figures.
fn decimal(figure: f32) -> Option<f64> {
    figure.is_finite().then(|| (f64::from(figure) * 100.0).round() / 100.0)
}

/// Per cent of the last minute in which some task waited (Documentation/accounting/psi.rst).
/// procfs-core cuts lines at byte 5 and panics where that is within a character.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let figure = some.split_whitespace().find_map(|word| word.strip_prefix("avg60="))?;
    decimal(figure.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::pressure;

    #[test]
    fn pressure_is_what_some_task_waited_in_the_last_minute() {
        let text = "some avg10=1.00 avg60=2.50 avg300=3.00 total=4\n\
                    full avg10=0.00 avg60=0.25 avg300=0.00 total=0\n";
        assert_eq!(pressure(text), Some(2.5));
    }

    #[test]
    fn text_that_is_no_pressure_is_unknown() {
        for text in ["", "some", "full avg60=1.00", "some\u{fffd} avg60=1.00", "some avg60=inf"] {
            assert_eq!(pressure(text), None, "{text}");
        }
    }
}
