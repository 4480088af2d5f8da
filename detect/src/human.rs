//! A machine for people: in one line, and on one screen.

use std::fmt::Write;
use std::num::NonZeroU32;

use crate::hardware::{
    CacheKind, Cpu, Environment, Hardware, Kind, Limits, Media, Memory, Network, Nix, Place,
};

/// What matters most about a machine to its builds, in one line.
pub fn line(hardware: &Hardware) -> String {
    let cpu = &hardware.cpu;
    let model = cpu.model.as_deref().unwrap_or("unknown CPU");
    let usable = cpu.usable.map(|cpus| {
        let noun = if cpus.get() > 1.0 { "CPUs" } else { "CPU" };
        format!("{cpus} usable {noun}")
    });
    let parts = [
        usable.unwrap_or_else(|| "unknown number of CPUs".to_owned()),
        counted(cpu.cores, "core").unwrap_or_else(|| "unknown number of cores".to_owned()),
        memory(&hardware.memory),
        swap(&hardware.memory),
        match &hardware.storage.store {
            Some(store) => format!("store on {} on {}", filesystem(store), media(store.media)),
            None => "unknown store".to_owned(),
        },
    ];
    format!("{model}: {}", parts.join(", "))
}

/// What a person wants to see, on one screen.
pub fn screen(hardware: &Hardware) -> String {
    let Hardware { cpu, memory: ram, storage, .. } = hardware;
    let mut text = String::new();
    let mut row = |name: &str, what: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {}", plain(&what));
    };
    let system = hardware.system.as_deref().unwrap_or("unknown system");
    row("Machine", join(&[system.to_owned(), surroundings(&hardware.environment)]));
    row("CPU", cpu_name(cpu));
    row("CPUs", cpus(cpu));
    if cpu.kinds.len() > 1 {
        row("Kinds", kinds(cpu));
    }
    if !cpu.caches.is_empty() {
        row("Caches", caches(cpu));
    }
    row("Memory", join(&[memory(ram), limit(ram), swap(ram)]));
    if let Some(daemon) = &hardware.daemon {
        row("nix-daemon", limits(daemon));
    }
    let roles = [("Store", &storage.store), ("Builds", &storage.build_dir), ("tmp", &storage.tmp)];
    for (role, place) in roles {
        row(role, place.as_ref().map_or_else(|| "unknown".to_owned(), describe));
    }
    row("Network", network(&hardware.network));
    row("Nix", hardware.nix.as_ref().map_or_else(|| "none found".to_owned(), nix));
    // That there is no Nix is said in its row.
    for note in hardware.notes.iter().filter(|note| note.id != "nix-missing") {
        row("Note", note.text.clone());
    }
    text
}

