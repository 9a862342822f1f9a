//! A child of a soak: the same binary, which does what its role says until it is killed or its standard input ends.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use object_store_public::{ObjectStoreProvider, open};
use tokio::task::JoinSet;

use crate::output;
use crate::soak::arena;
use crate::soak::big;
use crate::soak::history::Known;
use crate::soak::journal::{Event, Fault, Journal};
use crate::soak::memory;
use crate::soak::random::Random;
use crate::soak::worker::{Duties, Worker};

/// How many things a child does at a time.
const TASKS: u64 = 6;

/// A child of `soak`, which starts it; nobody else should.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What it does.
    #[arg(value_enum)]
    role: Role,
    /// Where the embedded server's data lie.
    #[arg(long)]
    directory: PathBuf,
    /// The file to be made for what it does.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// The file that tells what was done before.
    #[arg(long)]
    known: Option<PathBuf>,
    /// What its choices are made of.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Its number.
    #[arg(long, default_value_t = 0)]
    run: u64,
    /// How many bytes a big file has.
    #[arg(long, default_value_t = 0)]
    bytes: u64,
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Everything at once.
    Work,
    /// Everything but sweeping and erasing.
    Upload,
    /// Sweeps.
    Sweep,
    /// Opens the module and tells its peak of memory.
    Idle,
    /// Uploads one big file of known length, and tells the same.
    Whole,
    /// Uploads one big stream of unknown length, and tells the same.
    Parts,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let module = open(arena::config_of_child(&args.directory)).await?;
    match args.role {
        Role::Work | Role::Upload | Role::Sweep => {
            let path = args.journal.as_ref().context("this role writes a journal")?;
            let journal = Journal::create(path).context("the journal cannot be made")?;
            let known: Known = match &args.known {
                Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
                None => Known::default(),
            };
            work(args, Worker::new(module, journal, known, args.run)).await
        }
        Role::Idle => {
            module.check().await?;
            output::line(memory::peak_kib()?.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        Role::Whole | Role::Parts => {
            stop_with_parent(|| std::process::exit(1));
            let file = big::put(&module, args.bytes, args.role == Role::Whole).await?;
            output::json(&big::Report { peak_kib: memory::peak_kib()?, file })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn work(args: &Args, worker: Worker) -> anyhow::Result<ExitCode> {
    let worker = Arc::new(worker);
    let stopped = Arc::clone(&worker);
    stop_with_parent(move || stopped.stop());
    worker.write(&Event::Ready);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (worker, role) = (Arc::clone(&worker), args.role);
        let random = Random::new(args.seed, (args.run << 8) | task);
        tasks.spawn(async move {
            match role {
                Role::Sweep => worker.sweep_on().await,
                Role::Work => worker.work(Duties::Everything, random).await,
                Role::Upload | Role::Idle | Role::Whole | Role::Parts => worker.work(Duties::Uploads, random).await,
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            worker.wrong(Fault::Other, format!("a task of a child stopped: {error}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Standard input is a pipe from the parent, which ends when the parent says so or dies.
fn stop_with_parent(stop: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        // However it ends, it has ended.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop();
    });
}
