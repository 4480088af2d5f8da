//! The store's graph: what refers to what, and what keeps what alive.
//!
//! Sizes are those of Nix's database (`narSize`): logical ones, of which a store
//! with hard links takes less on disk.
//!
//! **Invariant:** linear in paths and references, but for closures, of which a
//! fixed number of steps is spent and the rest is unknown.

use rusqlite::{Connection, Result, Row};
use serde_json::Value;

use crate::hardware::Nix;

/// Steps spent on closures: some seconds.
const MOST_STEPS: usize = 400_000_000;

/// What keeps more alive than references do (`deleteReferrersClosure` in gc.cc).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// `keep-derivations`: an output keeps the derivation it was built from.
    pub derivations: bool,
    /// `keep-outputs`: a derivation keeps its outputs.
    pub outputs: bool,
}

impl Default for Keep {
    /// What Nix does unless it is told otherwise.
    fn default() -> Self {
        Self { derivations: true, outputs: false }
    }
}

impl Keep {
    /// What this Nix is set to keep.
    pub fn set(nix: Option<&Nix>) -> Self {
        let set = |name: &str| nix.and_then(|nix| nix.settings.get(name)).and_then(Value::as_bool);
        let Self { derivations, outputs } = Self::default();
        Self {
            derivations: set("keep-derivations").unwrap_or(derivations),
            outputs: set("keep-outputs").unwrap_or(outputs),
        }
    }
}

/// A number of paths, and what they weigh together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// How many.
    pub paths: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Weight {
    fn add(&mut self, bytes: u64) {
        self.paths += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What is known of a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rooted {
    /// All that it needs, as `nix path-info -S` says; `None` when there was too
    /// much to follow.
    pub closure: Option<Weight>,
    /// What nothing else keeps: what goes with it.
    pub only: Weight,
}

/// What roots keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    /// One for each root, in the order they were given.
    pub roots: Vec<Rooted>,
    /// What any root keeps.
    pub live: Weight,
    /// What none does.
    pub dead: Weight,
}

/// All valid paths of a store by number, from 0.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The database's own number of each, in order.
    ids: Vec<i64>,
    sizes: Vec<u64>,
    /// What each refers to.
    references: Edges,
    /// What each keeps besides.
    kept: Edges,
}

/// Where each path's edges start in one list of all, by which it is read.
#[derive(Clone, Debug, Default)]
struct Edges {
    starts: Vec<usize>,
    targets: Vec<u32>,
}

impl Edges {
    fn new(paths: usize, edges: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; paths + 1];
        for (from, _) in edges {
            starts[*from as usize + 1] += 1;
        }
        for at in 0..paths {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; edges.len()];
        for (from, to) in edges {
            let place = &mut next[*from as usize];
            targets[*place] = *to;
            *place += 1;
        }
        Self { starts, targets }
    }

    fn of(&self, path: u32) -> &[u32] {
        let at = path as usize;
        &self.targets[self.starts[at]..self.starts[at + 1]]
    }
}

/// Who keeps a path, as far as it was followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    None,
    /// One root, by its place among them.
    One(u32),
    Several,
}

