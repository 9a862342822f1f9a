//! What is there against what has to be there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use object_store_public::{Finding, ObjectStoreModule, ObjectStoreProvider, VerifyOptions, VerifyReport};

use crate::soak::arena::Arena;
use crate::soak::content::{Kind, Subject, Way, hex, user_id};
use crate::soak::disk::{self, Stored};
use crate::soak::history::{Expected, History};
use crate::soak::journal::Fault;
use crate::soak::rows::{self, Row, Tables};
use crate::soak::worker::{digest, media_id};

/// What an audit found, and how much it looked at.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) faults: BTreeMap<Fault, Vec<String>>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Audit {
    pub(crate) fn add(&mut self, fault: Fault, detail: String) {
        self.faults.entry(fault).or_default().push(detail);
    }

    pub(crate) fn count(&self, fault: Fault) -> usize {
        self.faults.get(&fault).map_or(0, Vec::len)
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Sweeps until nothing is left to be swept, and compares everything. Nobody else works meanwhile.
pub(crate) async fn audit(arena: &Arena, history: &History) -> anyhow::Result<Audit> {
    let mut audit = Audit::default();
    let intents = arena.rest().await?;
    if intents > 0 {
        audit.add(Fault::Other, format!("{intents} intents are not swept"));
    }
    let tables = rows::read(&arena.module).await?;
    let stored = disk::stored(arena.directory())?;
    compare_names(&mut audit, &tables, &stored);
    compare_history(&mut audit, &tables, history);
    let objects: HashSet<&str> = stored.objects.iter().map(String::as_str).collect();
    // Rows without object are found already.
    let readable = tables.rows.iter().filter(|row| objects.contains(row.key.as_str()));
    read_files(&mut audit, &arena.module, readable, history).await?;
    compare_verify(&mut audit, &verify(&arena.module).await?);
    Ok(audit)
}

/// The module's own comparison, which takes nothing for too young to judge.
pub(crate) async fn verify(module: &ObjectStoreModule) -> anyhow::Result<VerifyReport> {
    Ok(module.verify(&VerifyOptions { grace: Duration::ZERO, ..VerifyOptions::default() }).await?)
}

/// Rows without object, and objects without row or intent.
fn compare_names(audit: &mut Audit, tables: &Tables, stored: &Stored) {
    let objects: HashSet<&str> = stored.objects.iter().map(String::as_str).collect();
    let intents: HashSet<&str> = tables.intents.iter().map(String::as_str).collect();
    let rows: HashSet<&str> = tables.rows.iter().map(|row| row.key.as_str()).collect();
    for row in tables.rows.iter().filter(|row| !objects.contains(row.key.as_str())) {
        audit.add(Fault::Dangling, format!("{}: no object {}", row.name, row.key));
    }
    for key in stored.objects.iter().filter(|key| !rows.contains(key.as_str()) && !intents.contains(key.as_str())) {
        audit.add(Fault::Orphan, format!("nothing names {key}"));
    }
    for key in stored.uploads.iter().filter(|key| !intents.contains(key.as_str())) {
        audit.add(Fault::Orphan, format!("nothing names the multipart upload of {key}"));
    }
}

/// Rows against what was acknowledged.
fn compare_history(audit: &mut Audit, tables: &Tables, history: &History) {
    let mut rows: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in &tables.rows {
        rows.entry(&row.name).or_default().push(row);
    }
    for (name, rows) in &rows {
        if rows.len() > 1 {
            audit.add(Fault::Duplicate, format!("{name}: {} rows", rows.len()));
        }
        if !history.standings().contains_key(*name) {
            audit.add(Fault::Resurrected, format!("{name}: a row that nobody asked for"));
        }
    }
    let siblings: HashSet<&str> = tables.siblings.iter().map(String::as_str).collect();
    for (name, standing) in history.standings() {
        let row = rows.get(name.as_str()).and_then(|rows| rows.first());
        match (standing.expected(), row) {
            (Expected::Present, None) => audit.add(Fault::Lost, format!("{name}: no row")),
            (Expected::Present, Some(row)) if standing.id.as_ref() != Some(&row.id) => {
                audit.add(Fault::Duplicate, format!("{name}: {} where {:?} was acknowledged", row.id, standing.id));
            }
            (Expected::Absent, Some(row)) => {
                audit.add(Fault::Resurrected, format!("{name}: {} is there and was given up or deleted", row.id));
            }
            _ => {}
        }
        if let Some(difference) = row.and_then(|row| difference(row, &standing.subject)) {
            audit.add(Fault::Lost, format!("{name}: {difference}"));
        }
        let is_staged = standing.subject.way == Way::Staged;
        if is_staged && row.is_some() != siblings.contains(name.as_str()) {
            audit.add(Fault::Lost, format!("{name}: the file and the row beside it are not one fact"));
        }
    }
    for name in siblings.iter().filter(|name| !history.standings().contains_key(**name)) {
        audit.add(Fault::Resurrected, format!("{name}: a sibling's row that nobody asked for"));
    }
}

/// What a row says otherwise than the upload.
fn difference(row: &Row, subject: &Subject) -> Option<&'static str> {
    let kind = match subject.kind {
        Kind::Image => "image",
        Kind::Audio => "audio",
    };
    let user = hex(user_id(subject.user).uuid().as_bytes());
    match () {
        () if row.kind != kind => Some("its row is in the other table"),
        () if row.user.as_ref() != Some(&user) => Some("its row has another owner"),
        () if u64::try_from(row.bytes) != Ok(subject.bytes) => Some("its row has another size"),
        () if row.sha256.as_ref() != Some(&subject.sha256) => Some("its row has another digest"),
        () => None,
    }
}

/// Reads all files through the module.
async fn read_files(
    audit: &mut Audit,
    module: &ObjectStoreModule,
    rows: impl Iterator<Item = &Row>,
    history: &History,
) -> anyhow::Result<()> {
    for row in rows {
        let Some(standing) = history.standings().get(&row.name) else { continue };
        let subject = &standing.subject;
        let read = match module.download(subject.actor(), media_id(subject, &row.id), None).await {
            Ok(download) => digest(download).await.map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(digest) if digest == subject.sha256 => {
                audit.files += 1;
                audit.bytes += subject.bytes;
            }
            Ok(digest) => audit.add(Fault::Lost, format!("{}: its bytes are {digest}", row.name)),
            Err(error) => audit.add(Fault::Lost, format!("{}: cannot be read: {error:#}", row.name)),
        }
    }
    Ok(())
}

/// The module has to find what the audit has found, and nothing else.
fn compare_verify(audit: &mut Audit, report: &VerifyReport) {
    // An object of this very second is young, by a clock that tells seconds.
    let orphans = report.orphans + report.young + report.stale_uploads;
    if report.missing != audit.count(Fault::Dangling) as u64 {
        audit.add(Fault::Other, format!("verify counts {} missing objects", report.missing));
    }
    if orphans != audit.count(Fault::Orphan) as u64 {
        audit.add(Fault::Other, format!("verify counts {orphans} orphans"));
    }
    for finding in &report.findings {
        if matches!(finding, Finding::SizeMismatch { .. } | Finding::DigestMismatch { .. }) {
            audit.add(Fault::Lost, format!("verify: {finding:?}"));
        }
    }
    if report.foreign > 0 {
        audit.add(Fault::Orphan, format!("{} keys that nobody makes: {:?}", report.foreign, report.foreign_keys));
    }
}
