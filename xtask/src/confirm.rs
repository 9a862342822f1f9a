//! Asking before data are deleted.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};

/// Asks at the terminal whether to go on.
///
/// # Errors
/// When there is no terminal to ask at.
pub(crate) fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("this deletes data: without a terminal to ask at, say --yes");
    }
    eprint!("{question} Type yes to go on: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("the answer could not be read")?;
    Ok(answer.trim() == "yes")
}
