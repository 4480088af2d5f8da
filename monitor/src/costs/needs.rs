//! Which package must be built before which.
//!
//! A derivation refers to those of its inputs. Between two packages that were
//! built here there may be some that were not; so what counts is what can be
//! reached through these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Result;
use detect::database;
use rusqlite::Connection;

/// Steps from derivation to derivation: more than a large store needs.
const MOST_STEPS: usize = 50_000_000;

/// Derivations by their ids, with those they refer to.
type Inputs = HashMap<i64, Vec<i64>>;

/// What each package needs, of those that have a derivation here.
pub(super) fn needs(
    database: &Path,
    drvs: &BTreeMap<&str, &str>,
) -> Result<BTreeMap<String, Vec<String>>> {
    if drvs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (ids, inputs) = database::read(database, |connection| {
        let ids = ids(connection, drvs)?;
        Ok((ids, inputs(connection)?))
    })?;
    let names: HashMap<i64, &str> = ids.iter().map(|(&name, &id)| (id, name)).collect();
    let mut steps = 0;
    let found = ids.iter().map(|(&name, &id)| (name, reach(id, &names, &inputs, &mut steps)));
    let edges: BTreeMap<&str, BTreeSet<&str>> = found.collect();
    Ok(without_cycles(&edges))
}

fn ids<'a>(
    connection: &Connection,
    drvs: &BTreeMap<&'a str, &str>,
) -> rusqlite::Result<BTreeMap<&'a str, i64>> {
    let mut query = connection.prepare("select id from ValidPaths where path = ?1")?;
    let mut ids = BTreeMap::new();
    for (&name, drv) in drvs {
        let mut rows = query.query([drv])?;
        if let Some(row) = rows.next()? {
            ids.insert(name, row.get(0)?);
        }
    }
    Ok(ids)
}

fn inputs(connection: &Connection) -> rusqlite::Result<Inputs> {
    let mut query = connection.prepare(
        "with drvs as materialized (select id from ValidPaths where substr(path, -4) = '.drv') \
         select referrer, reference from Refs \
         where referrer in drvs and reference in drvs and referrer <> reference",
    )?;
    let mut rows = query.query([])?;
    let mut inputs = Inputs::new();
    while let Some(row) = rows.next()? {
        inputs.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(inputs)
}

/// The packages that can be reached through derivations of none.
fn reach<'a>(
    from: i64,
    names: &HashMap<i64, &'a str>,
    inputs: &Inputs,
    steps: &mut usize,
) -> BTreeSet<&'a str> {
    let of = |id: i64| inputs.get(&id).map_or(&[][..], Vec::as_slice);
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut next: Vec<i64> = of(from).to_vec();
    while let Some(id) = next.pop() {
        if *steps >= MOST_STEPS || !seen.insert(id) {
            continue;
        }
        *steps += 1;
        match names.get(&id) {
            Some(name) => {
                found.insert(*name);
            }
            None => next.extend(of(id)),
        }
    }
    found
}

/// The same without what would have a package wait for itself: derivations have
/// no cycles, but a compiler is built by one of the same name.
pub(super) fn without_cycles(
    edges: &BTreeMap<&str, BTreeSet<&str>>,
) -> BTreeMap<String, Vec<String>> {
    // Packages that are done, and those on the way to the one looked at.
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for &start in edges.keys() {
        if done.contains(start) {
            continue;
        }
        let needs = |name| edges.get(name).into_iter().flatten().copied();
        let mut open: BTreeSet<&str> = BTreeSet::from([start]);
        let mut way = vec![(start, needs(start))];
        while let Some((name, rest)) = way.last_mut() {
            let name = *name;
            match rest.next() {
                None => {
                    open.remove(name);
                    done.insert(name);
                    way.pop();
                }
                Some(need) if open.contains(need) => {}
                Some(need) => {
                    kept.entry(name.to_owned()).or_default().push(need.to_owned());
                    if !done.contains(need) {
                        open.insert(need);
                        way.push((need, needs(need)));
                    }
                }
            }
        }
    }
    kept
}
