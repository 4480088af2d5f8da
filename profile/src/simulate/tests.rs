//! Small graphs whose times can be worked out by hand.

use proptest::prelude::*;

use super::fleet::{self, Member};
use super::graph::{Derivation, Graph, Phase};
use super::guard::Guard;
use super::machine::{LOSS, Machine};
use super::{Outcome, Settings, search, simulate};

/// Four like CPUs and 8 GiB.
const FOUR: Machine =
    Machine { fast: 4, slow: 0, siblings: 0, memory_gib: 8.0, swap_gib: 0.0, loss: LOSS };

fn derivation(needs: &[u32], phase: [f64; 6]) -> Derivation {
    Derivation { name: "x".to_owned(), needs: needs.to_vec(), phases: vec![Phase::from(phase)] }
}

fn graph(derivations: &[Derivation]) -> Graph {
    Graph::new(derivations.to_vec()).expect("a graph")
}

#[track_caller]
fn takes(graph: &Graph, machine: &Machine, settings: Settings, seconds: f64) -> Outcome {
    let outcome = simulate(graph, machine, settings);
    let found = outcome.seconds.expect("built");
    assert!((found - seconds).abs() < 1e-9, "{found} s instead of {seconds} s");
    outcome
}

#[test]
fn work_is_shared_by_threads_and_ends_in_its_tail() {
    let one = graph(&[derivation(&[], [100.0, 1000.0, 0.5, 1.0, 10.0, 1.0])]);
    takes(&one, &FOUR, Settings::new(1, 1), 100.0);
    // 90 s among four, then 10 s alone.
    let outcome = takes(&one, &FOUR, Settings::new(1, 4), 32.5);
    assert!((outcome.peak_gib - 3.0).abs() < 1e-9, "{outcome:?}");
    let narrow = graph(&[derivation(&[], [100.0, 2.0, 0.0, 0.0, 0.0, 1.0])]);
    takes(&narrow, &FOUR, Settings::new(1, 4), 50.0);
}

