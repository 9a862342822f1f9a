//! The model: what a caller may rely on, in the simplest words. It knows nothing of tables, keys or intents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use object_store_models::MediaId;

use super::Violation;
use super::sample::Sample;
use super::step::{How, Via, Who};
use super::world::{Look, Row};

/// How long an upload may wait for its commit (`Timings::upload_fence`).
const FENCE: Duration = Duration::from_mins(15);
/// How long a client may send, and how long a direct upload may be completed: that and a late write.
const SIGNATURE: Duration = Duration::from_hours(1);
const DIRECT: Duration = Duration::from_hours(3);
/// From when on an idempotency key may be forgotten, and until when it is.
const MAY_BE_FORGOTTEN: Duration = Duration::from_hours(24);
const IS_FORGOTTEN: Duration = Duration::from_hours(30);
/// How old an object without a name has to be before a verify speaks of it (`VerifyOptions::grace`).
const GRACE: Duration = Duration::from_hours(24);

/// The codes of bytes that are not acceptable.
const INVALID: [&str; 7] =
    ["empty", "too_large", "length_mismatch", "unsupported_type", "type_mismatch", "corrupt", "trailing_data"];

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) files: Vec<File>,
    pub(crate) staged: Vec<Staged>,
    pub(crate) directs: Vec<Direct>,
    pub(crate) keys: BTreeMap<(Who, u8), Remembered>,
    pub(crate) planted: BTreeMap<String, Planted>,
    /// Files that may exist, since nobody knows how the operation ended that was to make them.
    pub(crate) guesses: Vec<Guess>,
}

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) id: MediaId,
    pub(crate) who: Who,
    pub(crate) what: Sample,
    pub(crate) is_there: Answer,
}

/// What can be said of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// Not until somebody looks.
    Perhaps,
}

use Answer::{No, Perhaps, Yes};

/// A file that was staged, and can be committed.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) id: MediaId,
    pub(crate) who: Who,
    pub(crate) what: Sample,
    pub(crate) key: Option<u8>,
    pub(crate) age: Duration,
    pub(crate) is_open: Answer,
}

#[derive(Debug)]
pub(crate) struct Direct {
    pub(crate) id: MediaId,
    pub(crate) who: Who,
    pub(crate) what: Sample,
    pub(crate) via: Via,
    pub(crate) key: Option<u8>,
    pub(crate) age: Duration,
    pub(crate) is_open: Answer,
    /// What storage has taken. Two, if one of them was sent in the midst of something.
    pub(crate) sent: Vec<Sample>,
}

/// An idempotency key.
#[derive(Debug)]
pub(crate) struct Remembered {
    request: Request,
    holder: Holder,
    age: Duration,
    /// Whether it is known to be remembered at all.
    is_certain: bool,
}

/// What makes a request with a key the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Of bytes that are streamed, also whether their length was announced.
    Upload(Sample, Option<How>),
    /// What was declared: the type, and where it was said the size and the bytes themselves.
    Begin(&'static str, Via, Option<u64>, Option<Sample>),
}

/// What a key stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder {
    File(MediaId),
    Staged(MediaId),
    Direct(MediaId),
    /// For something that failed or was dropped.
    Unknown,
}

#[derive(Debug, Default)]
pub(crate) struct Planted {
    age: Duration,
    /// How many verifies have seen it when it was old enough.
    seen: u32,
    may_go: bool,
}

#[derive(Debug)]
pub(crate) struct Guess {
    /// Where it is known.
    pub(crate) id: Option<MediaId>,
    pub(crate) who: Who,
    pub(crate) whats: Vec<Sample>,
    pub(crate) key: Option<u8>,
}

/// The answers that are right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// Success, with a new id where there is one.
    pub(crate) success: bool,
    /// Success, with the id of something that is there already.
    pub(crate) same: Option<MediaId>,
    pub(crate) codes: BTreeSet<&'static str>,
}

impl Allowed {
    pub(crate) fn success() -> Self {
        Self { success: true, ..Self::default() }
    }

    pub(crate) fn same(id: MediaId) -> Self {
        Self { same: Some(id), ..Self::default() }
    }

    pub(crate) fn codes(codes: &[&'static str]) -> Self {
        Self { codes: codes.iter().copied().collect(), ..Self::default() }
    }

    pub(crate) fn or(mut self, other: Self) -> Self {
        self.success |= other.success;
        self.same = self.same.or(other.same);
        self.codes.extend(other.codes);
        self
    }
}

/// A decision that hangs on something unknown.
fn if_answer(answer: Answer, yes: Allowed, no: Allowed) -> Allowed {
    match answer {
        Yes => yes,
        No => no,
        Perhaps => yes.or(no),
    }
}

impl Model {
    pub(crate) fn upload(&self, who: Who, what: Sample, how: How, key: Option<u8>) -> Allowed {
        if how == How::Broken {
            return Allowed::codes(&["body_unreadable"]);
        }
        if !what.is_good() {
            return Allowed::codes(&INVALID);
        }
        self.claim(who, key, Request::upload(what, how), |file| {
            if_answer(file.is_there, Allowed::same(file.id), Allowed::codes(&["not_found"]))
        })
    }