fn join(parts: &[String]) -> String {
    let parts: Vec<&str> =
        parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

fn surroundings(environment: &Environment) -> String {
    let Environment { virtual_machine, container, ci, laptop, .. } = environment;
    let named = |what: &str, name: &Option<String>| {
        name.as_ref().map(|name| format!("{what} ({name})")).unwrap_or_default()
    };
    join(&[
        named("virtual machine", virtual_machine),
        named("container", container),
        named("CI", ci),
        if *laptop == Some(true) { "laptop".to_owned() } else { String::new() },
    ])
}

fn cpu_name(cpu: &Cpu) -> String {
    let level = cpu.isa_level.clone().unwrap_or_default();
    join(&[cpu.model.clone().unwrap_or_else(|| "unknown".to_owned()), level])
}

fn cpus(cpu: &Cpu) -> String {
    let of = match (cpu.usable, cpu.present) {
        (Some(usable), Some(present)) => format!("{usable} usable of {present}"),
        (Some(usable), None) => format!("{usable} usable"),
        (None, _) => "unknown number".to_owned(),
    };
    let quota = cpu.quota.map(|quota| format!("quota of {quota}")).unwrap_or_default();
    let counts = [(cpu.cores, "core"), (cpu.sockets, "socket"), (cpu.numa_nodes, "NUMA node")];
    let counts = counts.map(|(number, noun)| counted(number, noun).unwrap_or_default());
    join(&[of, quota, join(&counts)])
}

fn kinds(cpu: &Cpu) -> String {
    let kind = |kind: &Kind| match kind.relative_speed {
        Some(speed) => format!("{} at {speed} of the fastest", kind.cpus),
        None => format!("{} of unknown speed", kind.cpus),
    };
    cpu.kinds.iter().map(kind).collect::<Vec<_>>().join(", ")
}

fn caches(cpu: &Cpu) -> String {
    let caches = cpu.caches.iter().map(|cache| {
        let letter = match cache.kind {
            CacheKind::Data => "d",
            CacheKind::Instruction => "i",
            CacheKind::Unified => "",
        };
        format!("L{}{letter} {}", cache.level, size(cache.total_bytes))
    });
    join(&caches.collect::<Vec<_>>())
}

fn memory(memory: &Memory) -> String {
    match memory.usable_bytes {
        Some(bytes) => format!("{} usable memory", size(bytes.get())),
        None => "unknown memory".to_owned(),
    }
}

fn limit(memory: &Memory) -> String {
    match (memory.limit_bytes, memory.total_bytes) {
        (Some(_), Some(total)) => format!("by a limit; the machine has {}", size(total.get())),
        _ => String::new(),
    }
}

fn swap(memory: &Memory) -> String {
    let disk = memory.swap_bytes.filter(|&bytes| bytes > 0);
    let zram = memory.zram_bytes.filter(|&bytes| bytes > 0);
    match (disk, zram) {
        (Some(disk), Some(zram)) => format!("{} swap and {} zram", size(disk), size(zram)),
        (Some(disk), None) => format!("{} swap", size(disk)),
        (None, Some(zram)) => format!("{} zram", size(zram)),
        (None, None) if memory.swap_bytes.is_none() => "unknown swap".to_owned(),
        (None, None) => "no swap".to_owned(),
    }
}

fn limits(limits: &Limits) -> String {
    let quota = limits.quota.map(|quota| format!("quota of {quota} CPUs")).unwrap_or_default();
    let memory = limits.memory_limit_bytes.map(|bytes| format!("limit of {}", size(bytes.get())));
    let all = join(&[
        quota,
        memory.unwrap_or_default(),
        counted(limits.allowed, "CPU").map(|cpus| format!("may use {cpus}")).unwrap_or_default(),
    ]);
    if all.is_empty() { "not limited".to_owned() } else { all }
}

fn describe(place: &Place) -> String {
    let size = place.size_bytes.map(|bytes| size(bytes.get())).unwrap_or_default();
    let disks =
        place.disks.as_deref().unwrap_or_default().iter().map(|disk| match &disk.transport {
            Some(transport) => format!("{} ({transport})", disk.name),
            None => disk.name.clone(),
        });
    let at = format!("{} on {}", place.path, filesystem(place));
    let stack = place.stack.iter().skip(1).map(|layer| format!("over {layer}"));
    let stack = stack.collect::<Vec<_>>().join(" ");
    join(&[at, stack, size, media(place.media).to_owned(), join(&disks.collect::<Vec<_>>())])
}

fn network(network: &Network) -> String {
    let Some(is_virtual) = network.is_virtual else { return "unknown".to_owned() };
    let kind = match (is_virtual, network.wireless) {
        (true, _) => "virtual",
        (_, Some(true)) => "wireless",
        _ => "wired",
    };
    let speed = network.link_speed_mbps.map(|speed| format!("{speed} Mb/s")).unwrap_or_default();
    join(&[kind.to_owned(), speed])
}

fn nix(nix: &Nix) -> String {
    let users = nix.build_users.map(|users| format!("{users} build users")).unwrap_or_default();
    let mode = match nix.multi_user {
        Some(true) => "multi-user",
        Some(false) => "single-user",
        None => "",
    };
    let version = nix.version.clone().unwrap_or_else(|| "unknown version".to_owned());
    join(&[version, mode.to_owned(), users])
}

fn filesystem(place: &Place) -> &str {
    place.filesystem.as_deref().unwrap_or("an unknown file system")
}

/// A medium in a few words.
pub fn media(media: Media) -> &'static str {
    match media {
        Media::Network => "another machine",
        Media::Hdd => "a spinning disk",
        Media::Unknown => "an unknown medium",
        Media::Ssd => "an SSD",
        Media::Nvme => "NVMe",
        Media::Memory => "memory",
    }
}

