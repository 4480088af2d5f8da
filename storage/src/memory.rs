//! A tmpfs for builds, where the disk below them is slow and there is plenty of
//! memory that jobs × cores do not count on.
//!
//! **Invariant:** no byte is spent twice. Once the tmpfs is taken out of the
//! budget, jobs and cores are what they were planned to be.

use std::num::NonZero;

use detect::hardware::ConfOwner;
use detect::human::{media, size};
use profile::budget::{self, Budget};
use profile::plan::{Plan, Value, Workload};
use profile::sizing::GIB;

use crate::home::{Home, SMALL_BUILD_BYTES};
use crate::site::{Site, own_dir, places};

/// Sizes to try: what the original design gave machines of 32 and of 16 GB, so
/// that its bounds for smaller ones are never reached.
const SIZES: [u64; 2] = [16 * GIB, 8 * GIB];

/// Memory from which a tmpfs is considered at all: decimal, as a machine sold
/// with 64 GiB reports less. A size that leaves jobs × cores alone is rare below
/// it, and builds that meet a full tmpfs are worse off than slow ones.
const PLENTY: u64 = 64_000_000_000;

/// A tmpfs that the machine can spare, if any helps; or the one it has by an
/// earlier plan, so that planning again does not undo it.
pub(crate) fn memory(site: &Site) -> Option<Home> {
    let (path, mounted) = (path(site), mounted(site));
    if !(site.is_slow() || mounted.is_some()) || !is_ours_to_mount(site, path) {
        return None;
    }
    let (whole, before) = budget(site.plan)?;
    let (_, sizes) = before.sizes()?;
    let need = site.jobs().saturating_mul(SMALL_BUILD_BYTES);
    let fits = |bytes: &u64| {
        let after = Budget { tmpfs_bytes: Some(*bytes), ..before.clone() };
        *bytes >= need && after.sizes() == before.sizes()
    };
    let candidates = mounted.map_or_else(|| SIZES.to_vec(), |bytes| vec![bytes]);
    let bytes = candidates.into_iter().find(fits)?;
    let disk = match mounted {
        Some(_) => format!("{path} is in memory already"),
        None => format!("{} is on {}", site.default, media(site.now.media)),
    };
    let why = format!(
        "{disk}; of {}, {} hold the small builds, and without them jobs × cores are {} × {} all \
         the same",
        size(whole),
        size(bytes),
        sizes.jobs,
        sizes.cores
    );
    Some(Home { path, is_told: path != site.default, tmpfs_bytes: Some(bytes), why })
}

/// Where a tmpfs goes: where Nix cannot be told of a directory, builds share
/// /tmp with everybody.
fn path(site: &Site) -> &'static str {
    if site.has_build_dir() { own_dir(site.release) } else { "/tmp" }
}

/// The size of the tmpfs there is, if a plan may have made it.
pub(crate) fn mounted(site: &Site) -> Option<u64> {
    let place = places(site.plan).find(|place| place.path == path(site))?;
    let is_mounted = place.mount_point.as_ref() == Some(&place.path);
    let is_tmpfs = is_mounted && place.filesystem.as_deref() == Some("tmpfs");
    place.size_bytes.map(NonZero::get).filter(|bytes| is_tmpfs && SIZES.contains(bytes))
}

/// A container has the mounts that it is given, and big builds do not fit.
/// `NixOS` has `boot.tmp` from 23.05, whose Nix is 2.13.
fn is_ours_to_mount(site: &Site, path: &str) -> bool {
    let plan = site.plan;
    let owner = plan.hardware.nix.as_ref().and_then(|nix| nix.conf_owner);
    let has_option = owner != Some(ConfOwner::Nixos) || site.release.has_nix(2, 13);
    plan.hardware.environment.container.is_none()
        && plan.profile.workload != Workload::Big
        && (path != "/tmp" || has_option)
}

/// The machine's memory, and what the plan's sizes were made from. `None` where
/// they were not made by a rule: sized by recorded builds, they use whatever
/// there is.
fn budget(plan: &Plan) -> Option<(u64, Budget)> {
    let rule = &plan.profile.rule;
    let budget = budget::budget(&plan.hardware, plan.profile.workload, rule.reserve_bytes);
    let whole = budget.memory_bytes.filter(|bytes| *bytes >= PLENTY && !budget.is_limited)?;
    let (by, sizes) = budget.sizes()?;
    let planned = [("max-jobs", sizes.jobs), ("cores", sizes.cores)];
    let is_same = planned.iter().all(|(name, number)| {
        let value = plan.settings.get(*name).map(|setting| &setting.value);
        value == Some(&Value::Integer((*number).into()))
    });
    (rule.policy == Some(by.name()) && is_same).then_some((whole, budget))
}
