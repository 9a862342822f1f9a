//! Processes side by side: some upload, some sweep, and a verify finds nothing wrong, neither meanwhile nor afterwards.

use std::time::{Duration, Instant};

use crate::soak::arena::Arena;
use crate::soak::audit::{Audit, audit, verify};
use crate::soak::child::Role;
use crate::soak::history::History;
use crate::soak::journal::{self, Fault};

/// How many processes sweep.
pub(crate) const SWEEPERS: u64 = 2;

/// How many upload, read and delete.
pub(crate) const UPLOADERS: u64 = 4;

/// What happened.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) history: History,
    /// How often everything was compared while the others worked.
    pub(crate) verifies: u64,
    pub(crate) audit: Audit,
}

/// Lets them work for a while, and audits what they leave.
pub(crate) async fn crowd(arena: &Arena, time: Duration, seed: u64) -> anyhow::Result<Outcome> {
    let mut children = Vec::new();
    for run in 1..=SWEEPERS + UPLOADERS {
        let role = if run <= SWEEPERS { Role::Sweep } else { Role::Upload };
        let mut child = arena.spawn_writing(role, run, seed)?;
        arena.wait_until_ready(&mut child, run).await?;
        children.push(child);
    }
    let mut meanwhile = Audit::default();
    let mut verifies = 0;
    let began = Instant::now();
    while verifies == 0 || began.elapsed() < time {
        let report = verify(&arena.module).await?;
        verifies += 1;
        if !report.is_clean() {
            meanwhile.add(Fault::Other, format!("a verify among the others found {:?}", report.findings));
        }
        for child in &mut children {
            child.is_alive()?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for child in children {
        let status = tokio::task::spawn_blocking(move || child.stop()).await??;
        if !status.success() {
            meanwhile.add(Fault::Other, format!("a child ended with {status}"));
        }
    }
    let mut history = History::default();
    for run in 1..=SWEEPERS + UPLOADERS {
        history.add_run(&journal::read(&arena.journal(run))?);
    }
    let mut audit = audit(arena, &history).await?;
    for (fault, detail) in &history.wrong {
        audit.add(*fault, format!("a child saw: {detail}"));
    }
    for (fault, details) in meanwhile.faults {
        for detail in details {
            audit.add(fault, detail);
        }
    }
    Ok(Outcome { history, verifies, audit })
}
