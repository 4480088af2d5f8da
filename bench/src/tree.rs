//! A process and all that it has started.

use std::fs;
use std::time::Duration;

use monitor::active::{Build, active};
use unix::sys::resource::{UsageWho, getrusage};
use unix::sys::time::{TimeVal, TimeValLike};

/// More processes than builds of one Nix have.
const MOST: usize = 10_000;

/// A process and its descendants, itself first. What ends meanwhile is missing.
pub fn of(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for thread in threads.filter_map(Result::ok) {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(text.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        if all.len() > MOST {
            break;
        }
    }
    all
}

/// CPU time so far of processes that we started and that have ended, and of what these
/// had started and waited for.
pub fn ended_cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let seconds = |time: TimeVal| u64::try_from(time.num_microseconds()).map(Duration::from_micros);
    let (user, system) = (seconds(usage.user_time()).ok()?, seconds(usage.system_time()).ok()?);
    Some((user + system).as_secs_f64())
}

/// Memory that the processes of a tree have in use, pages that several share counted
/// for each; `None` where nothing can be seen.
pub fn resident_bytes(process: u32) -> Option<u64> {
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let pages = |process: u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
        let [_, resident, shared] = *text.split(' ').take(3).collect::<Vec<_>>() else {
            return None;
        };
        // Programs and libraries are the same pages in each.
        Some(resident.parse::<u64>().ok()?.saturating_sub(shared.parse().ok()?))
    };
    let all: Vec<u64> = of(process).into_iter().filter_map(pages).collect();
    (!all.is_empty()).then(|| all.iter().sum::<u64>() * page)
}

/// Builds of Nix that run and are none of a process, whether it builds itself or asks
/// a daemon to; `None` where builds cannot be seen.
pub fn other_builds(process: u32) -> Option<u32> {
    let active = active();
    if active.unseen().is_some() {
        return None;
    }
    let own = of(process);
    let is_own = |build: &&Build| {
        let client = build.client.as_ref().map(|client| client.pid);
        own.contains(&build.worker) || client.is_some_and(|client| own.contains(&client))
    };
    let others = active.builds.iter().filter(|build| !is_own(build)).count();
    u32::try_from(others).ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{ended_cpu_seconds, of, other_builds, resident_bytes};

    #[test]
    fn children_of_children_belong_to_it() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'sleep 60; true' & echo started; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = [0; 8];
        std::io::Read::read_exact(&mut shell.stdout.take().expect("stdout"), &mut line)
            .expect("started");
        let mut found = of(shell.id());
        // The inner shell starts its sleep when it likes.
        while found.len() < 3 {
            found = of(shell.id());
        }
        assert!(resident_bytes(shell.id()).is_some_and(|bytes| bytes > 4096));
        assert!(other_builds(shell.id()).is_some());
        for process in found.iter().rev() {
            let _ = Command::new("kill").arg("-KILL").arg(process.to_string()).status();
        }
        let _ = shell.wait();
    }

    #[test]
    fn counts_what_children_took() {
        let before = ended_cpu_seconds().expect("known");
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", script]).status().expect("sh").success());
        assert!(ended_cpu_seconds().expect("known") > before);
    }
}
