//! The rules, each with why it is one and what to do.

use super::workflow::Workflow;
use super::{actions, jobs, scripts, steps};

/// What a check found: a line, and what is wrong there.
pub(super) type Found = (usize, String);

/// A rule.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// What it leads to.
    pub(super) why: &'static str,
    /// What to do.
    pub(super) fix: &'static str,
    pub(super) check: fn(&Workflow) -> Vec<Found>,
}

/// All of them.
pub(super) const RULES: [Rule; 17] = [
    Rule {
        name: "dead-action",
        why: "a job that uses it fails, or works on software nobody mends",
        fix: "use the version named, pinned by its commit",
        check: dead_actions,
    },
    Rule {
        name: "unpinned-action",
        why: "whoever moves the tag runs their code with this job's rights",
        fix: "write the commit, with the version as a comment: owner/name@<40 digits> # v1.2.3",
        check: unpinned_actions,
    },
    Rule {
        name: "store-in-actions-cache",
        why: "files of /nix/store cannot be restored over a store that is there, and its database \
              would not know them",
        fix: "use nix-community/cache-nix-action, which merges the database, or a binary cache",
        check: steps::store_in_cache,
    },
    Rule {
        name: "cache-too-late",
        why: "what is restored after the build helps no build",
        fix: "restore before the first command of Nix; it is saved when the job ends",
        check: steps::late_caches,
    },
    Rule {
        name: "key-without-runner",
        why: "a Mac restores what Linux built, or the other way round",
        fix: "put ${{ runner.os }}-${{ runner.arch }} into the key",
        check: steps::keys_without_runner,
    },
    Rule {
        name: "foreign-cache",
        why: "the cache is another project's: a push fails, and a token for it should not be here",
        fix: "push to a cache of your own, and leave the token out where you only read",
        check: steps::foreign_caches,
    },
    Rule {
        name: "secret-in-pull-request",
        why: "a fork's pull request has no secret, so the step fails there; and what it builds \
              must not be pushed",
        fix: "say if: github.event_name != 'pull_request', or leave the secret out",
        check: jobs::secrets,
    },
    Rule {
        name: "fork-code-with-rights",
        why: "anyone's pull request runs with this repository's secrets and a token that writes",
        fix: "use the trigger pull_request, or check out nothing of the fork",
        check: jobs::fork_code,
    },
    Rule {
        name: "persisted-credentials",
        why: "the token stays in .git, where every later step and build reads it",
        fix: "with: persist-credentials: false",
        check: steps::persisted_credentials,
    },
    Rule {
        name: "no-permissions",
        why: "the job's token may do whatever the repository's default allows",
        fix: "permissions: contents: read, and more only where a job needs it",
        check: jobs::permissions,
    },
    Rule {
        name: "no-timeout",
        why: "a build that hangs is paid for six hours",
        fix: "timeout-minutes: some times what it takes",
        check: jobs::timeouts,
    },
    Rule {
        name: "no-concurrency",
        why: "each push builds on beside the next one",
        fix: "concurrency: a group by ref, with cancel-in-progress",
        check: jobs::concurrency,
    },
    Rule {
        name: "unbounded-jobs",
        why: "max-jobs = auto counts every CPU of the host, whatever the quota; with all cores \
              each, they run out of memory",
        fix: "give numbers: detect | profile --workload ci | nix-conf-write --as github",
        check: scripts::unbounded_jobs,
    },
    Rule {
        name: "dangerous-setting",
        why: "it gives rights to, or drops a check on, what a pull request brings",
        fix: "leave it out",
        check: scripts::dangerous_settings,
    },
    Rule {
        name: "unknown-setting",
        why: "no Nix has such a setting",
        fix: "leave it out",
        check: scripts::unknown_settings,
    },
    Rule {
        name: "not-a-system",
        why: "a flake's host is a configuration, which cannot be built",
        fix: "build .#nixosConfigurations.HOST.config.system.build.toplevel, or \
              .#darwinConfigurations.HOST.system",
        check: scripts::no_systems,
    },
    Rule {
        name: "expression-in-script",
        why: "whoever writes the title, branch or input writes the script",
        fix: "hand it over in env, and quote it: \"$NAME\"",
        check: scripts::expressions,
    },
];

fn dead_actions(workflow: &Workflow) -> Vec<Found> {
    let uses = workflow.uses();
    let found = uses.iter().filter_map(|uses| {
        let action = actions::find(&uses.action)?;
        let is_dead = uses.version.is_some_and(|version| version < action.oldest);
        is_dead.then(|| (uses.line, format!("{}: {}; now {}", uses.text, action.why, action.now)))
    });
    found.collect()
}

fn unpinned_actions(workflow: &Workflow) -> Vec<Found> {
    let uses = workflow.uses();
    let unpinned = uses.iter().filter(|uses| !uses.is_pinned());
    unpinned.map(|uses| (uses.line, format!("{}: not a commit", uses.text))).collect()
}
