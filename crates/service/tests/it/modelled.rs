//! The model-based test: see `model`.

use std::env;
use std::fmt::Debug;
use std::str::FromStr;

use crate::kept;
use crate::model::{Engine, Plan, explore};

/// How many sequences are run on SQLite; on PostgreSQL, where each takes much longer, so many fewer.
const SEQUENCES: u32 = 19_000;
const FEWER_ON_POSTGRES: u32 = 19;
const SEQUENCES_VARIABLE: &str = "OBJECT_STORE_MODEL_SEQUENCES";

/// The same number makes the same sequences; another one, others.
const SEED: u64 = 1;
const SEED_VARIABLE: &str = "OBJECT_STORE_MODEL_SEED";

#[test]
fn random_sequences_agree_with_the_model_on_sqlite() {
    agree(Engine::Sqlite, chosen(SEQUENCES_VARIABLE, SEQUENCES), 8);
}

#[test]
fn random_sequences_agree_with_the_model_on_postgres() {
    agree(Engine::Postgres, chosen(SEQUENCES_VARIABLE, SEQUENCES).div_ceil(FEWER_ON_POSTGRES), 6);
}

fn agree(engine: Engine, sequences: u32, workers: u32) {
    let seed = chosen(SEED_VARIABLE, SEED);
    let explored = explore(Plan { engine, sequences, seed, workers, is_shrinking: true }, &kept::sequences());
    println!("{engine:?}: {} sequences with the seed {seed}", explored.sequences);
    if let Some(counterexample) = explored.counterexample {
        panic!("{engine:?}, seed {seed}: {counterexample}");
    }
    assert!(explored.sequences >= sequences, "{explored:?}");
}

fn chosen<T: FromStr<Err: Debug>>(variable: &str, otherwise: T) -> T {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
