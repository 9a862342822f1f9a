//! What holds at every instant, whatever has happened (`docs/lifecycle.md`).

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::sample::Sample;
use super::world::Look;

/// Each object is named by a row or by an intent, and not by both; each row's object is there, whole, and of the right
/// bytes. `planted` are objects that a test has put there without a name.
pub(crate) fn check(look: &Look, planted: &BTreeSet<String>) -> Result<(), Violation> {
    let intents: BTreeSet<&str> = look.intents.iter().map(|intent| intent.s3_key.as_str()).collect();
    let rows: BTreeSet<&str> = look.rows.iter().map(|row| row.key.as_str()).collect();
    let objects: BTreeMap<&str, _> = look.objects.iter().map(|object| (object.key.as_str(), object)).collect();
    if let Some(both) = rows.iter().find(|key| intents.contains(*key)) {
        return Err(Violation(format!("a row and an intent name {both}")));
    }
    for key in objects.keys().filter(|key| !planted.contains(**key)) {
        if !rows.contains(key) && !intents.contains(key) {
            return Err(Violation(format!("nothing names the object {key}")));
        }
    }
    for upload in &look.uploads {
        if !intents.contains(upload.key.as_str()) {
            return Err(Violation(format!("no intent names the multipart upload of {}", upload.key)));
        }
    }
    for row in &look.rows {
        if row.key.starts_with("staging/") {
            return Err(Violation(format!("a row has a key to which a client may write: {}", row.key)));
        }
        let Some(object) = objects.get(row.key.as_str()) else {
            return Err(Violation(format!("the object of {} is not there", row.id)));
        };
        let sample = Sample::with(row.sha256).filter(|sample| sample.is_good());
        let Some(sample) = sample else {
            return Err(Violation(format!("{} is nothing that may be stored", row.id)));
        };
        // The entity tag of storage in memory is the MD5 of the bytes that it has.
        let md5 = format!("{:032x}", u128::from_be_bytes(sample.content().md5));
        let size = i64::try_from(object.size_bytes).unwrap();
        if object.etag != md5 || size != row.size_bytes || object.size_bytes != sample.len() {
            return Err(Violation(format!("the object of {} has other bytes than were stored", row.id)));
        }
    }
    Ok(())
}

/// What holds besides when all deadlines have passed and a sweep finds nothing to do.
pub(crate) fn check_at_rest(look: &Look, planted: &BTreeSet<String>) -> Result<(), Violation> {
    check(look, planted)?;
    if let Some(intent) = look.intents.first() {
        return Err(Violation(format!("at rest, an intent is left: {intent:?}")));
    }
    if let Some(upload) = look.uploads.first() {
        return Err(Violation(format!("at rest, a multipart upload is left: {upload:?}")));
    }
    Ok(())
}
