//! What a guard has done, for `status`, `report` and `metrics`.

#[cfg(target_os = "linux")]
use anyhow::Context;
use anyhow::Result;
use detect::human::{count, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::unit::duration;
use crate::status::Figure;

/// What guards have done since the machine started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guarded {
    /// Whether one is at work.
    pub is_running: bool,
    /// Builds that are stopped at the moment.
    pub stopped: u64,
    /// Builds held before they began, since there was no room for them.
    pub holds: u64,
    /// Builds frozen while they ran, since memory was short.
    pub freezes: u64,
    /// How long they were stopped, all together.
    pub stopped_seconds: f64,
    /// The most that builds held at once were expected to need: memory that was
    /// spared.
    pub spared_bytes: u64,
}

/// Ask what guards have done.
pub fn guarded() -> Figure<Guarded> {
    Figure::new("guard", found())
}

#[cfg(target_os = "linux")]
fn found() -> Result<Guarded> {
    let keeper = super::record::Keeper::look();
    let is_running = keeper.is_taken().context("none has run since the machine started")?;
    let record = keeper.read()?;
    Ok(Guarded {
        is_running,
        stopped: record.stopped.len() as u64,
        holds: record.holds,
        freezes: record.freezes,
        stopped_seconds: record.stopped_seconds,
        spared_bytes: record.most_held_bytes,
    })
}

#[cfg(not(target_os = "linux"))]
fn found() -> Result<Guarded> {
    anyhow::bail!("only Linux has one")
}

impl Guarded {
    /// On one line.
    pub fn line(&self) -> String {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let at_work = if self.is_running { "at work" } else { "not running" };
        if self.holds == 0 && self.freezes == 0 {
            return format!("{at_work}; every build had room");
        }
        let spared = if self.spared_bytes > 0 {
            format!(", {} spared at once", size(self.spared_bytes))
        } else {
            String::new()
        };
        format!(
            "{at_work}; {} and {} for {} in all{spared}; {} stopped now",
            count(number(self.holds), "hold"),
            count(number(self.freezes), "freeze"),
            duration(self.stopped_seconds).replace('\u{a0}', " "),
            self.stopped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Guarded;

    #[test]
    fn what_was_done_is_one_line() {
        let mut guarded = Guarded {
            is_running: true,
            stopped: 1,
            holds: 2,
            freezes: 0,
            stopped_seconds: 12.3,
            spared_bytes: 1 << 30,
        };
        let expected = "at work; 2 holds and 0 freezes for 12.3 s in all, 1 GiB spared at once; \
                        1 stopped now";
        assert_eq!(guarded.line(), expected);
        (guarded.holds, guarded.is_running) = (0, false);
        assert_eq!(guarded.line(), "not running; every build had room");
    }
}
