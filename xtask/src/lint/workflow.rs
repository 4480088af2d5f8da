//! A workflow of GitHub, or a composite action, as far as our rules look at it.

use anyhow::{Result, bail};

use super::yaml::Node;

/// A file with jobs.
#[derive(Debug)]
pub(super) struct Workflow<'a> {
    text: &'a str,
    pub(super) root: Node,
    /// What starts it: `push`, `pull_request`, …
    pub(super) triggers: Vec<String>,
    pub(super) jobs: Vec<Job>,
    /// Whether it is an action, which has steps but is no workflow.
    pub(super) is_action: bool,
}

/// A job; an action's steps are one without a name.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) steps: Vec<Step>,
}

/// A step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) node: Node,
    pub(super) uses: Option<Uses>,
}

/// The action that a step uses.
#[derive(Debug)]
pub(super) struct Uses {
    pub(super) line: usize,
    /// As it is written.
    pub(super) text: String,
    /// `owner/name`, in small letters, with the folder inside where one is named.
    pub(super) action: String,
    /// What follows the `@`.
    pub(super) reference: String,
    /// The version that this is, by the reference or by the comment behind it.
    pub(super) version: Option<(u32, u32)>,
}

impl<'a> Workflow<'a> {
    /// Read a file.
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        let root = Node::parse(text)?;
        let lines: Vec<&str> = text.lines().collect();
        if let Some(steps) = root.at(&["runs", "steps"]) {
            let steps = steps.items().into_iter().map(|node| Step::new(node, &lines)).collect();
            let job = Job { name: String::new(), node: Node::default(), steps };
            let jobs = vec![job];
            return Ok(Self { text, root, triggers: Vec::new(), jobs, is_action: true });
        }
        // Jobs that are none would all be without a fault.
        let Some(jobs) = root.get("jobs").filter(|jobs| !jobs.entries().is_empty()) else {
            bail!("neither a workflow, which has jobs, nor a composite action, which has runs");
        };
        let jobs = jobs.entries().iter().map(|(name, node)| Job {
            name: name.clone(),
            node: node.clone(),
            steps: node
                .get("steps")
                .map(|steps| steps.items().into_iter().map(|node| Step::new(node, &lines)))
                .into_iter()
                .flatten()
                .collect(),
        });
        let jobs = jobs.collect();
        let on = root.get("on");
        let named = on.into_iter().flat_map(|on| on.entries().iter().map(|(name, _)| name.clone()));
        let listed = on.into_iter().flat_map(Node::items).map(|node| node.text().to_owned());
        let triggers = named.chain(listed).collect();
        Ok(Self { text, root, triggers, jobs, is_action: false })
    }

    /// The line that something is on, for what has no line of its own.
    pub(super) fn line_of(&self, start: &str) -> usize {
        self.text
            .lines()
            .position(|line| line.trim_start().starts_with(start))
            .map_or(1, |at| at + 1)
    }

    /// Whether one of these starts it.
    pub(super) fn is_started_by(&self, triggers: &[&str]) -> bool {
        self.triggers.iter().any(|own| triggers.contains(&own.as_str()))
    }

    /// Every step, with its job.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Job, &Step)> {
        self.jobs.iter().flat_map(|job| job.steps.iter().map(move |step| (job, step)))
    }

    /// Every action used: by steps, and by jobs that are workflows elsewhere.
    pub(super) fn uses(&self) -> Vec<Uses> {
        let lines: Vec<&str> = self.text.lines().collect();
        let jobs = self.jobs.iter().filter_map(|job| Uses::new(job.node.get("uses")?, &lines));
        let steps = self.steps().filter_map(|(_, step)| Uses::new(step.node.get("uses")?, &lines));
        jobs.chain(steps).collect()
    }

    /// Every text in which settings of Nix may be written.
    pub(super) fn settings(&self) -> Vec<&Node> {
        let environments = [Some(&self.root)].into_iter().chain(self.jobs.iter().flat_map(|job| {
            [Some(&job.node)].into_iter().chain(job.steps.iter().map(|step| Some(&step.node)))
        }));
        let environments =
            environments.flatten().filter_map(|node| node.at(&["env", "NIX_CONFIG"]));
        let steps = self.steps().flat_map(|(_, step)| {
            let inputs = ["extra_nix_config", "extra-conf", "nix_conf", "nix-config"];
            let inputs = inputs.into_iter().filter_map(|name| step.node.at(&["with", name]));
            inputs.chain(step.node.get("run"))
        });
        environments.chain(steps).collect()
    }
}