#[test]
fn needs_come_first_and_jobs_bound_the_rest() {
    let phase = [10.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let chain = graph(&[derivation(&[1], phase), derivation(&[], phase)]);
    takes(&chain, &FOUR, Settings::new(4, 4), 20.0);
    let apart = graph(&[derivation(&[], phase), derivation(&[], phase), derivation(&[], phase)]);
    takes(&apart, &FOUR, Settings::new(3, 1), 10.0);
    takes(&apart, &FOUR, Settings::new(2, 1), 20.0);
}

#[test]
fn threads_share_cpus_and_lose_some() {
    // Eight threads on four CPUs: half the speed, less half of a tenth.
    let two = graph(&vec![derivation(&[], [40.0, 4.0, 0.0, 0.0, 0.0, 1.0]); 2]);
    takes(&two, &FOUR, Settings::new(2, 4), 20.0 / 0.95);
    // Builds that wait half of the time leave their CPUs to others.
    let waiting = graph(&vec![derivation(&[], [40.0, 4.0, 0.0, 0.0, 0.0, 0.5]); 2]);
    takes(&waiting, &FOUR, Settings::new(2, 4), 10.0);
}

#[test]
fn slow_cores_and_second_threads_count_for_less() {
    let wide = graph(&[derivation(&[], [100.0, 99.0, 0.0, 0.0, 0.0, 1.0])]);
    let smt = Machine { fast: 2, siblings: 2, ..FOUR };
    takes(&wide, &smt, Settings::new(1, 4), 100.0 / 2.44);
    let hybrid = Machine { fast: 1, slow: 2, siblings: 1, ..FOUR };
    takes(&wide, &hybrid, Settings::new(1, 3), 100.0 / 2.1);
}

#[test]
fn swap_slows_and_its_end_is_an_end() {
    let phase = [40.0, 4.0, 2.0, 4.0, 0.0, 1.0];
    let one = graph(&[derivation(&[], phase)]);
    // 12 GiB in 8: half as fast again.
    let swap = Machine { swap_gib: 4.0, ..FOUR };
    assert!(!takes(&one, &swap, Settings::new(1, 4), 15.0).out_of_memory);
    // Without swap it is found at once, and built with two cores.
    let outcome = takes(&one, &FOUR, Settings::new(1, 4), 20.0);
    assert!(outcome.out_of_memory);
    let never = graph(&[derivation(&[], [1.0, 1.0, 9.0, 0.0, 0.0, 1.0])]);
    assert_eq!(simulate(&never, &FOUR, Settings::new(1, 1)).seconds, None);
    assert_eq!(search::oracle(&never, &FOUR), None);
}

#[test]
fn a_gate_holds_back_what_would_not_fit() {
    let heavy = graph(&vec![derivation(&[], [10.0, 1.0, 5.0, 0.0, 0.0, 1.0]); 4]);
    let open = simulate(&heavy, &FOUR, Settings::new(4, 1));
    assert!(open.out_of_memory);
    let guard = Some(Guard { memory_gib: 8.0, doubt: 0.0 });
    let gated = Settings { guard, ..Settings::new(4, 1) };
    let outcome = takes(&heavy, &FOUR, gated, 40.0);
    assert!(!outcome.out_of_memory);
    // One that never fits the gate still runs by itself.
    let guard = Some(Guard { memory_gib: 1.0, doubt: 0.0 });
    takes(&heavy, &FOUR, Settings { guard, ..gated }, 40.0);
}

#[test]
fn expectations_err_both_ways_and_one_in_five_is_unknown() {
    let guard = Guard { memory_gib: 8.0, doubt: 0.3 };
    let expected: Vec<f64> = (0..1000).map(|number| guard.expected_gib(number, 2, 10.0)).collect();
    let unknown = expected.iter().filter(|&&gib| gib < 2.0).count();
    assert!((150..250).contains(&unknown), "{unknown}");
    let known = expected.iter().filter(|&&gib| gib > 2.0);
    let (less, more): (Vec<f64>, Vec<f64>) = known.partition(|&&gib| gib < 10.0);
    assert!(less.len().abs_diff(more.len()) < 150, "{} {}", less.len(), more.len());
    assert!(less.iter().chain(&more).all(|&gib| (10.0 / 1.3..=13.0).contains(&gib)));
    assert!((guard.expected_gib(7, 2, 10.0) - expected[7]).abs() < f64::EPSILON);
}

#[test]
fn a_fleet_shares_a_graph_by_speed_and_free_jobs() {
    let phase = [10.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let member = |machine, jobs| Member { machine, settings: Settings::new(jobs, 1) };
    let eight = Machine { fast: 8, ..FOUR };
    let on = |count: usize, members: &[Member]| {
        let graph = graph(&vec![derivation(&[], phase); count]);
        fleet::simulate(&graph, members).seconds.expect("built")
    };
    // Four and eight at once, of twelve.
    assert!((on(12, &[member(FOUR, 4), member(eight, 8)]) - 10.0).abs() < 1e-9);
    assert!((on(13, &[member(FOUR, 4), member(eight, 8)]) - 20.0).abs() < 1e-9);
    // One on the slow machine is as much as four on the fast one.
    let one = Machine { fast: 1, ..FOUR };
    assert!((on(4, &[member(one, 2), member(FOUR, 4)]) - 10.0).abs() < 1e-9);
    // A chain is no faster on two.
    let chain = graph(&[derivation(&[1], phase), derivation(&[], phase)]);
    let outcome = fleet::simulate(&chain, &[member(FOUR, 4), member(eight, 8)]);
    assert!((outcome.seconds.expect("built") - 20.0).abs() < 1e-9);
    assert_eq!(fleet::simulate(&chain, &[]).seconds, None, "nobody builds");
}

#[test]
fn memory_that_runs_out_on_one_is_found_on_another() {
    let heavy = graph(&[derivation(&[], [10.0, 1.0, 9.0, 0.0, 0.0, 1.0])]);
    let settings = Settings::new(1, 1);
    let small = Member { machine: FOUR, settings };
    let large = Member { machine: Machine { fast: 1, memory_gib: 16.0, ..FOUR }, settings };
    let outcome = fleet::simulate(&heavy, &[small, large]);
    assert!(outcome.out_of_memory && outcome.seconds == Some(10.0), "{outcome:?}");
    assert_eq!(fleet::simulate(&heavy, &[small]).seconds, None);
}

#[test]
fn an_empty_graph_is_built() {
    takes(&graph(&[]), &FOUR, Settings::new(1, 1), 0.0);
}

#[test]
fn what_is_no_graph_is_named() {
    let parse = |derivations: &str| {
        let text = format!(r#"{{"version":1,"name":"x","derivations":[{derivations}]}}"#);
        let error = Graph::parse(text.as_bytes()).expect_err(derivations);
        format!("{error:#}")
    };
    let fine = "[1,1,0,0,0,1]";
    for (bad, why) in [
        (r#"{"name":"a","needs":[0],"phases":[]}"#, "\"a\": needs itself"),
        (r#"{"name":"a","needs":[7],"phases":[]}"#, "\"a\": needs derivation 7, which is not"),
        (r#"{"name":"a","needs":[-1],"phases":[]}"#, "invalid value"),
        (r#"{"name":"a","needs":[],"phases":[[1,0,0,0,0,1]]}"#, "width of 0 is not between"),
        (r#"{"name":"a","needs":[],"phases":[[1,1,0,0,0,0]]}"#, "CPU share of 0 is not"),
        (r#"{"name":"a","needs":[],"phases":[[-1,1,0,0,0,1]]}"#, "work of -1 is not"),
        (r#"{"name":"a","needs":[],"phases":[[1e999,1,0,0,0,1]]}"#, "number out of range"),
        (r#"{"name":"a","needs":[],"phases":[[1,1,1,1,1]]}"#, "invalid length 5"),
        (r#"{"name":"a","needs":[],"phases":[],"x":1}"#, "unknown field `x`"),
    ] {
        let error = parse(bad);
        assert!(error.contains(why), "{error}");
    }
    let cycle = format!(
        r#"{{"name":"a","needs":[1],"phases":[{fine}]}},{{"name":"b","needs":[0],"phases":[]}}"#
    );
    assert!(parse(&cycle).starts_with("\"a\": needs itself"), "{}", parse(&cycle));
    let nan = derivation(&[], [f64::NAN, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert!(Graph::new(vec![nan]).is_err());
    let many = vec![derivation(&[], [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]); 200_001];
    assert!(Graph::new(many).is_err());
}

prop_compose! {
    /// A build that needs some of those before it.
    fn random_derivation()(
        needs in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        phases in prop::collection::vec(
            (0.0..500.0, 1.0..64.0, 0.0..3.0, 0.0..2.0, 0.0..60.0, 0.01..1.0f64), 0..4,
        ),
    ) -> (Vec<prop::sample::Index>, Vec<Phase>) {
        let phases = phases.into_iter().map(|(work, width, slot, base, tail, cpu): (f64, f64, f64, f64, f64, f64)| {
            Phase::from([work, width.floor(), slot, base, tail, cpu])
        });
        (needs, phases.collect())
    }
}

fn random_graph() -> impl Strategy<Value = Graph> {
    prop::collection::vec(random_derivation(), 0..30).prop_map(|random| {
        let derivations = random.into_iter().zip(0u32..).map(|((needs, phases), at)| {
            let before = |need: prop::sample::Index| {
                u32::try_from(need.index(at as usize)).expect("few derivations")
            };
            let needs = if at == 0 { vec![] } else { needs.into_iter().map(before).collect() };
            Derivation { name: at.to_string(), needs, phases }
        });
        Graph::new(derivations.collect()).expect("needs come before")
    })
}

proptest! {
    #[test]
    fn no_outcome_beats_the_bounds(graph in random_graph(), jobs in 1u32..20, cores in 1u32..20) {
        let ample = Machine { memory_gib: 1e4, ..FOUR };
        let outcome = simulate(&graph, &ample, Settings::new(jobs, cores));
        let seconds = outcome.seconds.expect("memory is ample");
        let phases = || graph.derivations().iter().flat_map(|derivation| &derivation.phases);
        let computing: f64 = phases().map(|phase| phase.work_seconds * phase.cpu_share).sum();
        let alone: f64 = phases().map(|phase| phase.work_seconds).sum();
        prop_assert!(seconds >= computing / 4.0 * (1.0 - 1e-9), "faster than all CPUs");
        // One thread is never slowed by more than all others together.
        prop_assert!(seconds <= alone.max(computing) / 0.9 * f64::from(jobs * cores).max(1.0) + 1e-6);
        prop_assert!(!outcome.out_of_memory);
        prop_assert_eq!(outcome, simulate(&graph, &ample, Settings::new(jobs, cores)));
    }

    #[test]
    fn a_fleet_of_one_is_that_machine(
        graph in random_graph(), jobs in 1u32..20, cores in 1u32..20, gib in 1.0..40.0f64,
        guard in prop::option::of((0.5..20.0f64, 0.0..0.5f64)),
    ) {
        let machine = Machine { memory_gib: gib, swap_gib: gib / 3.0, ..FOUR };
        let guard = guard.map(|(memory_gib, doubt)| Guard { memory_gib, doubt });
        let settings = Settings { guard, ..Settings::new(jobs, cores) };
        let alone = simulate(&graph, &machine, settings);
        let fleet = fleet::simulate(&graph, &[Member { machine, settings }]);
        prop_assert_eq!(alone.out_of_memory, fleet.out_of_memory);
        prop_assert!((alone.peak_gib - fleet.peak_gib).abs() < 1e-6);
        prop_assert_eq!(alone.seconds.is_some(), fleet.seconds.is_some());
        let (one, other) = (alone.seconds.unwrap_or(0.0), fleet.seconds.unwrap_or(0.0));
        prop_assert!((one - other).abs() <= one * 1e-9, "{} s instead of {} s", other, one);
    }

    #[test]
    fn the_best_is_no_worse_than_one_build_at_a_time(graph in random_graph()) {
        let Some(best) = search::oracle(&graph, &FOUR) else { return Ok(()) };
        let careful = simulate(&graph, &FOUR, Settings::new(1, 1));
        prop_assert!(!best.outcome.out_of_memory);
        prop_assert!(careful.out_of_memory || best.outcome.seconds <= careful.seconds);
        let again = simulate(&graph, &FOUR, best.settings);
        prop_assert_eq!(again, best.outcome);
    }
}
