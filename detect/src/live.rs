//! What changes from moment to moment: free memory, load, pressure, free space.

use procfs_core::{CpuPressure, FromBufRead, FromRead, IoPressure, LoadAverage, MemoryPressure};

use crate::hardware::{Live, PerRole, Place, Pressure, Storage};
use crate::memory;
use crate::root::Root;

/// Look at the moment.
pub fn live(root: &Root, storage: &Storage) -> Live {
    let memory = root.read("proc/meminfo").map(|text| memory::parse(&text)).unwrap_or_default();
    let load =
        root.read("proc/loadavg").and_then(|text| LoadAverage::from_read(text.as_bytes()).ok());
    let read = |resource: &str| root.read(format!("proc/pressure/{resource}")).unwrap_or_default();
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
        pressure: Pressure {
            cpu: CpuPressure::from_buf_read(read("cpu").as_bytes())
                .ok()
                .and_then(|p| decimal(p.some.avg60)),
            memory: MemoryPressure::from_buf_read(read("memory").as_bytes())
                .ok()
                .and_then(|p| decimal(p.some.avg60)),
            io: IoPressure::from_buf_read(read("io").as_bytes())
                .ok()
                .and_then(|p| decimal(p.some.avg60)),
        },
        free_bytes: free(&|size| size.f_bavail.saturating_mul(size.f_frsize)),
        free_inodes: free(&|size| size.f_favail),
    }
}

/// The kernel prints two decimals; as a wider float they would become twelve.
/// `inf` and `NaN`, which parse as floats, are no figures.
fn decimal(figure: f32) -> Option<f64> {
    figure.is_finite().then(|| (f64::from(figure) * 100.0).round() / 100.0)
}