impl Job {
    /// Where findings about all of it belong: the line of its name.
    pub(super) fn line(&self) -> usize {
        self.node.line.saturating_sub(1).max(1)
    }
}

impl Step {
    fn new(node: &Node, lines: &[&str]) -> Self {
        let uses = node.get("uses").and_then(|uses| Uses::new(uses, lines));
        Self { node: node.clone(), uses }
    }

    /// Whether it uses an action, or one in a folder of it.
    pub(super) fn is(&self, action: &str) -> bool {
        self.uses.as_ref().is_some_and(|uses| {
            uses.action
                .strip_prefix(action)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// An input that it gives to its action; empty where it gives none.
    pub(super) fn input(&self, name: &str) -> &str {
        self.node.at(&["with", name]).map_or("", Node::text)
    }

    /// The commands of its script, each with its line.
    pub(super) fn commands(&self) -> Vec<(usize, String)> {
        self.node.get("run").map(commands).unwrap_or_default()
    }
}

impl Uses {
    fn new(node: &Node, lines: &[&str]) -> Option<Self> {
        let text = node.text();
        if text.starts_with("./") || text.is_empty() {
            return None;
        }
        let (action, reference) = text.split_once('@').unwrap_or((text, ""));
        let line = lines.get(node.line.saturating_sub(1)).copied().unwrap_or_default();
        let comment = line.split_once(" #").map_or("", |(_, comment)| comment.trim());
        Some(Self {
            line: node.line,
            text: text.to_owned(),
            action: action.to_lowercase(),
            reference: reference.to_owned(),
            version: version(reference).or_else(|| version(comment)),
        })
    }

    /// Whether it can only be what it was when it was written down.
    pub(super) fn is_pinned(&self) -> bool {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.action.strip_prefix("docker:") {
            Some(_) => self.reference.starts_with("sha256:"),
            None => self.reference.len() == 40 && is_hex(&self.reference),
        }
    }
}

/// `v4.2.1` and `4` start with a version; a commit may start with digits, and is none.
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().next().filter(|word| word.len() < 40)?;
    let mut numbers = word.trim_start_matches('v').split('.').map(|number| number.parse().ok());
    let major = numbers.next()?.filter(|major| *major < 1000)?;
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

/// The lines of a script or of settings, each with its number: what goes on on the
/// next line is one, and what is a comment none.
pub(super) fn commands(node: &Node) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (line, number) in node.text().lines().zip(node.line..) {
        let line = line.trim();
        let (own, continues) = match line.strip_suffix('\\') {
            Some(own) => (own, true),
            None => (line, false),
        };
        match commands.last_mut() {
            Some((_, command)) if goes_on => command.push_str(own),
            _ if line.starts_with('#') => continue,
            _ => commands.push((number, own.to_owned())),
        }
        goes_on = continues;
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::{Workflow, commands, version};

    #[test]
    fn what_has_no_jobs_is_not_without_a_fault() {
        for text in ["", "a: 1\n", "on: push\njobs: 3\n", "jobs: {}\n", "jobs: [a]\n", "runs: 1\n"]
        {
            assert!(Workflow::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_found_in_references_and_comments() {
        assert_eq!(version("v4.2.1"), Some((4, 2)));
        assert_eq!(version("v31 of 2026"), Some((31, 0)));
        assert_eq!(version("3d3c42e5aac5ba805825da76410c181273ba90b1"), None);
        assert_eq!(version("main"), None);
        let sha = "0".repeat(40);
        let text = format!(
            "on: [push, pull_request]\njobs:\n  a:\n    steps:\n      - uses: A/b/c@{sha} # v2.1\n"
        );
        let workflow = Workflow::parse(&text).expect("a workflow");
        let uses = &workflow.uses()[0];
        assert_eq!((uses.action.as_str(), uses.version), ("a/b/c", Some((2, 1))));
        assert!(uses.is_pinned());
        assert!(workflow.jobs[0].steps[0].is("a/b"));
        assert!(workflow.is_started_by(&["pull_request"]));
    }

    #[test]
    fn a_command_may_go_on() {
        let text = "on: push\njobs:\n  a:\n    steps:\n      - run: |\n          one \\\n            two\n          # three\n          four\n";
        let workflow = Workflow::parse(text).expect("a workflow");
        let run = workflow.jobs[0].steps[0].node.get("run").expect("a script");
        let expected = [(6, "one two".to_owned()), (9, "four".to_owned())];
        assert_eq!(commands(run), expected);
    }
}
