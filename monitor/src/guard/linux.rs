//! Whether a guard can do its work here, and its three parts.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use detect::human::count;
use detect::nix;
use detect::report::{Hint, say};
use detect::root::Root;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde_json::Value;

use super::record::Keeper;
use super::worker::Worker;
use super::{Options, stop, supervise};

/// The settings by which Nix ends builds that take long or are silent.
const PATIENCE: [&str; 2] = ["timeout", "max-silent-time"];

pub(super) fn run(mut options: Options) -> Result<()> {
    if options.worker {
        return Worker::new(options)?.run();
    }
    if !rustix::process::geteuid().is_root() {
        let hint = Hint::new("run it as root: sudo monitor guard …");
        return Err(anyhow!("guard: only root may stop builds").context(hint));
    }
    if options.thaw {
        // What a guard holds that runs is not left over.
        return thaw(&Keeper::take().context("guard: --thaw")?);
    }
    pidfd_open(getpid(), PidfdFlags::empty())
        .context("guard: this kernel has no handles of processes (Linux 5.3 has)")?;
    let root = Root::live();
    let nix = nix::nix(&root, nix::ask(&root), &mut Vec::new()).0;
    let settings = nix.map(|nix| nix.settings).unwrap_or_default();
    let group = settings.get("build-users-group").and_then(Value::as_str).unwrap_or("nixbld");
    let passwd = fs::read_to_string("/etc/passwd").context("guard: /etc/passwd")?;
    let groups = fs::read_to_string("/etc/group").context("guard: /etc/group")?;
    let users = members(&groups, &passwd, group);
    if users.is_empty() {
        bail!(
            "guard: builds cannot be told apart: no users in the group of build users ({group:?})"
        );
    }
    if settings.get("keep-build-log").and_then(Value::as_bool) == Some(false) {
        let hint = Hint::new("set keep-build-log = true: by their logs builds are told apart");
        return Err(anyhow!("guard: builds cannot be seen: keep-build-log is false").context(hint));
    }
    options.users = users.into_iter().collect();
    for name in PATIENCE {
        let Some(seconds) = settings.get(name).and_then(Value::as_u64).filter(|&time| time > 0)
        else {
            continue;
        };
        options.patience = Some(options.patience.unwrap_or(u64::MAX).min(seconds));
        say(&format!(
            "monitor: guard: warning: {name} is {seconds} s, and a build that waits is silent: \
             none is held for longer than half of that while there is memory"
        ));
    }
    if options.once {
        let mut worker = Worker::new(options)?;
        worker.step();
        let states = worker.states();
        let lines =
            if states.is_empty() { vec!["nothing is being built".to_owned()] } else { states };
        for line in lines {
            say(&format!("monitor: guard: {line}"));
        }
        return Ok(());
    }
    let users = u32::try_from(options.users.len()).unwrap_or(u32::MAX);
    say(&format!("monitor: guard: guards the builds of {}", count(users, "build user")));
    supervise::run(&options)
}

/// Let go on what is written down as stopped; what was done stays written.
fn thaw(keeper: &Keeper) -> Result<()> {
    let mut record = keeper.read()?;
    let stopped = std::mem::take(&mut record.stopped);
    if stopped.is_empty() {
        return Ok(());
    }
    stop::thaw(&stopped);
    keeper.write(&record)
}

/// The numbers of a group's users, without root.
fn members(groups: &str, passwd: &str, group: &str) -> BTreeSet<u32> {
    let mut members = BTreeSet::new();
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, _, names] = fields[..] else { continue };
        if name == group {
            members.extend(names.split(',').filter_map(|name| number(passwd, name)));
        }
    }
    members.remove(&0);
    members
}

fn number(passwd: &str, name: &str) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (!name.is_empty() && fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{members, thaw};
    use crate::guard::record::{Keeper, Record};
    use crate::guard::stop::Stopped;

    #[test]
    fn who_goes_on_takes_no_count_along() {
        let folder = tempfile::tempdir().expect("folder");
        let nothing = Keeper::at(folder.path().join("none/guard.json"));
        thaw(&nothing).expect("nothing to do");

        let keeper = Keeper::at(folder.path().join("guard.json"));
        // A user of whom there are no processes.
        let stopped = vec![Stopped { user: 4_000_000_000, group: None }];
        let before = Record { stopped, holds: 3, stopped_seconds: 2.5, ..Record::default() };
        keeper.write(&before).expect("written");
        thaw(&keeper).expect("thawed");
        let after = keeper.read().expect("there");
        assert_eq!(after, Record { stopped: Vec::new(), ..before });
    }

    #[test]
    fn build_users_are_the_members_of_their_group() {
        let groups = "root:x:0:\nnixbld:x:30000:nixbld1,nixbld2,root,gone,\nbad\n";
        let passwd = "root:x:0:0::/:\nnixbld1:x:30001:30000::/:\nnixbld2:x:30002:30000::/:\n";
        assert_eq!(members(groups, passwd, "nixbld"), BTreeSet::from([30001, 30002]));
        assert_eq!(members(groups, passwd, ""), BTreeSet::new());
        assert_eq!(members("", "", "nixbld"), BTreeSet::new());
    }
}