impl Graph {
    /// Read the graph from a store's database.
    pub fn read(connection: &Connection, keep: Keep) -> Result<Self> {
        let (mut ids, mut sizes) = (Vec::new(), Vec::new());
        let mut statement = connection
            .prepare("select id, narSize from ValidPaths order by id limit 0xffffffff")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            ids.push(row.get(0)?);
            let size: Option<i64> = row.get(1)?;
            sizes.push(u64::try_from(size.unwrap_or_default()).unwrap_or_default());
        }
        let references = edges(
            connection,
            &ids,
            "select referrer, reference from Refs where referrer != reference",
        )?;
        let mut kept = Vec::new();
        if keep.derivations {
            // An output may have several; the one that it names keeps it.
            // From the few derivations that are there, in this order: most paths name one
            // that is not.
            let outputs = "select p.id, d.id from DerivationOutputs o \
                           cross join ValidPaths p on p.path = o.path \
                           cross join ValidPaths d on d.id = o.drv where p.deriver = d.path";
            kept.extend(edges(connection, &ids, outputs)?);
        }
        if keep.outputs {
            let outputs = "select o.drv, p.id from DerivationOutputs o join ValidPaths p \
                           on p.path = o.path";
            kept.extend(edges(connection, &ids, outputs)?);
        }
        let [references, kept] = [references, kept].map(|edges| Edges::new(ids.len(), &edges));
        Ok(Self { ids, sizes, references, kept })
    }

    /// The numbers of store paths, of those that are valid.
    pub fn find(&self, connection: &Connection, path: &str) -> Result<Option<u32>> {
        let mut statement =
            connection.prepare_cached("select id from ValidPaths where path = ?1")?;
        let mut rows = statement.query([path])?;
        let id: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(id.and_then(|id| index(&self.ids, id)))
    }

    /// All paths together.
    pub fn whole(&self) -> Weight {
        let mut whole = Weight::default();
        self.sizes.iter().for_each(|size| whole.add(*size));
        whole
    }

    /// Weigh what roots keep, each given once.
    pub fn weigh(&self, roots: &[u32]) -> Weighed {
        let mut weighed =
            Weighed { roots: vec![Rooted::default(); roots.len()], ..Weighed::default() };
        for (keeper, size) in self.keepers(roots).into_iter().zip(&self.sizes) {
            match keeper {
                Keeper::None => weighed.dead.add(*size),
                Keeper::One(root) => {
                    weighed.live.add(*size);
                    weighed.roots[root as usize].only.add(*size);
                }
                Keeper::Several => weighed.live.add(*size),
            }
        }
        // Of the heaviest first, as long as it lasts.
        let mut order: Vec<usize> = (0..roots.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(weighed.roots[*at].only.bytes));
        let mut steps = MOST_STEPS;
        // Which root has come by last.
        let mut seen = vec![usize::MAX; self.sizes.len()];
        for at in order {
            weighed.roots[at].closure = self.closure(roots[at], at, &mut seen, &mut steps);
        }
        weighed
    }

    /// What roots keep, and what none of them does.
    pub fn divide(&self, roots: &[u32]) -> (Weight, Weight) {
        let (mut live, mut dead) = (Weight::default(), Weight::default());
        for (keeper, size) in self.keepers(roots).into_iter().zip(&self.sizes) {
            let part = if keeper == Keeper::None { &mut dead } else { &mut live };
            part.add(*size);
        }
        (live, dead)
    }

    /// Who keeps each path. Nobody's becomes one's, and one's several's, and
    /// never back: each is passed on at most twice.
    fn keepers(&self, roots: &[u32]) -> Vec<Keeper> {
        let mut keepers = vec![Keeper::None; self.sizes.len()];
        let mut todo: Vec<(u32, Keeper)> =
            (0..).map(Keeper::One).zip(roots).map(|(keeper, root)| (*root, keeper)).collect();
        while let Some((path, by)) = todo.pop() {
            let keeper = &mut keepers[path as usize];
            let new = match *keeper {
                Keeper::None => by,
                old if old == by => old,
                _ => Keeper::Several,
            };
            if *keeper == new {
                continue;
            }
            *keeper = new;
            let next = self.references.of(path).iter().chain(self.kept.of(path));
            todo.extend(next.map(|next| (*next, new)));
        }
        keepers
    }

    /// All that a path needs.
    fn closure(
        &self,
        path: u32,
        mark: usize,
        seen: &mut [usize],
        steps: &mut usize,
    ) -> Option<Weight> {
        let mut weight = Weight::default();
        let mut todo = vec![path];
        seen[path as usize] = mark;
        while let Some(path) = todo.pop() {
            weight.add(self.sizes[path as usize]);
            let next = self.references.of(path);
            *steps = steps.checked_sub(next.len() + 1)?;
            for next in next {
                let mark_there = &mut seen[*next as usize];
                if *mark_there != mark {
                    *mark_there = mark;
                    todo.push(*next);
                }
            }
        }
        Some(weight)
    }
}

