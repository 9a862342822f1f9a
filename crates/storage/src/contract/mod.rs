//! The rules that every implementation of [`ObjectStorage`] is held to.
//!
//! [`run_all`] runs them one after the other and says of each whether it held, was broken, or was skipped because the
//! server is known not to have what it is about ([`Capabilities`]). Every rule works on keys of its own below
//! `contract/` and removes what it has left, so that the rules can run on a bucket that is in use.

mod client;
mod harness;
mod rules;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::port::ObjectStorage;

pub use crate::capabilities::{Capabilities, Capability};

pub use client::{Response, SignedRequestClient, TransportError, form_body};
pub use harness::{Harness, Violation};
pub use rules::rules;

/// No rule takes longer on a working server, even a slow one.
const RULE_TIME: Duration = Duration::from_mins(3);

/// Something that a rule asks of its storage.
pub type RuleResult = Result<(), Violation>;

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// A sentence with underscores, such as `a_wrong_md5_stores_nothing`.
    pub name: &'static str,
    /// What the server must be able to do for the rule to make sense.
    pub needs: Option<Capability>,
    run: for<'a> fn(&'a Harness<'a>) -> BoxFuture<'a, RuleResult>,
}

/// What came of one rule.
#[derive(Debug)]
pub struct RuleOutcome {
    /// The rule's name.
    pub name: &'static str,
    /// Whether it held.
    pub outcome: Outcome,
}

/// Whether a rule held.
#[derive(Debug)]
pub enum Outcome {
    /// It held.
    Held,
    /// It was not run: the server is known to lack this.
    Skipped {
        /// What the server lacks.
        lacks: Capability,
    },
    /// It was broken.
    Broken(Violation),
}

impl RuleOutcome {
    /// The violation, if the rule was broken.
    pub fn violation(&self) -> Option<&Violation> {
        match &self.outcome {
            Outcome::Broken(violation) => Some(violation),
            Outcome::Held | Outcome::Skipped { .. } => None,
        }
    }
}

impl fmt::Display for RuleOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Held => write!(f, "held     {}", self.name),
            Outcome::Skipped { lacks } => write!(f, "skipped  {} (the server lacks {lacks})", self.name),
            Outcome::Broken(violation) => write!(f, "BROKEN   {}: {violation:#}", self.name),
        }
    }
}

/// Runs every rule and says what came of each, in order. Needs a tokio runtime with time.
pub async fn run_all(
    storage: &dyn ObjectStorage,
    client: &dyn SignedRequestClient,
    capabilities: &Capabilities,
) -> Vec<RuleOutcome> {
    let mut outcomes = Vec::new();
    for rule in rules() {
        outcomes.push(rule.run(storage, client, capabilities).await);
    }
    outcomes
}

impl Rule {
    /// Runs this rule alone.
    pub async fn run(
        &self,
        storage: &dyn ObjectStorage,
        client: &dyn SignedRequestClient,
        capabilities: &Capabilities,
    ) -> RuleOutcome {
        let outcome = match self.needs.filter(|needed| !capabilities.has(*needed)) {
            Some(lacks) => Outcome::Skipped { lacks },
            None => match self.hold(storage, client).await {
                Ok(()) => Outcome::Held,
                Err(violation) => Outcome::Broken(violation),
            },
        };
        RuleOutcome { name: self.name, outcome }
    }

    async fn hold(&self, storage: &dyn ObjectStorage, client: &dyn SignedRequestClient) -> RuleResult {
        let harness = Harness::new(storage, client);
        let result = tokio::time::timeout(RULE_TIME, (self.run)(&harness)).await;
        let cleaned = harness.clean_up().await;
        result.unwrap_or_else(|_| Err(Violation::new(format!("the rule ends within {RULE_TIME:?}"))))?;
        cleaned
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}
