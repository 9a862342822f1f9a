//! The model-based test would notice if the protocol were wrong: with each mutant switched on, one of its sequences
//! fails. A binary of its own, since the switch is the whole process's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../it/kept.rs"]
mod kept;
#[path = "../it/model/mod.rs"]
mod model;

use std::time::Instant;

use model::{Engine, Plan, explore};
use object_store_repo::mutants as repo;
use object_store_service::mutants as service;

/// How many sequences a mutant may survive. Most do not survive a hundred.
const SEQUENCES: u32 = 6_000;

/// The same sequences for all.
const SEED: u64 = 7;

#[test]
fn every_mutant_is_found_and_nothing_is_without_one() {
    let kept = kept::sequences();
    for (engine, sequences) in [(Engine::Sqlite, 1_000), (Engine::Postgres, 20)] {
        let unharmed = explore(Plan { engine, ..plan(sequences) }, &kept);
        assert!(unharmed.counterexample.is_none(), "without a mutant: {}", unharmed.counterexample.unwrap());
    }

    let mut survivors = Vec::new();
    let of_repo = repo::Mutant::ALL.iter().map(|mutant| (format!("{mutant:?}"), Some(*mutant), None));
    let of_service = service::Mutant::ALL.iter().map(|mutant| (format!("{mutant:?}"), None, Some(*mutant)));
    let mutants: Vec<_> = of_repo.chain(of_service).collect();
    assert!(mutants.len() >= 20, "{}", mutants.len());
    for (name, of_repo, of_service) in mutants {
        let started = Instant::now();
        repo::switch(of_repo);
        service::switch(of_service);
        let explored = explore(plan(SEQUENCES), &kept);
        let millis = started.elapsed().as_millis();
        match explored.counterexample {
            Some(found) => {
                println!("{name}: found after {} sequences, {millis} ms: {}", explored.sequences, found.violation);
            }
            None => survivors.push(name),
        }
    }
    repo::switch(None);
    service::switch(None);
    assert!(survivors.is_empty(), "these mutants were not found in {SEQUENCES} sequences: {survivors:?}");
}

fn plan(sequences: u32) -> Plan {
    Plan { engine: Engine::Sqlite, sequences, seed: SEED, workers: 8, is_shrinking: false }
}