/// Pairs of numbers of the database, as ours. A number that is none of a valid
/// path is damage, and left out.
fn edges(connection: &Connection, ids: &[i64], query: &str) -> Result<Vec<(u32, u32)>> {
    let mut statement = connection.prepare(query)?;
    let pair = |row: &Row| Ok((row.get(0)?, row.get(1)?));
    let mut edges = Vec::new();
    for pair in statement.query_map([], pair)? {
        let (from, to): (i64, i64) = pair?;
        edges.extend(index(ids, from).zip(index(ids, to)));
    }
    Ok(edges)
}

fn index(ids: &[i64], id: i64) -> Option<u32> {
    u32::try_from(ids.binary_search(&id).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Graph, Keep, Rooted, Weighed, Weight};

    /// Nix's tables, as far as they are read.
    const TABLES: &str = "
        create table ValidPaths (id integer primary key, path text unique, narSize, deriver);
        create table Refs (referrer, reference, primary key (referrer, reference));
        create table DerivationOutputs (drv, id text, path text, primary key (drv, id));";

    fn database(rows: &str) -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(&format!("{TABLES}{rows}")).expect("rows");
        connection
    }

    fn weight(paths: u64, bytes: u64) -> Weight {
        Weight { paths, bytes }
    }

    #[test]
    fn shared_paths_are_nobody_s_own() {
        // a → c, b → c, c → itself and d; e is dead, and so is what it needs.
        let connection = database(
            "insert into ValidPaths values (10,'a',1,null), (20,'b',2,null), (30,'c',4,null),
             (40,'d',8,null), (50,'e',16,null), (60,'f',null,null);
             insert into Refs values (10,30), (20,30), (30,30), (30,40), (50,60), (50,99), (98,40);",
        );
        let graph = Graph::read(&connection, Keep::default()).expect("a graph");
        let find = |path| graph.find(&connection, path).expect("an answer");
        let (a, b) = (find("a").expect("valid"), find("b").expect("valid"));
        assert_eq!((find("x"), graph.whole()), (None, weight(6, 31)));
        let rooted = |closure, only| Rooted { closure: Some(closure), only };
        let Weighed { roots, live, dead } = graph.weigh(&[a, b]);
        assert_eq!(
            roots,
            [rooted(weight(3, 13), weight(1, 1)), rooted(weight(3, 14), weight(1, 2))]
        );
        assert_eq!((live, dead), (weight(4, 15), weight(2, 16)));
        assert_eq!(graph.divide(&[b, a]), (live, dead));
        // A root below another is its own no more than the other's.
        let c = find("c").expect("valid");
        let below = graph.weigh(&[a, c]);
        assert_eq!(below.roots[1], rooted(weight(2, 12), weight(0, 0)));
        assert_eq!(graph.weigh(&[]).dead, graph.whole());
    }

    #[test]
    fn what_else_keeps_derivations_and_outputs() {
        // o was built by d; p has d for a second output, and names another.
        let connection = database(
            "insert into ValidPaths values (1,'d.drv',1,null), (2,'o',2,'d.drv'), (3,'p',4,'x.drv');
             insert into DerivationOutputs values (1,'out','o'), (1,'dev','p'), (1,'doc','gone');",
        );
        let live = |derivations, outputs, root: u32| {
            let graph = Graph::read(&connection, Keep { derivations, outputs }).expect("a graph");
            graph.weigh(&[root]).live.bytes
        };
        assert_eq!((live(false, false, 1), live(true, false, 1)), (2, 3));
        assert_eq!((live(true, false, 2), live(true, true, 1)), (4, 7));
        assert_eq!((live(false, true, 0), live(true, false, 0)), (7, 1));
    }
}