    pub(crate) fn stage(&self, who: Who, what: Sample, key: Option<u8>) -> Allowed {
        if !what.is_good() {
            return Allowed::codes(&INVALID);
        }
        self.claim(who, key, Request::upload(what, How::Bytes), |file| Allowed::same(file.id))
    }

    pub(crate) fn begin(&self, who: Who, what: Sample, via: Via, key: Option<u8>) -> Allowed {
        self.claim(who, key, Request::begin(what, via), |file| Allowed::same(file.id))
    }

    fn claim(&self, who: Who, key: Option<u8>, request: Request, stored: impl Fn(&File) -> Allowed) -> Allowed {
        let Some(known) = key.and_then(|key| self.keys.get(&(who, key))) else { return Allowed::success() };
        let allowed = if known.request == request {
            match known.holder {
                Holder::File(id) => self.file(id).map(stored).unwrap_or_default(),
                Holder::Staged(id) => {
                    let is_open = self.staged_as(id).map_or(No, |staged| within(staged.is_open, staged.age, FENCE));
                    if_answer(is_open, Allowed::codes(&["in_progress"]), Allowed::success())
                }
                Holder::Direct(id) => {
                    let is_open = self.direct(id).map_or(No, |direct| within(direct.is_open, direct.age, DIRECT));
                    if_answer(is_open, Allowed::same(id), Allowed::success())
                }
                Holder::Unknown => Allowed::success().or(Allowed::codes(&["in_progress"])),
            }
        } else {
            Allowed::codes(&["idempotency_key_reused"])
        };
        if !known.is_certain {
            // Nobody knows whether it was remembered, nor for which of several requests.
            return allowed.or(Allowed::success()).or(Allowed::codes(&["idempotency_key_reused"]));
        }
        if known.age < MAY_BE_FORGOTTEN { allowed } else { allowed.or(Allowed::success()) }
    }

    pub(crate) fn commit(&self, staged: &Staged) -> Allowed {
        if_answer(staged.is_open, Allowed::success(), Allowed::codes(&["upload_expired"]))
    }

    pub(crate) fn complete(&self, direct: &Direct, by: Who) -> Allowed {
        if !may_read(by, direct.who) {
            return Allowed::codes(&["forbidden", "not_found"]);
        }
        let over = match self.file(direct.id) {
            Some(file) => {
                if_answer(file.is_there, Allowed::same(file.id), Allowed::codes(&["upload_expired", "not_found"]))
            }
            None => Allowed::codes(&["upload_expired", "not_found"]),
        };
        let open = match direct.sent.as_slice() {
            [] => Allowed::codes(&["upload_not_received"]),
            sent => sent.iter().fold(Allowed::default(), |allowed, sent| allowed.or(direct.verdict(*sent))),
        };
        if_answer(within(direct.is_open, direct.age, DIRECT), open, over)
    }

    pub(crate) fn cancel(&self, direct: &Direct, by: Who) -> Allowed {
        if !may_read(by, direct.who) {
            return Allowed::codes(&["forbidden", "not_found"]);
        }
        // Whether what is left of it is still known.
        let over = Allowed::success().or(Allowed::codes(&["not_found"]));
        let ended = match self.file(direct.id) {
            Some(file) => if_answer(file.is_there, Allowed::codes(&["upload_completed"]), over),
            None => over,
        };
        if_answer(within(direct.is_open, direct.age, DIRECT), Allowed::success(), ended)
    }

    pub(crate) fn delete(&self, file: &File, by: Who) -> Allowed {
        let may_delete = by == Who::System || (file.who != Who::Nobody && by == file.who);
        let there = if may_delete { Allowed::success() } else { Allowed::codes(&["forbidden"]) };
        if_answer(file.is_there, there, Allowed::codes(&["not_found"]))
    }

    pub(crate) fn read(&self, file: &File, by: Who) -> Allowed {
        let there = if may_read(by, file.who) { Allowed::success() } else { Allowed::codes(&["forbidden"]) };
        if_answer(file.is_there, there, Allowed::codes(&["not_found"]))
    }

    pub(crate) fn file(&self, id: MediaId) -> Option<&File> {
        self.files.iter().find(|file| file.id == id)
    }

