//! Killed at any instant, or at any step, a run leaves what was there before or
//! what was to be there after.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::newest;
use super::turns::{FILES, Run, Turns, others, prove, recording};
use crate::tools::{has, missing};

const KILLS: usize = 1000;

/// Wait until something happens in a folder, or a run ends.
fn wait_for_change(child: &mut Child, folder: &Path) {
    let stamp = || {
        let about = fs::metadata(folder).expect("folder");
        (about.mtime(), about.mtime_nsec())
    };
    let before = stamp();
    while stamp() == before && child.try_wait().expect("status").is_none() {
        thread::yield_now();
    }
}

fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

#[test]
fn a_thousand_kills_at_any_instant() {
    let Some(nix) = newest() else { return };
    let recorded = recording(&nix);
    let killed_runs = AtomicUsize::new(0);
    let outcomes = [const { AtomicUsize::new(0) }; 2];
    let seen = Mutex::new(BTreeSet::new());
    let worker = |worker: usize| {
        let turns = Turns::new(&nix, recorded.path());
        // How long a run takes, and its writing alone.
        let start = Instant::now();
        let mut child = turns.command(Run::Apply(0)).spawn().expect("starts");
        wait_for_change(&mut child, &turns.tree.conf());
        let writing = Instant::now();
        assert!(child.wait().expect("ends").success());
        let (whole, writing) = (start.elapsed(), writing.elapsed());

        for attempt in 0.. {
            if killed_runs.load(Ordering::Relaxed) >= KILLS {
                break;
            }
            assert!(attempt < 4 * KILLS, "too few runs live until they are killed");
            let what = [Run::Apply(1), Run::Apply(0), Run::Rollback][attempt % 3];
            let (before, target) = (turns.in_force(), turns.target(what));
            let mut child = turns.command(what).spawn().expect("starts");
            // Steps of the golden ratio fill the span evenly, in no order.
            let share =
                (f64::from(u32::try_from(attempt * 4 + worker).expect("few")) * 0.618_034) % 1.0;
            if attempt % 2 == 0 {
                wait_for_change(&mut child, &turns.tree.conf());
                thread::sleep(writing.mul_f64(share));
            } else {
                let longest = if matches!(what, Run::Rollback) { writing } else { whole };
                thread::sleep(longest.mul_f64(share));
            }
            let _ = child.kill();
            let status = child.wait().expect("ends");
            let after = turns.in_force();
            assert!(after == before || after == target, "{what:?}, {before} became {after}");
            prove(&turns, &seen);
            if killed(status) {
                killed_runs.fetch_add(1, Ordering::Relaxed);
                if before != target {
                    outcomes[usize::from(after == target)].fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        // And it still works.
        let turns = Turns { bin: nix.bin.clone(), ..turns };
        assert!(turns.command(Run::Apply(0)).status().expect("runs").success());
        assert_eq!(turns.in_force(), turns.texts[0]);
        assert_eq!(others(&turns.tree.conf()), [""; 0]);
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|index| scope.spawn(move || worker(index))).collect();
        for worker in workers {
            worker.join().expect("every state is whole");
        }
    });
    let [old, new] = outcomes.map(AtomicUsize::into_inner);
    assert!(old > 0 && new > 0, "kills came before and after the change: {old} and {new}");
}

/// Every call by which a file changes; those with `?` not every machine has.
const STEPS: [&str; 9] = [
    "write",
    "fsync",
    "fchmod",
    "fchown",
    "?rename",
    "?renameat",
    "?renameat2",
    "?unlink",
    "?unlinkat",
];

#[test]
fn a_kill_before_each_step() {
    let Some(nix) = newest() else { return };
    if !has(&["strace"]) {
        return;
    }
    let trace = ["-qq", "-o", "/dev/null"];
    if !Command::new("strace").args(trace).arg("true").status().is_ok_and(|run| run.success()) {
        missing("strace may not trace here");
        return;
    }
    // What has been done before, and what is killed.
    let scenes: [(&[Run], Run); 4] = [
        (&[], Run::Apply(1)),
        (&[Run::Apply(0)], Run::Apply(1)),
        (&[Run::Apply(0)], Run::Rollback),
        (&[Run::Apply(0), Run::Apply(1)], Run::Rollback),
    ];
    let recorded = recording(&nix);
    let seen = Mutex::new(BTreeSet::new());
    for (history, what) in scenes {
        let mut kills = 0;
        let fresh = Turns::new(&nix, recorded.path());
        for run in history {
            assert!(fresh.command(*run).status().expect("runs").success());
        }
        for step in STEPS {
            for nth in 1.. {
                let turns = Turns::new(&nix, recorded.path());
                for name in FILES {
                    if let Some(contents) = fresh.tree.file(name) {
                        fs::write(turns.tree.conf().join(name), contents).expect("file");
                    }
                }
                let (before, target) = (turns.in_force(), turns.target(what));
                let plain = turns.command(what);
                let mut command = Command::new("strace");
                command
                    .args(trace)
                    .args(["-e", &format!("trace={step}")])
                    .args(["-e", &format!("inject={step}:signal=KILL:when={nth}")])
                    .arg(plain.get_program())
                    .args(plain.get_args())
                    .stdin(Stdio::null())
                    .stderr(Stdio::null());
                for (name, value) in plain.get_envs() {
                    value.map(|value| command.env(name, value));
                }
                let status = command.status().expect("strace runs");
                let after = turns.in_force();
                prove(&turns, &seen);
                if !killed(status) {
                    assert!(status.success(), "{step} {nth}");
                    assert_eq!(after, target, "{step} {nth}");
                    break;
                }
                kills += 1;
                assert!(after == before || after == target, "{what:?}, {step} {nth}: {after}");
                // Nothing stays that the next run stumbles over.
                assert!(turns.command(Run::Apply(1)).status().expect("runs").success());
                assert_eq!(turns.in_force(), turns.texts[1], "{step} {nth}");
                assert_eq!(others(&turns.tree.conf()), [""; 0]);
            }
        }
        assert!(kills > 1, "{what:?} after {history:?}: {kills} steps");
    }
}
