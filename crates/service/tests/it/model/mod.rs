//! Random sequences of use cases, done to the service on a real database and to a small model, with crashes and failures
//! in between. After each step what is there is compared with the model and held against the invariants of
//! `docs/lifecycle.md`; at the end all deadlines pass, sweeps run, and nothing may be left over or lost.
//!
//! `docs/testing.md` says how to repeat a run and how to add an operation.

#![expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "all questions and all operations look alike")]
#![expect(clippy::match_same_arms, reason = "the arms are alike for different reasons")]

mod drive;
mod invariants;
mod run;
pub(crate) mod sample;
mod state;
pub(crate) mod step;
mod world;

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use tokio::runtime::{Builder, Runtime};

use step::{Step, sequences};

pub(crate) use world::Engine;
use world::World;

/// What must not be.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

pub(crate) type Checked = Result<(), Violation>;

/// Which sequences are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) engine: Engine,
    pub(crate) sequences: u32,
    /// The same number makes the same sequences.
    pub(crate) seed: u64,
    /// How many databases are in use at once.
    pub(crate) workers: u32,
    /// Whether a counterexample is made small, and its seed kept.
    pub(crate) is_shrinking: bool,
}

/// A sequence that the service does not do as it should.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) violation: String,
    pub(crate) steps: Vec<Step>,
}

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Explored {
    /// How many sequences were run to their end.
    pub(crate) sequences: u32,
    pub(crate) counterexample: Option<Counterexample>,
}

/// Runs the kept sequences, and then random ones, until one is done wrongly.
pub(crate) fn explore(plan: Plan, kept: &[Vec<Step>]) -> Explored {
    let runtime = runtime();
    if let Some(counterexample) = runtime.block_on(repeat(plan.engine, kept)) {
        return Explored { sequences: 0, counterexample: Some(counterexample) };
    }
    let (is_over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let explore = |worker| Worker { plan, runtime: &runtime, is_over: &is_over, done: &done }.explore(worker);
    let counterexample = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers).map(|worker| scope.spawn(move || explore(worker))).collect();
        workers.into_iter().find_map(|worker| worker.join().unwrap())
    });
    Explored { sequences: done.into_inner(), counterexample }
}

/// Runs sequences one after the other, as each leaves the database empty, until one is done wrongly.
async fn repeat(engine: Engine, kept: &[Vec<Step>]) -> Option<Counterexample> {
    if kept.is_empty() {
        return None;
    }
    let world = World::open(engine).await;
    for steps in kept {
        if let Err(Violation(violation)) = run::run(&world, steps).await {
            return Some(Counterexample { violation, steps: steps.clone() });
        }
    }
    None
}

/// SQLite's statements need one of more than one thread: a future that is dropped waits for its statement.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[derive(Clone, Copy)]
struct Worker<'a> {
    plan: Plan,
    runtime: &'a Runtime,
    /// Whether some worker has found a counterexample.
    is_over: &'a AtomicBool,
    done: &'a AtomicU32,
}

impl Worker<'_> {
    fn explore(self, number: u32) -> Option<Counterexample> {
        // What is dropped at the end may still need the runtime.
        let _entered = self.runtime.enter();
        let Plan { engine, sequences: all, workers, .. } = self.plan;
        let mut runner = self.runner(number, all / workers + u32::from(number < all % workers));
        // One database for all sequences, as long as each leaves it empty.
        let world = RefCell::new(None::<World>);
        let is_mine = AtomicBool::new(false);
        let result = runner.run(&sequences(), |steps| {
            if self.is_over.load(Ordering::Relaxed) && !is_mine.load(Ordering::Relaxed) {
                return Err(TestCaseError::reject("another worker has found something"));
            }
            // Taken out, so that one in which something panics is not used again.
            let used = world.take();
            let outcome = self.runtime.block_on(async {
                let used = match used {
                    Some(used) => used,
                    None => World::open(engine).await,
                };
                run::run(&used, &steps).await.map(|()| used)
            });
            match outcome {
                Ok(used) => {
                    world.replace(Some(used));
                    self.done.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                Err(Violation(text)) => {
                    self.is_over.store(true, Ordering::Relaxed);
                    is_mine.store(true, Ordering::Relaxed);
                    Err(TestCaseError::fail(text))
                }
            }
        });
        match result {
            Ok(()) => None,
            Err(TestError::Fail(reason, steps)) => Some(Counterexample { violation: reason.to_string(), steps }),
            // To make sequences takes long, too, so that none is made that will not be run.
            Err(TestError::Abort(_)) if self.is_over.load(Ordering::Relaxed) => None,
            Err(TestError::Abort(reason)) => panic!("no sequences: {reason}"),
        }
    }

    fn runner(&self, number: u32, cases: u32) -> TestRunner {
        let is_shrinking = self.plan.is_shrinking;
        let kept = Box::new(FileFailurePersistence::Direct("tests/it/model/regressions.txt"));
        let config = Config {
            cases,
            max_global_rejects: 0,
            max_shrink_iters: if is_shrinking { 400 } else { 0 },
            failure_persistence: is_shrinking.then_some(kept as _),
            ..Config::default()
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.plan.seed.to_be_bytes());
        seed[8..12].copy_from_slice(&number.to_be_bytes());
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }
}

/// The sequence as Rust, to be run alone or kept in `kept.rs`.
impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\nvec![", self.violation)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step:?},"))?;
        f.write_str("]")
    }
}
