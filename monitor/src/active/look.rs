//! Looking once at all that is being built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use detect::hardware::Note;
use detect::number::Version;

use super::determinate::{self, Said};
use super::locked::{Lock, Places};
use super::worker::{Builder, Files, Pair, name, pairs};
use super::{Active, Build, Client, Source};
use crate::locks;
use crate::processes::{self, Proc, Process};

/// Command lines are shown to people: no more than a few lines of one.
const LONGEST_COMMAND: usize = 500;

/// How the groups that Nix makes for builds begin; numbers follow.
const BUILD_GROUPS: [&str; 2] = ["nix-build-uid-", "nix-build-pid-"];

/// The note that nothing can be seen.
pub(super) const UNSEEN: &str = "locks-unseen";

/// What can be looked with.
#[derive(Clone, Debug)]
pub struct Looker {
    proc: Proc,
    places: Places,
}

/// A build before its processes are known.
struct Known {
    worker: u32,
    store: Option<String>,
    client: Option<u32>,
    pair: Pair,
    cgroup: Option<String>,
    source: Source,
    name: String,
}

impl Looker {
    /// At this machine.
    pub fn live() -> Self {
        Self { proc: Proc::live(), places: Places::of_environment() }
    }

    /// Look.
    pub fn look(&mut self, now: SystemTime) -> Active {
        let mut notes = Vec::new();
        let text = self.proc.read("locks");
        if text.is_none() {
            let why = "/proc/locks cannot be read, without which no builds are found";
            notes.push(Note::warning(UNSEEN, why));
        }
        let mut workers: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for held in locks::parse(&text.unwrap_or_default()) {
            workers.entry(held.pid).or_default().insert(held.inode);
        }
        let inodes = workers.values().flatten().copied().collect();
        let said: Vec<Known> =
            determinate::read(&self.places.state, &inodes).into_iter().map(said).collect();
        let mut seen: BTreeMap<u32, Files> = BTreeMap::new();
        let mut hidden: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for (pid, inodes) in workers {
            match self.proc.files(pid) {
                Some(files) => drop(seen.insert(pid, Files::parse(&files))),
                None => drop(hidden.insert(pid, inodes)),
            }
        }
        seen.retain(|_, files| !(files.logs.is_empty() && files.users.is_empty()));
        let hidden = self.hidden(&hidden);

        let processes = self.processes(&seen, &hidden, &said);
        let by_files = seen.iter().flat_map(|(pid, files)| self.seen(*pid, files, &processes));
        let by_files = by_files.collect();
        let by_locks = hidden.iter().flat_map(|worker| self.locked(worker, &mut notes)).collect();
        let known = each_once(by_files, said, by_locks);

        let boot = self.proc.boot();
        let build = |known: &Known| self.build(known, &processes, boot, now);
        let mut builds: Vec<Build> = known.iter().map(build).collect();
        let order = |build: &Build| build.started_unix_seconds.unwrap_or(f64::INFINITY);
        builds.sort_by(|a, b| order(a).total_cmp(&order(b)).then_with(|| a.name.cmp(&b.name)));
        Active { version: Version, builds, notes }
    }

    /// The processes that may belong to builds, each with its user.
    fn processes(
        &self,
        seen: &BTreeMap<u32, Files>,
        hidden: &[Hidden],
        said: &[Known],
    ) -> Vec<(Process, u32)> {
        let alone = |files: &Files| files.users.is_empty();
        if seen.values().any(alone) || said.iter().any(|build| build.pair.user.is_none()) {
            return self.proc.all();
        }
        let users = seen.values().flat_map(|files| files.users.iter().map(|(_, user)| *user));
        let users = users.chain(hidden.iter().flat_map(|worker| worker.users.iter().copied()));
        self.proc.of_users(&users.chain(said.iter().filter_map(|build| build.pair.user)).collect())
    }

    /// The builds of a process whose files can be seen.
    fn seen(&self, worker: u32, files: &Files, processes: &[(Process, u32)]) -> Vec<Known> {
        let is_builder = |(process, user): &&(Process, u32)| {
            process.parent == worker
                && process.session == process.pid
                && (files.users.is_empty() || files.users.iter().any(|(_, held)| held == user))
                && !(files.users.is_empty() && self.is_hook(process.pid))
        };
        let builder = |(process, user): &(Process, u32)| {
            let environ = self.proc.of(process.pid, "environ").unwrap_or_default();
            let variable = |name| processes::variable(&environ, name).map(str::to_owned);
            let (name, store) = (variable("name"), variable("NIX_STORE"));
            Builder { pid: process.pid, user: *user, name, store }
        };
        let builders: Vec<Builder> = processes.iter().filter(is_builder).map(builder).collect();
        // Nix may run in a root directory or among mounts of its own: what the
        // store is called in there its builders know.
        let told = builders.iter().find_map(|builder| builder.store.clone());
        let store = told.or_else(|| files.store.clone());
        let known = |pair: Pair| Known {
            worker,
            store: store.clone(),
            client: self.client(worker),
            name: name(&pair.derivation).to_owned(),
            cgroup: None,
            source: Source::OpenFiles,
            pair,
        };
        pairs(files, &builders).into_iter().map(known).collect()
    }

