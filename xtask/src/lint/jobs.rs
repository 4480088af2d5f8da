//! What jobs, or whole workflows, do wrong.

use super::rules::Found;
use super::workflow::Workflow;
use super::yaml::Node;

/// What a condition asks that keeps a step from pull requests of others.
const GUARDS: [&str; 4] =
    ["github.event_name", "github.event.pull_request", "github.ref", "head.repo"];

fn is_guarded(condition: &str) -> bool {
    GUARDS.iter().any(|guard| condition.contains(guard))
}

/// The secret that an expression of this text takes, unless the expression itself
/// says for which events.
fn secret(text: &str) -> Option<&str> {
    let expressions = text.split("${{").skip(1).filter_map(|rest| rest.split("}}").next());
    let mut unguarded = expressions.filter(|expression| !is_guarded(expression));
    unguarded.find_map(|expression| {
        let mut names = expression.split("secrets.").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        });
        // Every job has this one, and of a fork's pull request it may only read.
        names.find(|name| *name != "GITHUB_TOKEN")
    })
}

pub(super) fn secrets(workflow: &Workflow) -> Vec<Found> {
    if !workflow.is_started_by(&["pull_request"]) {
        return Vec::new();
    }
    let found = |nodes: Vec<&Node>| -> Vec<Found> {
        let named = nodes.into_iter().filter_map(|node| Some((node.line, secret(node.text())?)));
        named.map(|(line, name)| (line, format!("{name}: a fork has none"))).collect()
    };
    let mut all = workflow.root.get("env").map(|env| found(env.scalars())).unwrap_or_default();
    for job in &workflow.jobs {
        if is_guarded(job.node.text_of("if")) {
            continue;
        }
        for key in ["env", "secrets", "with"] {
            all.extend(job.node.get(key).map(|node| found(node.scalars())).unwrap_or_default());
        }
        let steps = job.steps.iter().filter(|step| !is_guarded(step.node.text_of("if")));
        all.extend(steps.flat_map(|step| found(step.node.scalars())));
    }
    all
}

pub(super) fn fork_code(workflow: &Workflow) -> Vec<Found> {
    const HEADS: [&str; 6] = [
        "github.event.pull_request.head",
        "github.head_ref",
        "github.event.number",
        "github.event.pull_request.number",
        "github.event.pull_request.merge_commit_sha",
        "github.event.workflow_run.head",
    ];
    if !workflow.is_started_by(&["pull_request_target", "workflow_run"]) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (_, step) in workflow.steps() {
        if step.is("actions/checkout") {
            let inputs = [step.input("ref"), step.input("repository")];
            if HEADS.iter().any(|head| inputs.iter().any(|input| input.contains(head))) {
                found.push((step.node.line, "checks out the fork's code".to_owned()));
            } else if step.input("allow-unsafe-pr-checkout") == "true" {
                found.push((step.node.line, "allows a fork's code".to_owned()));
            }
        }
        for (line, command) in step.commands() {
            let fetches = command.contains("git fetch") && command.contains("pull/");
            if fetches || command.contains("gh pr checkout") {
                found.push((line, "checks out the fork's code".to_owned()));
            }
        }
    }
    found
}

pub(super) fn permissions(workflow: &Workflow) -> Vec<Found> {
    if workflow.is_action {
        return Vec::new();
    }
    let mut found = Vec::new();
    let all = |node: &Node| node.text() == "write-all";
    let root = workflow.root.get("permissions");
    if root.is_some_and(all) {
        found.push((workflow.line_of("permissions:"), "write-all".to_owned()));
    }
    for job in &workflow.jobs {
        match job.node.get("permissions") {
            Some(own) if all(own) => found.push((own.line, format!("{}: write-all", job.name))),
            None if root.is_none() => {
                found.push((job.line(), format!("{}: no permissions", job.name)));
            }
            _ => (),
        }
    }
    found
}

pub(super) fn timeouts(workflow: &Workflow) -> Vec<Found> {
    // A job that is a workflow elsewhere has its time there.
    let jobs =
        workflow.jobs.iter().filter(|job| !workflow.is_action && job.node.get("uses").is_none());
    let endless = jobs.filter(|job| job.node.get("timeout-minutes").is_none());
    endless.map(|job| (job.line(), format!("{}: no timeout-minutes", job.name))).collect()
}

pub(super) fn concurrency(workflow: &Workflow) -> Vec<Found> {
    let is_said = workflow.root.get("concurrency").is_some()
        || workflow.jobs.iter().all(|job| job.node.get("concurrency").is_some());
    if is_said || !workflow.is_started_by(&["push", "pull_request", "pull_request_target"]) {
        return Vec::new();
    }
    vec![(workflow.line_of("on:"), "no concurrency".to_owned())]
}
