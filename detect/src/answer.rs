//! Programs that are asked for facts: started early, heard later.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Longer than any of them takes; one on a hung network file system must not
/// hang us.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a program takes to end after its last word.
const MOMENT: Duration = Duration::from_millis(1);

/// Larger than anything that they print.
const MOST_OUTPUT: u64 = 8 << 20;

/// What a program said in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// On stdout.
    pub text: String,
    /// On stderr.
    pub errors: String,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// A program that runs, and the channels its output will come through.
pub struct Answer {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Answer {
    /// Start a program; none when it cannot be started.
    pub fn ask(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<Self> {
        Self::start(Command::new(program).args(arguments))
    }

    /// Start a command.
    pub fn start(command: &mut Command) -> Option<Self> {
        let mut child = command
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let output = hear(child.stdout.take()?);
        let errors = hear(child.stderr.take()?);
        Some(Self { child, output, errors })
    }

    /// What it printed, if it succeeded in time.
    pub fn take(self) -> Option<String> {
        self.hear().filter(|heard| heard.succeeded).map(|heard| heard.text)
    }

    /// All that it said in time.
    pub fn hear(mut self) -> Option<Heard> {
        let text = self.output.recv_timeout(PATIENCE).ok();
        // Who says nothing more may still run on.
        let status = text.as_ref().and_then(|_| ended(&mut self.child, PATIENCE));
        if status.is_none() {
            let _ = self.child.kill();
            // Else it would stay behind as a zombie; but no signal reaches one that
            // hangs in the kernel.
            ended(&mut self.child, PATIENCE / 10);
        }
        // Whatever it has started may still hold stderr open.
        let errors = self.errors.recv_timeout(PATIENCE / 10).unwrap_or_default();
        Some(Heard { text: text?, errors, succeeded: status?.success() })
    }
}

/// How a program has ended, if it does so in time.
fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(None) if start.elapsed() < patience => std::thread::sleep(MOMENT),
            status => return status.ok().flatten(),
        }
    }
}

/// What comes through a pipe, once it is closed.
fn hear(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, text) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if pipe.take(MOST_OUTPUT).read_to_end(&mut bytes).is_ok() {
            // Nobody listens any more when the answer came too late.
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{Answer, Heard, PATIENCE, ended};

    #[test]
    fn what_failed_has_not_answered() {
        let ask = |script| Answer::ask("sh", &["-c", script]).expect("a shell");
        assert_eq!(ask("echo yes").take().as_deref(), Some("yes\n"));
        assert_eq!(ask("echo yes; exit 1").take(), None);
        assert_eq!(ask("echo yes; echo but >&2").take().as_deref(), Some("yes\n"));
        let heard = |succeeded| {
            Some(Heard { text: "yes\n".to_owned(), errors: "but\n".to_owned(), succeeded })
        };
        assert_eq!(ask("echo but >&2; echo yes").hear(), heard(true));
        assert_eq!(ask("echo but >&2; echo yes; exit 1").hear(), heard(false));
        assert!(Answer::ask("/nonexistent", &[]).is_none());
    }

    #[test]
    fn what_does_not_end_is_not_waited_for() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a process");
        assert_eq!(ended(&mut child, Duration::ZERO), None);
        child.kill().expect("killed");
        assert!(ended(&mut child, PATIENCE).is_some_and(|status| !status.success()));
    }
}
