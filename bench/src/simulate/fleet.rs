//! Rows of machines that build one graph together.

use anyhow::{Result, ensure};
use profile::simulate::Settings;
use profile::simulate::fleet::{Member, simulate};
use profile::simulate::graph::Graph;
use profile::simulate::machine::Machine;

use super::{Host, Row, Wish, guarded, row, sizes};

/// Each configuration on all machines.
pub(super) fn rows(graph: &Graph, hosts: &[Host], wish: &Wish) -> Result<Vec<Row>> {
    ensure!(!wish.is_sweep, "a fleet has no single jobs × cores to sweep over");
    let machines = hosts.iter().map(Host::machine).collect::<Result<Vec<Machine>>>()?;
    let together = name(hosts);
    let on_all = |name: &str, settings: Vec<Settings>| {
        let members = machines.iter().zip(settings);
        let members = members.map(|(machine, settings)| Member { machine: *machine, settings });
        let members: Vec<Member> = members.collect();
        let all = || members.iter().map(|member| member.settings);
        let jobs = all().fold(0, |sum: u32, settings| sum.saturating_add(settings.jobs));
        let cores = all().map(|settings| settings.cores).max().unwrap_or(0);
        row(&together, name, Settings::new(jobs, cores), simulate(graph, &members), None)
    };
    let mut rows = Vec::new();
    for name in wish.configurations {
        let settings = hosts.iter().map(|host| {
            let (jobs, cores) = sizes(name, host)?;
            Ok(Settings::new(jobs, cores))
        });
        rows.push(on_all(name, settings.collect::<Result<_>>()?));
    }
    if wish.is_guarded {
        let settings = hosts.iter().zip(&machines).map(|(host, machine)| guarded(host, machine));
        rows.push(on_all("guarded", settings.collect::<Result<_>>()?));
    }
    Ok(rows)
}

/// What people call all of them: `16 × 64/128, 8/16`.
fn name(hosts: &[Host]) -> String {
    let alike = hosts.chunk_by(|one, other| one.name == other.name);
    let each = alike.map(|alike| match alike {
        [host] => host.name.clone(),
        _ => format!("{} × {}", alike.len(), alike[0].name),
    });
    each.collect::<Vec<_>>().join(", ")
}
