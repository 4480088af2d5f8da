//! One run of Nix: how long it took, what it built, what it used.

use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use monitor::event::each;
use monitor::recorded::Recorded;
use monitor::stream::{Change, Stream};

use crate::compared::Disturbance;
use crate::interrupt::Interrupt;
use crate::nix::why;
use crate::sampler::{Looks, Sampler, Seen};
use crate::tree::ended_cpu_seconds;

/// What a run of Nix took.
#[derive(Clone, Debug)]
pub struct Sample {
    /// From its start to its end.
    pub wall_seconds: f64,
    /// From the start of the first derivation that was built to the end of the last;
    /// `None` where none was.
    pub build_seconds: Option<f64>,
    /// Derivations built.
    pub builds: u32,
    /// CPU time, where Nix builds itself.
    pub cpu_seconds: Option<f64>,
    /// Memory likewise.
    pub peak_memory_bytes: Option<u64>,
    /// What else went on.
    pub disturbance: Disturbance,
}

/// How Nix is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Whether a daemon builds, so that neither its CPU time nor its memory is ours
    /// to see.
    pub by_daemon: bool,
    /// Whether it is asked for events.
    pub events: bool,
    /// Exit codes that are no failure besides 0: `--check` ends with 104 where a
    /// build is not deterministic, which makes it no less of a build.
    pub accepted: &'static [i32],
}

/// Run Nix once, looked at by `sampler`; `None` when it was interrupted.
pub fn run(
    command: &mut Command,
    how: How,
    sampler: &Sampler,
    interrupt: &Interrupt,
) -> Result<Option<Sample>> {
    if how.events {
        command.args(["--log-format", "internal-json"]);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let ended_before = ended_cpu_seconds();
    let began = Instant::now();
    // A group of its own: what a terminal's Ctrl-C ends is ours to end.
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| program.clone())?;
    let guard = interrupt.guard(&child);
    // What only evaluates is over too soon to look at what others build.
    sampler.start(child.id(), Looks { memory: !how.by_daemon, builds: how.events });
    let mut stream = Stream::default();
    let mut messages = String::new();
    if let Some(errors) = child.stderr.take() {
        each(BufReader::new(errors), |line| {
            let at = Some(began.elapsed().as_secs_f64());
            stream.line(line, at, &mut |change| keep(&change, &mut messages));
            Ok(())
        })?;
    }
    let status = child.wait()?;
    let wall_seconds = began.elapsed().as_secs_f64();
    drop(guard);
    let Seen { before, peak_memory_bytes, other_builds } = sampler.stop();
    let cpu_seconds = (|| Some(ended_cpu_seconds()? - ended_before?))();
    // Of a daemon's builds, our own share of what the machine did is not known.
    let cpu_seconds = cpu_seconds.filter(|_| !how.by_daemon);
    let disturbance = before.map(|before| before.until_now(cpu_seconds)).unwrap_or_default();
    if interrupt.came() {
        return Ok(None);
    }
    let is_fine = status.code().is_some_and(|code| code == 0 || how.accepted.contains(&code));
    if !is_fine {
        bail!("{program}: {status}: {}", why(&messages));
    }
    let recorded = stream.finish();
    // Nix has succeeded, so whatever began was built: no need to ask how each ended,
    // which events do not say outright.
    let built = recorded.builds.len();
    Ok(Some(Sample {
        wall_seconds,
        build_seconds: span(&recorded),
        builds: u32::try_from(built).unwrap_or(u32::MAX),
        cpu_seconds,
        peak_memory_bytes,
        disturbance: Disturbance { other_builds, ..disturbance },
    }))
}

/// Keep what may say why a run fails.
fn keep(change: &Change, messages: &mut String) {
    const MOST: usize = 64 << 10;
    let text = match change {
        Change::Message { level: 0, text, .. } => monitor::stream::plain(text),
        Change::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => return,
    };
    if messages.len() + text.len() < MOST {
        messages.push_str(&text);
        messages.push('\n');
    }
}

/// From the first build's start to the last one's end.
fn span(recorded: &Recorded) -> Option<f64> {
    let builds = recorded.builds.iter();
    let times = builds.filter_map(|build| {
        let started = build.started_seconds?;
        Some((started, started + build.wall_seconds?))
    });
    let (first, last) =
        times.reduce(|(first, last), (start, end)| (first.min(start), last.max(end)))?;
    Some(last - first)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{How, run};
    use crate::interrupt::Interrupt;
    use crate::sampler::Sampler;

    fn shell(script: &str) -> anyhow::Result<Option<super::Sample>> {
        let mut command = Command::new("sh");
        let sampler = Sampler::default();
        run(command.args(["-c", script]), How::default(), &sampler, &Interrupt::default())
    }

    #[test]
    fn builds_are_timed_by_their_events() {
        let events = r#"
            echo '@nix {"action":"start","id":1,"level":0,"parent":0,"text":"","type":104}' >&2
            echo '@nix {"action":"start","fields":["/nix/store/x-a.drv","",1,1],"id":2,"level":3,"parent":0,"text":"building","type":105}' >&2
            sleep 0.05
            echo '@nix {"action":"result","fields":[1,1,0,0],"id":1,"type":105}' >&2
            echo '@nix {"action":"stop","id":2}' >&2"#;
        let sample = shell(events).expect("it runs").expect("to its end");
        assert_eq!(sample.builds, 1);
        let seconds = sample.build_seconds.expect("a build");
        // Its start may be heard of late; the run holds all of the pause.
        assert!(sample.wall_seconds >= 0.05, "{sample:?}");
        assert!(seconds >= 0.02 && seconds <= sample.wall_seconds, "{sample:?}");
    }

    #[test]
    fn a_failure_says_why() {
        let error = shell("echo 'error: no such thing' >&2; exit 3").expect_err("fails");
        assert_eq!(error.to_string(), "sh: exit status: 3: error: no such thing");
        let mut missing = Command::new("/nonexistent/nix");
        assert!(
            run(&mut missing, How::default(), &Sampler::default(), &Interrupt::default()).is_err()
        );
    }
}
