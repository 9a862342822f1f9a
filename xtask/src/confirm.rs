//! Asking before data are deleted.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};

/// Asks at the terminal whether to go on.
///
/// # Errors
/// When there is no terminal to ask at.
pub(crate) fn confirmed(question: &str) -> anyhow::Result<bool> {
    ask("this deletes data", question)
}

/// The same, of a change to the bucket's settings.
///
/// # Errors
/// When there is no terminal to ask at.
pub(crate) fn confirmed_change(question: &str) -> anyhow::Result<bool> {
    ask("this changes the bucket's settings", question)
}

fn ask(what: &str, question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("{what}: without a terminal to ask at, say --yes");
    }
    eprint!("{question} Type yes to go on: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("the answer could not be read")?;
    Ok(answer.trim() == "yes")
}
