//! What a child writes down, line by line: before it begins something, and after that was acknowledged to it.
//!
//! A line is one `write` to a file, which the system keeps when the process is killed: so whatever was acknowledged and
//! written down is known, and what was begun and not acknowledged is known to be unknown.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use crate::soak::content::Subject;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The child has opened the module.
    Ready,
    /// A direct upload is begun: from [`Event::Opened`] on it can be completed.
    Beginning { subject: Subject },
    /// It was begun, under this id.
    Opened { name: String, id: String },
    /// Something is begun that makes the file, if it succeeds.
    Creating { subject: Subject },
    /// It has: the file has this id.
    Created { name: String, id: String },
    /// It has not. `is_known` unless it may have all the same.
    NotCreated { name: String, code: String, is_known: bool },
    /// A direct upload was cancelled or refused: it will never be a file.
    Ended { name: String },
    /// A delete is begun.
    Deleting { name: String },
    /// The file was deleted.
    Deleted { name: String },
    /// The erasure of a user is begun. Nothing of theirs is begun after it.
    Erasing { user: u64 },
    /// They were erased.
    Erased { user: u64 },
    /// Anything else is begun.
    Doing { what: String },
    /// It was done.
    Did { what: String },
    /// An operation ended with an error that says nothing about a file.
    Failed { what: String, code: String },
    /// An answer that contradicts what was acknowledged before.
    Wrong { fault: Fault, detail: String },
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// An acknowledged file is gone, or has other bytes.
    Lost,
    /// A row whose object is not there.
    Dangling,
    /// An object or a multipart upload that neither a row nor an intent names.
    Orphan,
    /// Two files where one was acknowledged.
    Duplicate,
    /// A file that was deleted, cancelled or rolled back.
    Resurrected,
    /// Anything else.
    Other,
}

impl Event {
    /// Whether it begins an operation.
    pub(crate) fn begins(&self) -> bool {
        matches!(
            self,
            Self::Beginning { .. }
                | Self::Creating { .. }
                | Self::Deleting { .. }
                | Self::Erasing { .. }
                | Self::Doing { .. }
        )
    }

    /// Whether it is the answer to an operation.
    pub(crate) fn answers(&self) -> bool {
        matches!(
            self,
            Self::Opened { .. }
                | Self::Created { .. }
                | Self::NotCreated { .. }
                | Self::Deleted { .. }
                | Self::Erased { .. }
                | Self::Did { .. }
                | Self::Failed { .. }
        )
    }
}

/// A child's journal.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<File>);

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes one line.
    pub(crate) fn write(&self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // What a panic left is a whole line or none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

/// The lines of a journal. The last one is left out when the kill cut it off: then its write never returned.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Event>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Killed before it could begin.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_was_never_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert!(read(&path).unwrap().is_empty());
        let journal = Journal::create(&path).unwrap();
        let events = [Event::Ready, Event::Erased { user: 3 }];
        for event in &events {
            journal.write(event).unwrap();
        }
        assert_eq!(read(&path).unwrap(), events);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(read(&path).unwrap(), events[..1]);
        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(read(&path).is_err());
    }
}