    /// Whether this is Nix, which it starts to build elsewhere.
    fn is_hook(&self, pid: u32) -> bool {
        let command = self.proc.command(pid).unwrap_or_default();
        command.iter().take(2).any(|word| word.ends_with("build-remote"))
    }

    /// Processes that hold locks of builds, and whose files may not be seen.
    fn hidden(&self, workers: &BTreeMap<u32, BTreeSet<u64>>) -> Vec<Hidden> {
        let locks = self.places.locks(&workers.values().flatten().copied().collect());
        let hidden = workers.iter().map(|(&pid, inodes)| {
            let mut hidden = Hidden { pid, outputs: Vec::new(), users: Vec::new() };
            for lock in inodes.iter().filter_map(|inode| locks.get(inode)) {
                match lock {
                    Lock::Output(output) => hidden.outputs.push(output.clone()),
                    Lock::User(user) => hidden.users.push(*user),
                }
            }
            hidden
        });
        hidden.filter(|worker| !worker.outputs.is_empty()).collect()
    }

    /// The builds of such a process, as far as they can be told apart.
    fn locked(&self, worker: &Hidden, notes: &mut Vec<Note>) -> Vec<Known> {
        // Several outputs may be of one derivation.
        let mut builds: BTreeMap<String, Option<String>> = BTreeMap::new();
        for output in &worker.outputs {
            let derivation = self.places.derivation(output);
            let derivation = derivation.and_then(|path| Some(path.rsplit_once('/')?.1.to_owned()));
            let name = name(derivation.as_deref().unwrap_or(output)).to_owned();
            builds.insert(
                derivation.clone().unwrap_or_else(|| output.clone()),
                derivation.map(|_| name),
            );
        }
        let is_one = builds.len() == 1 && worker.users.len() <= 1;
        if !is_one {
            let text = format!(
                "process {} builds several things, and only root may see by which processes",
                worker.pid
            );
            notes.push(Note::info("builds-mixed", text));
        }
        let user = worker.users.first().copied().filter(|_| is_one);
        let known = |(store_name, named): (String, Option<String>)| Known {
            worker: worker.pid,
            store: named.is_some().then(|| self.places.store.display().to_string()),
            client: self.client(worker.pid),
            name: named.unwrap_or_else(|| name(&store_name).to_owned()),
            pair: Pair { derivation: store_name, user, builder: None },
            cgroup: None,
            source: Source::Locks,
        };
        builds.into_iter().map(known).collect()
    }

    /// The client of a process of nix-daemon, which shows it in place of its
    /// first argument; the process itself where it is none.
    fn client(&self, worker: u32) -> Option<u32> {
        let command = self.proc.command(worker)?;
        let program = command.first()?.rsplit('/').next()?;
        match program {
            "nix-daemon" => command.get(1)?.trim().parse().ok(),
            "nix" if command.get(1).is_some_and(|word| word == "daemon") => None,
            _ => Some(worker),
        }
    }

    fn build(
        &self,
        known: &Known,
        processes: &[(Process, u32)],
        boot: Option<SystemTime>,
        now: SystemTime,
    ) -> Build {
        let Pair { derivation, user, builder } = &known.pair;
        let own = own(processes, *user, *builder);
        let leader = match builder {
            Some(pid) => own.iter().find(|process| process.pid == *pid),
            None => own.iter().min_by_key(|process| process.started_ticks),
        };
        let started = leader.zip(boot).and_then(|(process, boot)| {
            boot.checked_add(
                Duration::try_from_secs_f64(processes::seconds(process.started_ticks)).ok()?,
            )
        });
        let since = |time: SystemTime, start: SystemTime| {
            time.duration_since(start).unwrap_or_default().as_secs_f64()
        };
        let is_known = user.is_some() || builder.is_some();
        let leader = leader.map(|process| process.pid);
        let status = leader.and_then(|pid| self.proc.of(pid, "status"));
        let sum = |figure: fn(&Process) -> u64| {
            own.iter().map(|process| figure(process)).fold(0, u64::saturating_add)
        };
        Build {
            drv: known.store.as_ref().map(|store| format!("{store}/{derivation}")),
            name: known.name.clone(),
            source: known.source,
            started_unix_seconds: started.map(|start| since(start, UNIX_EPOCH)),
            running_seconds: started.map(|start| since(now, start)),
            expected_seconds: None,
            worker: known.worker,
            client: known.client.map(|pid| self.describe(pid)),
            user: *user,
            builder: leader,
            processes: is_known.then(|| own.iter().map(|process| process.pid).collect()),
            sandboxed: status.and_then(|text| processes::is_contained(&text)),
            cpu_seconds: is_known.then(|| processes::seconds(sum(|process| process.cpu_ticks))),
            memory_bytes: is_known.then(|| processes::bytes(sum(|process| process.resident_pages))),
            cgroup: known.cgroup.clone().or_else(|| self.group(leader?)),
        }
    }

