use object_store_models::{MediaId, Sha256, Timestamp, UserId};
use serde::{Serialize, Serializer};

/// How many findings a report lists; it counts all.
const MAX_FINDINGS: usize = 1_000;

/// How many foreign keys a report lists.
const MAX_FOREIGN: usize = 10;

/// What a verify has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Objects that storage listed.
    pub objects: u64,
    /// Rows that were compared with them.
    pub rows: u64,
    /// Intents that were compared with them.
    pub intents: u64,
    /// Rows whose object is not there. Nothing is done about them: look for a backup.
    pub missing: u64,
    /// Rows whose object has another size.
    pub size_mismatches: u64,
    /// Objects that neither a row nor an intent names.
    pub orphans: u64,
    /// Of these, the ones that an earlier verify has seen as well: what a repair hands to the sweep.
    pub confirmed_orphans: u64,
    /// Multipart uploads that no intent names.
    pub stale_uploads: u64,
    /// Objects whose bytes are not those that were uploaded, by their SHA-256.
    pub digest_mismatches: u64,
    /// Objects that could not be read, though storage has them.
    pub unreadable: u64,
    /// Users whose counters do not say how many bytes they have. Only where somebody counts.
    pub usage_mismatches: u64,
    /// Objects that nothing names and that are too young to judge. Not a finding.
    pub young: u64,
    /// Objects whose keys this module does not make. Never touched, and not a finding.
    pub foreign: u64,
    /// Objects whose bytes were read.
    pub rehashed: u64,
    /// Bytes that were read of them.
    pub rehashed_bytes: u64,
    /// Rows that had no digest and have one now.
    pub digests_noted: u64,
    /// Orphans and multipart uploads that were handed to the sweep.
    pub repaired: u64,
    /// The last key up to which everything was compared; `None` when none was, or all.
    pub compared_until: Option<String>,
    /// Users who were counted anew, and whose counters are right now.
    pub recounted: u64,
    /// The findings, up to a thousand of them.
    pub findings: Vec<Finding>,
    /// Up to ten of the foreign keys.
    pub foreign_keys: Vec<String>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// A row whose object is not there: storage was asked for it twice.
    Missing {
        /// The media.
        #[serde(serialize_with = "as_text")]
        id: MediaId,
        /// Where its object should be.
        key: String,
    },
    /// A row whose object has another size.
    SizeMismatch {
        /// The media.
        #[serde(serialize_with = "as_text")]
        id: MediaId,
        /// Where its object is.
        key: String,
        /// What the row says.
        row_bytes: u64,
        /// What storage says.
        object_bytes: u64,
    },
    /// An object that neither a row nor an intent names.
    Orphan {
        /// Where it is.
        key: String,
        /// Its size.
        size_bytes: u64,
        /// When a verify first saw it so.
        first_seen_at: Timestamp,
        /// Whether that was an earlier verify.
        confirmed: bool,
    },
    /// A multipart upload that no intent names.
    StaleUpload {
        /// The key that it would create.
        key: String,
        /// The storage's name for it.
        upload_id: String,
    },
    /// An object whose bytes are not those that were uploaded.
    DigestMismatch {
        /// The media.
        #[serde(serialize_with = "as_text")]
        id: MediaId,
        /// Where its object is.
        key: String,
        /// What was uploaded.
        row_sha256: Sha256,
        /// What is there.
        object_sha256: Sha256,
    },
    /// An object that storage has and does not give.
    Unreadable {
        /// The media.
        #[serde(serialize_with = "as_text")]
        id: MediaId,
        /// Where its object is.
        key: String,
        /// The code of the error.
        code: &'static str,
    },
    /// A counter of what a user has that is wrong: files came or went while nobody counted.
    UsageMismatch {
        /// Whose it is.
        user_id: UserId,
        /// What the counter says of finished media, in bytes.
        counted_used: i64,
        /// What the counter says of uploads under way, in bytes.
        counted_reserved: i64,
        /// What the finished media have.
        used: i64,
        /// What uploads under way hold.
        reserved: i64,
    },
}

impl VerifyReport {
    /// Whether there is no finding.
    pub fn is_clean(&self) -> bool {
        self.found() == 0
    }

    /// How many findings there are, listed or not.
    pub fn found(&self) -> u64 {
        self.missing
            + self.size_mismatches
            + self.orphans
            + self.stale_uploads
            + self.digest_mismatches
            + self.unreadable
            + self.usage_mismatches
    }

    pub(super) fn add(&mut self, finding: Finding) {
        *match &finding {
            Finding::Missing { .. } => &mut self.missing,
            Finding::SizeMismatch { .. } => &mut self.size_mismatches,
            Finding::Orphan { confirmed, .. } => {
                self.confirmed_orphans += u64::from(*confirmed);
                &mut self.orphans
            }
            Finding::StaleUpload { .. } => &mut self.stale_uploads,
            Finding::DigestMismatch { .. } => &mut self.digest_mismatches,
            Finding::Unreadable { .. } => &mut self.unreadable,
            Finding::UsageMismatch { .. } => &mut self.usage_mismatches,
        } += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    pub(super) fn add_foreign(&mut self, key: &str) {
        self.foreign += 1;
        if self.foreign_keys.len() < MAX_FOREIGN {
            self.foreign_keys.push(key.to_owned());
        }
    }
}

pub(crate) fn as_text<S: Serializer>(id: &MediaId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