/// A text that others may have chosen, as one that does nothing to a terminal:
/// control characters become blanks.
pub fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn counted(number: Option<NonZeroU32>, noun: &str) -> Option<String> {
    number.map(|number| count(number.get(), noun))
}

/// `1 CPU`, `2 CPUs`.
pub fn count(number: u32, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// A number with a comma before every three digits.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the unit people think in, to one decimal.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 {
            // Tenths, rounded; the sum stays below 2^68.
            let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                tenth => format!("{}.{tenth} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 999, 1000, 16_115_695].map(super::number);
        assert_eq!(all, ["0", "999", "1,000", "16,115,695"]);
    }

    use crate::hardware::{Hardware, Note, Place};
    use crate::number::Cpus;

    use super::{count, line, plain, screen, size};

    #[test]
    fn a_quota_and_both_kinds_of_swap() {
        let mut hardware = Hardware::default();
        hardware.cpu.model = Some("AMD EPYC 7451".to_owned());
        hardware.cpu.usable = Cpus::new(1.5);
        hardware.cpu.cores = NonZeroU32::new(1);
        hardware.memory.usable_bytes = NonZeroU64::new(16 << 30);
        hardware.memory.swap_bytes = Some(2 << 30);
        hardware.memory.zram_bytes = Some(512 << 20);
        let store = r#"{"path": "/nix/store", "filesystem": "ext4", "media": "nvme", "disks": []}"#;
        let store: Place = serde_json::from_str(store).expect("a place");
        hardware.storage.store = Some(store);
        assert_eq!(
            line(&hardware),
            "AMD EPYC 7451: 1.5 usable CPUs, 1 core, 16 GiB usable memory, \
             2 GiB swap and 512 MiB zram, store on ext4 on NVMe"
        );
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(544 << 10), "544 KiB");
        assert_eq!(size(700 << 20), "700 MiB");
        assert_eq!(size(16 << 30), "16 GiB");
        assert_eq!(size(16_541_433_856), "15.4 GiB");
        assert_eq!(size(u64::MAX), "17179869184 GiB");
        assert_eq!(count(1, "CPU"), "1 CPU");
        assert_eq!(count(2, "CPU"), "2 CPUs");
    }

    #[test]
    fn nothing_known_still_makes_a_screen() {
        let text = screen(&Hardware::default());
        assert!(text.starts_with("Machine    unknown system\n"), "{text}");
        assert!(text.contains("\nMemory     unknown memory, unknown swap\n"), "{text}");
        assert!(text.lines().count() <= 24, "{text}");
    }

    #[test]
    fn what_others_chose_does_nothing_to_a_terminal() {
        assert_eq!(plain("a\u{1b}[2J\r\nb\u{9b}é"), "a [2J  b é");
        let mut hardware = Hardware::default();
        hardware.cpu.model = Some("\u{1b}[31mred\nrow".to_owned());
        hardware.notes = vec![Note::info("x", "a\u{7}b"), Note::info("nix-missing", "no Nix")];
        let text = screen(&hardware);
        assert!(text.contains("\nCPU         [31mred row\n"), "{text}");
        assert!(text.contains("\nNix        none found\nNote       a b\n"), "{text}");
        assert!(!text.contains("no Nix"), "once is enough: {text}");
    }

    #[test]
    fn the_unknown_is_called_so() {
        assert_eq!(
            line(&Hardware::default()),
            "unknown CPU: unknown number of CPUs, unknown number of cores, unknown memory, \
             unknown swap, unknown store"
        );
    }
}