    fn file_mut(&mut self, id: MediaId) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.id == id)
    }

    fn staged_as(&self, id: MediaId) -> Option<&Staged> {
        self.staged.iter().find(|staged| staged.id == id)
    }

    pub(crate) fn direct(&self, id: MediaId) -> Option<&Direct> {
        self.directs.iter().find(|direct| direct.id == id)
    }

    pub(crate) fn is_known(&self, id: MediaId) -> bool {
        self.file(id).is_some() || self.staged_as(id).is_some() || self.direct(id).is_some()
    }

    /// A request with a key got as far as to make the key stand for something else, or `perhaps`.
    pub(crate) fn claimed(&mut self, who: Who, key: Option<u8>, request: Request, holder: Holder) {
        let Some(key) = key else { return };
        let is_certain = !matches!(holder, Holder::Unknown);
        if let Some(known) = self.keys.get_mut(&(who, key)) {
            // Whoever had it loses it.
            let (old, now) = (known.holder, if is_certain { No } else { Perhaps });
            if is_certain || known.request == request {
                if let Holder::Staged(id) = old
                    && holder.id() != Some(id)
                    && let Some(staged) = self.staged.iter_mut().find(|staged| staged.id == id && staged.is_open != No)
                {
                    staged.is_open = now;
                }
                let was_certain = known.is_certain;
                *known = Remembered { request, holder, age: Duration::ZERO, is_certain: is_certain || was_certain };
            }
            return;
        }
        self.keys.insert((who, key), Remembered { request, holder, age: Duration::ZERO, is_certain });
    }

    /// The file that was to be there is.
    pub(crate) fn stored(&mut self, file: File, key: Option<u8>) {
        let (id, who) = (file.id, file.who);
        for staged in self.staged.iter_mut().filter(|staged| staged.id == id) {
            staged.is_open = No;
        }
        for direct in self.directs.iter_mut().filter(|direct| direct.id == id) {
            direct.is_open = No;
        }
        if let Some(known) = key.and_then(|key| self.keys.get_mut(&(who, key))) {
            known.holder = Holder::File(id);
            known.is_certain = true;
            known.age = Duration::ZERO;
        }
        match self.file_mut(id) {
            Some(known) => *known = file,
            None => self.files.push(file),
        }
    }

    pub(crate) fn set_there(&mut self, id: MediaId, is_there: Answer) {
        if let Some(file) = self.file_mut(id) {
            file.is_there = is_there;
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.staged.iter_mut().for_each(|staged| staged.age += time);
        self.directs.iter_mut().for_each(|direct| direct.age += time);
        self.keys.values_mut().for_each(|key| key.age += time);
        self.planted.values_mut().for_each(|planted| planted.age += time);
    }

    /// A sweep has run, or perhaps only a part of it.
    pub(crate) fn swept(&mut self, is_over: bool) {
        let answer = if is_over { No } else { Perhaps };
        for staged in self.staged.iter_mut().filter(|staged| staged.age >= FENCE && staged.is_open != No) {
            staged.is_open = answer;
        }
        for direct in self.directs.iter_mut().filter(|direct| direct.age >= DIRECT && direct.is_open != No) {
            direct.is_open = answer;
        }
        self.keys.retain(|_, key| {
            key.is_certain &= key.age < MAY_BE_FORGOTTEN;
            !is_over || key.age < IS_FORGOTTEN
        });
    }

    /// All of a user's media and uploads are gone, or perhaps.
    pub(crate) fn erased(&mut self, whose: Who, is_over: bool) {
        let answer = if is_over { No } else { Perhaps };
        for file in self.files.iter_mut().filter(|file| file.who == whose && file.is_there != No) {
            file.is_there = answer;
        }
        for staged in self.staged.iter_mut().filter(|staged| staged.who == whose && staged.is_open != No) {
            staged.is_open = answer;
        }
        for direct in self.directs.iter_mut().filter(|direct| direct.who == whose && direct.is_open != No) {
            direct.is_open = answer;
        }
        self.keys.retain(|(who, _), _| *who != whose || !is_over);
        for (_, key) in self.keys.iter_mut().filter(|((who, _), _)| *who == whose) {
            key.is_certain = false;
        }
    }

    /// A verify has gone by, or a part of it: what it may have noted may go later.
    pub(crate) fn verified(&mut self, repair: bool) {
        for planted in self.planted.values_mut().filter(|planted| planted.age >= GRACE) {
            planted.may_go |= repair && planted.seen > 0;
            planted.seen += 1;
        }
    }

    /// How many objects without a name a verify may speak of.
    pub(crate) fn old_planted(&self) -> u64 {
        self.planted.values().filter(|planted| planted.age >= GRACE).count() as u64
    }

    pub(crate) fn planted_keys(&self) -> BTreeSet<String> {
        self.planted.keys().cloned().collect()
    }

    /// Compares with what is there, and learns from it what could not be known.
    pub(crate) fn compare(&mut self, look: &Look) -> Result<(), Violation> {
        for row in &look.rows {
            self.compare_row(row)?;
        }
        let ids: BTreeSet<_> = look.rows.iter().map(|row| row.id.to_string()).collect();
        for file in &mut self.files {
            match (file.is_there, ids.contains(&file.id.to_string())) {
                (Yes, false) => return Err(Violation(format!("{file:?} is lost"))),
                (Perhaps, is_there) => file.is_there = if is_there { Yes } else { No },
                (Yes, true) | (No, _) => {}
            }
        }
        self.guesses.clear();
        for (key, planted) in &self.planted {
            if !planted.may_go && !look.objects.iter().any(|object| object.key == *key) {
                return Err(Violation(format!("{key} went before its time: {planted:?}")));
            }
        }
        Ok(())
    }

    fn compare_row(&mut self, row: &Row) -> Result<(), Violation> {
        let Some(what) = Sample::with(row.sha256) else {
            return Err(Violation(format!("{row:?} is of unknown bytes")));
        };
        match self.file(row.id) {
            Some(file) if file.is_there == No && self.guess(row, what).is_none() => {
                return Err(Violation(format!("{row:?} should not be there: {file:?}")));
            }
            Some(file) if file.is_there == No => {}
            Some(file) if file.who.user() != row.user_id || file.what != what => {
                return Err(Violation(format!("{row:?} is not {file:?}")));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let Some(guess) = self.guess(row, what) else {
            return Err(Violation(format!("{row:?} was stored by nobody")));
        };
        let guess = self.guesses.remove(guess);
        self.stored(File { id: row.id, who: guess.who, what, is_there: Yes }, guess.key);
        Ok(())
    }

    fn guess(&self, row: &Row, what: Sample) -> Option<usize> {
        self.guesses.iter().position(|guess| {
            let is_it = guess.id.map_or_else(|| !self.is_known(row.id), |id| id == row.id);
            is_it && guess.who.user() == row.user_id && guess.whats.contains(&what)
        })
    }
}

/// Something that is open until it is older than `life`.
fn within(is_open: Answer, age: Duration, life: Duration) -> Answer {
    if age < life { is_open } else { No }
}

pub(crate) fn may_read(by: Who, owner: Who) -> bool {
    by == Who::System || owner == Who::Nobody || by == owner
}

pub(crate) fn may_list(by: Who, whose: Who) -> bool {
    by == Who::System || (whose.user().is_some() && by == whose)
}

impl Request {
    pub(crate) fn upload(what: Sample, how: How) -> Self {
        let is_streamed = what == Sample::Long && how != How::Bytes;
        Self::Upload(what, Some(how).filter(|_| is_streamed))
    }

    pub(crate) fn begin(what: Sample, via: Via) -> Self {
        let size = Some(what.len()).filter(|_| via != Via::Form);
        Self::Begin(what.content_type(), via, size, Some(what).filter(|_| via == Via::PutWithMd5))
    }
}

impl Holder {
    fn id(self) -> Option<MediaId> {
        match self {
            Self::File(id) | Self::Staged(id) | Self::Direct(id) => Some(id),
            Self::Unknown => None,
        }
    }
}

impl Direct {
    /// One that has just begun.
    pub(crate) fn new(who: Who, what: Sample, via: Via, key: Option<u8>) -> impl Fn(MediaId) -> Self {
        move |id| Self { id, who, what, via, key, age: Duration::ZERO, is_open: Yes, sent: Vec::new() }
    }

    fn is_sized(&self) -> bool {
        self.via != Via::Form
    }

    /// What a complete says of these bytes.
    pub(crate) fn verdict(&self, sent: Sample) -> Allowed {
        let is_size_right = !self.is_sized() || sent.len() == self.what.len();
        if sent.is_good() && is_size_right && sent.content_type() == self.what.content_type() {
            Allowed::success()
        } else {
            Allowed::codes(&INVALID)
        }
    }

    /// Whether storage takes these bytes with the signature that was given last.
    pub(crate) fn is_taken(&self, sent: Sample) -> bool {
        let limit = Sample::Largest.len();
        self.age < SIGNATURE
            && match self.via {
                Via::Form => self.what.kind() != Sample::Largest.kind() || sent.len() <= limit,
                Via::SizedForm | Via::Put => sent.len() == self.what.len(),
                Via::PutWithMd5 => sent == self.what,
            }
    }
}
