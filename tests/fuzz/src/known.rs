//! Defects that fuzzing found and that are not mended yet. The laws overlook
//! each, so that fuzzing goes on behind it; mend one, and delete it here.

use std::collections::BTreeSet;

use detect::cpuinfo;
use detect::cpuset::CpuSet;
use detect::hardware::Hardware;
use profile::plan::{Plan, Value};

/// `detect --live` takes `inf` and `NaN` in /proc/loadavg and /proc/pressure for
/// numbers, and then writes `null`.
pub fn without_infinite_load(mut hardware: Hardware) -> Hardware {
    if let Some(live) = &mut hardware.live {
        let pressure = &mut live.pressure;
        let figures =
            [&mut live.load_1m, &mut pressure.cpu, &mut pressure.memory, &mut pressure.io];
        for figure in figures {
            *figure = figure.filter(|figure| figure.is_finite());
        }
    }
    hardware
}

/// A plan holds its Hardware one level deeper than `profile` read it, so that a
/// document just below JSON's limit gives a plan above it.
pub fn is_too_deep(data: &[u8]) -> bool {
    let deeper = |depth: (usize, usize), byte: &u8| match byte {
        b'[' | b'{' => (depth.0 + 1, depth.1.max(depth.0 + 1)),
        b']' | b'}' => (depth.0.saturating_sub(1), depth.1),
        _ => depth,
    };
    data.iter().fold((0, 0), deeper).1 > 120
}

/// `conf::render` trims every kind of space off a line's end, Nix only ASCII's.
/// (Not so control characters: those must be refused, and are left to the laws.)
pub fn loses_its_end(plan: &Plan) -> bool {
    let is_lost = |last: char| last.is_whitespace() && !last.is_ascii() && !last.is_control();
    plan.settings.values().any(|setting| match &setting.value {
        Value::Text(text) => text.ends_with(is_lost),
        Value::List(words) => words.last().is_some_and(|word| word.ends_with(is_lost)),
        _ => false,
    })
}

/// `0-65535` in one file makes `detect` look for hundreds of thousands of others:
/// seconds for seven bytes.
pub fn has_too_many_cpus(online: &[u8]) -> bool {
    let online = CpuSet::parse_list(&String::from_utf8_lossy(online));
    online.is_some_and(|cpus| cpus.len() > 512)
}

/// s390's caches in /proc/cpuinfo count as often as they are listed, though each
/// CPU has one of a level and type.
pub fn repeats_caches(cpuinfo: &str) -> bool {
    let caches = cpuinfo::parse(cpuinfo).private_caches;
    let shapes: BTreeSet<_> = caches.iter().map(|(shape, _)| shape).collect();
    shapes.len() < caches.len()
}

// Besides, Cargo.toml asks serde_json for `float_roundtrip`, without which what
// we wrote is read with another last digit.
