//! What single steps do wrong.

use super::rules::Found;
use super::scripts::{builds, words};
use super::workflow::{Step, Workflow};

/// Actions that restore a cache, and save it when the job ends.
const CACHES: [&str; 2] = ["actions/cache", "nix-community/cache-nix-action"];

/// Caches that belong to a project, by their names on cachix.org.
const PROJECTS: [&str; 10] = [
    "cachix",
    "cuda-maintainers",
    "devenv",
    "hyprland",
    "nix-community",
    "nix-gaming",
    "nix-on-droid",
    "nixpkgs-unfree",
    "nixpkgs-wayland",
    "numtide",
];

fn is_cache(step: &Step) -> bool {
    CACHES.iter().any(|action| step.is(action))
}

pub(super) fn store_in_cache(workflow: &Workflow) -> Vec<Found> {
    let steps = workflow.steps().filter(|(_, step)| step.is("actions/cache"));
    let paths = steps.filter_map(|(_, step)| step.node.at(&["with", "path"]));
    let store = paths.filter_map(|node| {
        let mut paths = node.text().lines().map(str::trim).zip(node.line..);
        paths.find(|(path, _)| *path == "/nix" || path.starts_with("/nix/"))
    });
    store.map(|(path, line)| (line, format!("caches {path}"))).collect()
}

pub(super) fn late_caches(workflow: &Workflow) -> Vec<Found> {
    let mut found = Vec::new();
    for job in &workflow.jobs {
        let built = job.steps.iter().position(|step| {
            step.commands().iter().any(|(_, command)| !builds(command).is_empty())
        });
        let late = job.steps.iter().skip(built.map_or(usize::MAX, |first| first + 1));
        let restores = |step: &&Step| {
            is_cache(step) && !step.uses.as_ref().is_some_and(|uses| uses.action.ends_with("/save"))
        };
        found.extend(
            late.filter(restores).map(|step| {
                (step.node.line, "restores a cache after a step that builds".to_owned())
            }),
        );
    }
    found
}

pub(super) fn keys_without_runner(workflow: &Workflow) -> Vec<Found> {
    let names = ["runner.", "matrix.os", "matrix.system", "matrix.runner", "matrix.platform"];
    let steps = workflow.steps().filter(|(_, step)| is_cache(step));
    let keys = steps.filter_map(|(_, step)| {
        let key = ["key", "primary-key"].iter().find_map(|name| step.node.at(&["with", name]))?;
        let is_own = names.iter().any(|name| key.text().contains(name));
        (!is_own).then(|| (key.line, format!("key {:?}: the same on every runner", key.text())))
    });
    keys.collect()
}

pub(super) fn foreign_caches(workflow: &Workflow) -> Vec<Found> {
    let mut found = Vec::new();
    for (job, step) in workflow.steps() {
        // Its own project may push there, and says that it is the one.
        let guard = format!("{} {}", job.node.text_of("if"), step.node.text_of("if"));
        let is_own = |name: &str| guard.contains("repository_owner") && guard.contains(name);
        let mut find = |line, name: &str| {
            if PROJECTS.contains(&name) && !is_own(name) {
                found.push((line, format!("pushes to {name}, which belongs to its project")));
            }
        };
        let has_token = ["authToken", "signingKey"].iter().any(|key| !step.input(key).is_empty());
        if step.is("cachix/cachix-action") && has_token && step.input("skipPush") != "true" {
            find(
                step.node.at(&["with", "name"]).map_or(step.node.line, |name| name.line),
                step.input("name"),
            );
        }
        for (line, command) in step.commands() {
            let words = words(&command);
            for pair in words.windows(3) {
                if pair[0] == "cachix"
                    && ["push", "watch-exec", "watch-store"].contains(&pair[1].as_str())
                {
                    find(line, &pair[2]);
                }
            }
            let target = words.iter().skip_while(|word| *word != "--to").nth(1);
            if let Some(host) = target.and_then(|url| url.strip_prefix("https://")) {
                find(line, host.split('.').next().unwrap_or_default());
            }
        }
    }
    found
}

pub(super) fn persisted_credentials(workflow: &Workflow) -> Vec<Found> {
    let checkouts = workflow.steps().filter(|(_, step)| step.is("actions/checkout"));
    let persisted = checkouts.filter(|(_, step)| step.input("persist-credentials") != "false");
    persisted.map(|(_, step)| (step.node.line, "keeps the job's token".to_owned())).collect()
}
