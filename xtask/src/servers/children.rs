use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a process has to end by itself.
const ENDING_TIME: Duration = Duration::from_secs(5);

/// How much of what a process has said is shown when it ends too early, from the end.
const SHOWN_BYTES: usize = 2_000;

/// Processes that end when this is dropped, the last first.
#[derive(Debug, Default)]
pub(crate) struct Children(Vec<Running>);

#[derive(Debug)]
struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Children {
    /// Starts one; what it says goes to a file of that directory.
    pub(crate) fn spawn(&mut self, name: &str, command: &mut Command, directory: &Path) -> anyhow::Result<()> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        self.0.push(Running { name: name.to_owned(), child, log });
        Ok(())
    }

    /// # Errors
    /// What the first that has ended has said.
    pub(crate) fn are_alive(&mut self) -> anyhow::Result<()> {
        for running in &mut self.0 {
            if let Some(status) = running.child.try_wait()? {
                let said = std::fs::read(&running.log).unwrap_or_default();
                let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SHOWN_BYTES)..]).into_owned();
                bail!("{} has ended ({status}): {}", running.name, said.trim());
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for running in self.0.iter_mut().rev() {
            // Politely at first, so that its own children end as well.
            let _asked = Command::new("kill").arg(running.child.id().to_string()).status();
            let deadline = Instant::now() + ENDING_TIME;
            while Instant::now() < deadline && matches!(running.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _killed = running.child.kill();
            let _reaped = running.child.wait();
        }
    }
}
