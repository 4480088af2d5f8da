//! Programs that are asked for facts: started early, heard later.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// Longer than any of them takes; one on a hung network file system must not
/// hang us.
const PATIENCE: Duration = Duration::from_secs(10);

/// Larger than anything that they print.
const MOST_OUTPUT: u64 = 8 << 20;

/// A program that runs, and the channels its output will come through.
pub struct Answer {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Answer {
    /// Start a program; none when it cannot be started.
    pub fn ask(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<Self> {
        Self::start(Command::new(program).args(arguments).stderr(Stdio::null()))
    }

    /// Start a command, whose stderr goes where it says.
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
        let (text, succeeded) = self.take_any()?;
        succeeded.then_some(text)
    }

    /// The same, with what it said on stderr.
    pub fn take_both(mut self) -> Option<(String, String)> {
        let (text, succeeded) = self.wait()?;
        // Whatever it has started may still hold stderr open.
        let errors = self.errors.recv_timeout(PATIENCE / 10).unwrap_or_default();
        succeeded.then_some((text, errors))
    }

    /// What it printed in time, and whether it succeeded.
    pub fn take_any(mut self) -> Option<(String, bool)> {
        self.wait()
    }

    fn wait(&mut self) -> Option<(String, bool)> {
        let text = self.output.recv_timeout(PATIENCE).ok();
        if text.is_none() {
            let _ = self.child.kill();
        }
        // Else it would stay behind as a zombie.
        let status = self.child.wait().ok()?;
        Some((text?, status.success()))
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
    use super::Answer;

    #[test]
    fn what_failed_has_not_answered() {
        let ask = |script| Answer::ask("sh", &["-c", script]).expect("a shell");
        assert_eq!(ask("echo yes").take().as_deref(), Some("yes\n"));
        assert_eq!(ask("echo yes; exit 1").take(), None);
        assert_eq!(ask("echo yes; exit 1").take_any(), Some(("yes\n".to_owned(), false)));
        assert_eq!(ask("echo yes; echo but >&2").take().as_deref(), Some("yes\n"));
        let both = Some(("yes\n".to_owned(), "but\n".to_owned()));
        assert_eq!(ask("echo but >&2; echo yes").take_both(), both);
        assert_eq!(ask("echo but >&2; exit 1").take_both(), None);
        assert!(Answer::ask("/nonexistent", &[]).is_none());
    }
}
