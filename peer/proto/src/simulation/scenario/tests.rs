//! Every scenario, small.

use super::*;
use crate::simulation::report::{Progress, Report, peers_csv, plot, progress_csv};

/// Of the same kind and small enough for a test.
fn small(scenario: &Scenario) -> Shape {
    Shape {
        leechers: scenario.shape.leechers.min(10),
        pieces: (64, 64 * KIB),
        up: Some(200_000),
        // The bound knows of no bursts.
        burst: 0,
        ..scenario.shape
    }
}

fn run(scenario: &Scenario, seed: u64) -> (Swarm, Progress) {
    let mut swarm = scenario.swarm(&small(scenario), seed).unwrap();
    let progress = Progress::run(&mut swarm, Duration::from_secs(600), Duration::from_secs(1));
    (swarm, progress)
}

#[test]
fn in_every_scenario_all_that_stay_complete_no_honest_peer_is_banned_and_nobody_beats_the_bound() {
    // Whether a seeder that goes early has sent everything is what strategies are judged by.
    for scenario in all().iter().filter(|scenario| scenario.name != "leave") {
        for seed in 0..3 {
            let report = Report::of(&run(scenario, seed).0);
            let end = report.end.unwrap_or_else(|| panic!("{} {seed}: {report:?}", scenario.name));
            // What poisoners send right counts for nobody's uplink.
            let is_bounded = scenario.name == "poison" || (end >= report.bound && report.upload_use <= 1.0);
            assert!(is_bounded, "{} {seed}: {report:?}", scenario.name);
            assert_eq!(report.honest_bans, 0, "{} {seed}", scenario.name);
        }
    }
}

#[test]
fn a_run_that_is_looked_at_is_the_same_run() {
    for scenario in all() {
        let (looked_at, progress) = run(&scenario, 1);
        let mut swarm = scenario.swarm(&small(&scenario), 1).unwrap();
        swarm.run(Duration::from_secs(600), |swarm| swarm.incomplete() == 0);
        assert_eq!(looked_at.digest(), swarm.digest(), "{}", scenario.name);
        assert!(progress.samples.len() > 2, "{}", scenario.name);
    }
}

#[test]
fn in_a_churn_as_many_come_as_go_and_those_that_go_are_gone() {
    let scenario = named("churn").unwrap();
    // Slow enough for several to go.
    let shape = Shape { up: Some(30_000), ..small(&scenario) };
    let mut swarm = scenario.swarm(&shape, 1).unwrap();
    Progress::run(&mut swarm, Duration::from_secs(3600), Duration::from_secs(1));
    let gone = swarm.nodes.iter().filter(|node| !node.alive).count();
    assert!(gone > 0 && swarm.nodes.len() == 1 + shape.leechers + gone, "{gone} of {}", swarm.nodes.len());
}

#[test]
fn free_riders_and_poisoners_are_no_uplinks_of_the_bound() {
    let seconds = |name: &str| crate::simulation::report::fluid_bound(&run(&named(name).unwrap(), 1).0);
    let size = f64::from(64 * 64 * KIB);
    let alone = size / 200_000.0;
    assert!((seconds("flash-100") - alone).abs() < 0.1);
    // Ten want it, the seed and seven of them give.
    assert!((seconds("free-riders") - 10.0 * size / 1_600_000.0).abs() < 0.1);
    assert!((seconds("poison") - alone).abs() < 0.1);
}

#[test]
fn the_tables_have_a_line_for_each_peer_and_look_and_the_plot_is_a_picture() {
    let (swarm, progress) = run(&named("stagger").unwrap(), 1);
    assert_eq!(peers_csv(&swarm).lines().count(), 1 + swarm.nodes.len());
    let csv = progress_csv(&progress);
    assert_eq!(csv.lines().count(), progress.samples.len());
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == 2 + swarm.nodes.len()), "{csv}");
    let svg = plot(&swarm, &progress, "1 < 2 & 3");
    assert!(
        svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.contains("1 &lt; 2 &amp; 3"),
        "{svg}"
    );
    assert_eq!(svg.matches("<polyline").count(), 8);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn bars_judge_by_the_median_or_by_the_worst() {
    let within = Bar::Within(1.3);
    assert_eq!(within.of_runs(&[Some(1.1), Some(1.2), Some(9.0)]), Some(1.2));
    assert_eq!(within.of_runs(&[Some(1.1), None, None]), None);
    assert!(within.is_met(1.3) && !within.is_met(1.31));
    assert_eq!(Bar::AllComplete.of_runs(&[Some(1.0), Some(1.0), Some(0.9)]), Some(0.9));
    assert!(!Bar::AllComplete.is_met(0.9));
    let fair = Bar::Fair(0.8);
    assert_eq!(fair.of_runs(&[Some(0.9), Some(0.7), None]), Some(0.7));
    assert!(fair.is_met(0.8) && !fair.is_met(0.7));
}

#[test]
fn three_seeds_of_each_scenario_that_fits_a_test_meet_their_bars() {
    // The others take minutes: `swarm table` runs them, and `docs/swarm.md` has what it printed.
    for name in ["stagger", "flash-100-coarse", "leave", "long-path", "poison"] {
        let scenario = named(name).unwrap();
        let mut shape = scenario.shape;
        shape.network.tick = 1000;
        let values: Vec<Option<f64>> = (1..=3)
            .map(|seed| {
                let mut swarm = scenario.swarm(&shape, seed).unwrap();
                let progress =
                    Progress::run(&mut swarm, Duration::from_secs(600), Duration::from_millis(250));
                scenario.bar.unwrap().measure(&swarm, &progress)
            })
            .collect();
        let reached = scenario.bar.unwrap().of_runs(&values);
        assert!(reached.is_some_and(|value| scenario.bar.unwrap().is_met(value)), "{name}: {values:?}");
    }
}
