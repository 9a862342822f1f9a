//! Children that do everything at once, and are killed.

use std::fs;
use std::time::{Duration, Instant};

use crate::progress;
use crate::soak::arena::Arena;
use crate::soak::audit::{Audit, audit};
use crate::soak::child::Role;
use crate::soak::history::History;
use crate::soak::journal;
use crate::soak::plant::{Plant, plant};
use crate::soak::random::Random;

/// After so many kills everything is compared.
const KILLS_BETWEEN_AUDITS: u64 = 25;

/// The longest life of a child, in milliseconds, once it works.
const LONGEST_LIFE: u64 = 2_000;

/// How long, and by which choices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) time: Duration,
    pub(crate) most_kills: u64,
    pub(crate) seed: u64,
    /// What is broken before the last audit.
    pub(crate) plant: Option<Plant>,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) history: History,
    pub(crate) kills: u64,
    pub(crate) audits: u64,
    pub(crate) audit: Audit,
}

/// Kills children until the time is over, and audits what they leave. Ends early where something is wrong.
pub(crate) async fn soak(arena: &Arena, plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { history: History::default(), kills: 0, audits: 0, audit: Audit::default() };
    let mut random = Random::new(plan.seed, u64::MAX);
    let began = Instant::now();
    let bar = progress::of_steps(format!("killing on {}", arena.database), plan.time.as_secs().try_into()?);
    while began.elapsed() < plan.time && outcome.kills < plan.most_kills {
        kill_one(arena, plan, &mut outcome, &mut random).await?;
        bar.set_position(began.elapsed().as_secs());
        if outcome.kills.is_multiple_of(KILLS_BETWEEN_AUDITS) && !outcome.look(arena).await? {
            return Ok(outcome);
        }
    }
    if let Some(kind) = plan.plant {
        plant(arena, &mut outcome.history, kind).await?;
    }
    outcome.look(arena).await?;
    bar.finish_and_clear();
    Ok(outcome)
}

async fn kill_one(arena: &Arena, plan: &Plan, outcome: &mut Outcome, random: &mut Random) -> anyhow::Result<()> {
    let run = outcome.kills + 1;
    let known = arena.directory().join(format!("known-{run}.json"));
    fs::write(&known, serde_json::to_vec(&outcome.history.known())?)?;
    let mut child = arena.spawn_writing(Role::Work, run, plan.seed)?;
    // Some are killed while they begin.
    if random.chance(95) {
        arena.wait_until_ready(&mut child, run).await?;
    }
    // More short lives than long ones.
    let life = random.below(LONGEST_LIFE) * random.below(LONGEST_LIFE) / LONGEST_LIFE;
    tokio::time::sleep(Duration::from_millis(5 + life)).await;
    child.kill()?;
    let journal = arena.journal(run);
    outcome.history.add_run(&journal::read(&journal)?);
    outcome.kills += 1;
    // What is in the history is not needed again.
    fs::remove_file(known)?;
    if outcome.history.wrong.is_empty() && journal.exists() {
        fs::remove_file(journal)?;
    }
    Ok(())
}

impl Outcome {
    /// Audits. Whether all is well.
    async fn look(&mut self, arena: &Arena) -> anyhow::Result<bool> {
        let mut audit = audit(arena, &self.history).await?;
        for (fault, detail) in &self.history.wrong {
            audit.add(*fault, format!("a child saw: {detail}"));
        }
        self.audits += 1;
        self.audit = audit;
        Ok(self.audit.is_clean())
    }
}