    /// The group of a build, if Nix made it one.
    fn group(&self, builder: u32) -> Option<String> {
        let path = processes::unified_group(&self.proc.of(builder, "cgroup")?)?;
        build_group(&path).map(str::to_owned)
    }

    fn describe(&self, pid: u32) -> Client {
        let user =
            self.proc.user(pid).map(|user| user_name(user).unwrap_or_else(|| user.to_string()));
        let command = self.proc.command(pid).map(|words| {
            let line: String = words.join(" ").chars().take(LONGEST_COMMAND).collect();
            line.replace(char::is_control, " ")
        });
        Client { pid, user, command: command.filter(|line| !line.is_empty()) }
    }
}

/// What a process whose files may not be seen holds.
struct Hidden {
    pid: u32,
    outputs: Vec<String>,
    users: Vec<u32>,
}

fn said(said: Said) -> Known {
    Known {
        worker: said.worker,
        store: Some("/nix/store".to_owned()),
        client: said.client,
        name: name(&said.derivation).to_owned(),
        pair: Pair { derivation: said.derivation, user: said.user, builder: said.builder },
        cgroup: said.cgroup,
        source: Source::ActiveBuilds,
    }
}

/// Each build once: as what is open tells, unless that does not tell who builds it;
/// then as Determinate says; and at last by locks.
fn each_once(by_files: Vec<Known>, said: Vec<Known>, by_locks: Vec<Known>) -> Vec<Known> {
    let is_whole = |build: &Known| build.pair.user.is_some() || build.pair.builder.is_some();
    let (mut known, parts): (Vec<Known>, Vec<Known>) = by_files.into_iter().partition(is_whole);
    known.extend(said.into_iter().chain(parts).chain(by_locks));
    let mut done = BTreeSet::new();
    known.retain(|build| done.insert((build.worker, build.pair.derivation.clone())));
    known
}

/// The path of the group that Nix made for a build, of one that is in it. Whoever
/// else calls a group alike, e.g. a service, has something else in it.
///
/// Source: `nix-build-uid-%d` and `nix-build-pid-%d-%d` in libstore's
/// linux-derivation-builder.cc.
fn build_group(path: &str) -> Option<&str> {
    let is_number = |rest: &str| {
        rest.split('-').all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()))
    };
    let is_build = |part: &str| {
        BUILD_GROUPS.iter().filter_map(|start| part.strip_prefix(start)).any(is_number)
    };
    let ends = path.split('/').scan(0, |end, part| {
        *end += part.len() + 1;
        Some((*end - 1, part))
    });
    let (end, _) = ends.into_iter().find(|(_, part)| is_build(part))?;
    Some(&path[..end])
}

/// The processes of a build: all of its build user, who builds nothing else at
/// the time; without one, the builder's session and all who descend from it.
fn own(processes: &[(Process, u32)], user: Option<u32>, builder: Option<u32>) -> Vec<&Process> {
    if let Some(user) = user {
        return processes
            .iter()
            .filter(|(_, of)| *of == user)
            .map(|(process, _)| process)
            .collect();
    }
    let Some(builder) = builder else { return Vec::new() };
    let mut own = BTreeSet::from([builder]);
    // Each round finds at least one more generation.
    loop {
        let before = own.len();
        for (process, _) in processes {
            if own.contains(&process.parent) || process.session == builder {
                own.insert(process.pid);
            }
        }
        if own.len() == before {
            break;
        }
    }
    let is_own = |process: &&Process| own.contains(&process.pid);
    processes.iter().map(|(process, _)| process).filter(is_own).collect()
}

/// A user's name, from /etc/passwd: whoever is listed elsewhere has a number.
pub(super) fn user_name(user: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    });
    named.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
