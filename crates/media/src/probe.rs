//! The whole job: type, policy, facts.

use std::io::{Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::declared::{declared_matches, is_undeclared};
use crate::detect::{Detected, UNKNOWN, detect};
use crate::error::{Fault, MediaError, PANICKED};
use crate::facts::{Facts, Probe};
use crate::format::Format;
use crate::policy::{Limits, Policy, Spent};
use crate::source::Source;
use crate::{archive, audio, image};

/// How far a markup prologue is followed to find out what it is the prologue of.
const MARKUP_HEAD: usize = 64 << 10;

/// Finds out what `source` holds, checks it against `policy` and reads its facts.
///
/// The type comes from content alone. Nothing is decoded; no more than the policy's budget is read. An error of the
/// source itself is always [`MediaError::Read`], so that an outage is never mistaken for a broken file.
pub fn probe<S: Read + Seek>(source: S, policy: &Policy) -> Result<Probe, MediaError> {
    probe_spending(source, policy).0
}

/// What [`probe`] answers, and what it spent, whether or not there are facts.
pub fn probe_spending<S: Read + Seek>(source: S, policy: &Policy) -> (Result<Probe, MediaError>, Spent) {
    let mut source = match Source::open(source, policy.limits.budget) {
        Ok(source) => source,
        Err(error) => return (Err(error), Spent::default()),
    };
    let answer = read(&mut source, policy);
    (answer, source.spent())
}

/// A panic, ours or a library's, would be a bug, but must not take down whoever asked: it refuses the file.
fn read<S: Read + Seek>(source: &mut Source<S>, policy: &Policy) -> Result<Probe, MediaError> {
    let format = catch_unwind(AssertUnwindSafe(|| admitted_type(source, policy)));
    let format = format.unwrap_or_else(|_| Err(MediaError::unsupported(UNKNOWN)))?;
    let facts = catch_unwind(AssertUnwindSafe(|| read_facts(source, format, &policy.limits)));
    let facts = facts.unwrap_or(Err(Fault::Corrupt(PANICKED))).map_err(|fault| fault.into_error(format))?;
    Ok(Probe { format, facts, bytes_read: source.spent().bytes })
}

/// Finds out what a file is of which only the beginning is at hand, and checks that against `policy`. 64 KiB tell nearly
/// always; behind an ID3 tag that is longer than `head`, the likeliest welcome format is assumed. What is refused here
/// would be refused by [`probe`]; what passes may still not be.
pub fn identify(head: &[u8], policy: &Policy) -> Result<Format, MediaError> {
    if audio::tag_reaches_end(head) {
        let welcome = TAGGED.into_iter().find(|format| admit(*format, policy).is_ok());
        return welcome.map_or_else(|| admit(Format::Mp3, policy).map(|()| Format::Mp3), Ok);
    }
    admitted_type(&mut Source::open(Cursor::new(head), policy.limits.budget)?, policy)
}

/// Formats that an ID3 tag may stand before, the likeliest first.
const TAGGED: [Format; 3] = [Format::Mp3, Format::Flac, Format::Adts];

fn admitted_type<S: Read + Seek>(source: &mut Source<S>, policy: &Policy) -> Result<Format, MediaError> {
    if source.len() == 0 {
        return Err(MediaError::Empty);
    }
    let format = match find_type(source)? {
        Detected::Format(format) => format,
        Detected::Refused(name) => return Err(MediaError::unsupported(name)),
    };
    admit(format, policy)?;
    Ok(format)
}

/// The type by the head; where that is not enough (a long tag or comment first), by what follows.
fn find_type<S: Read + Seek>(source: &mut Source<S>) -> Result<Detected, MediaError> {
    let detected = match detect(source.head()) {
        Detected::Format(Format::Mp3) => audio::behind_tags(source).map(Detected::Format),
        Detected::Refused("text/html" | "text/xml") => source.up_to(0, MARKUP_HEAD).map(|head| detect(&head)),
        Detected::Refused(UNKNOWN) => audio::behind_junk(source),
        settled => Ok(settled),
    };
    detected.map_err(|fault| fault.into_error(Format::Mp3))
}

fn admit(format: Format, policy: &Policy) -> Result<(), MediaError> {
    let detected = format.content_type();
    if !policy.accepted.contains(format) {
        return Err(MediaError::unsupported(detected));
    }
    if let Some(expected) = policy.expected.filter(|expected| *expected != format.kind()) {
        return Err(MediaError::KindMismatch { expected, detected });
    }
    match policy.declared.as_deref() {
        Some(declared) if !is_undeclared(declared) && !declared_matches(declared, format) => {
            Err(MediaError::TypeMismatch { declared: declared.to_owned(), detected })
        }
        _ => Ok(()),
    }
}

fn read_facts<S: Read + Seek>(source: &mut Source<S>, format: Format, limits: &Limits) -> Result<Facts, Fault> {
    let facts = match format.kind() {
        crate::Kind::Image => Facts::Image(image::facts(source, format, limits)?),
        crate::Kind::Audio => {
            let facts = audio::facts(source, format)?;
            limits.check_duration(facts.duration_ms)?;
            Facts::Audio(facts)
        }
    };
    archive::check_end(source)?;
    Ok(facts)
}
