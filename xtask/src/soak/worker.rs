//! What a child does: one operation after the other, several at a time, each written down before and after.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store_public::uuid::Uuid;
use object_store_public::{
    Actor, Cursor, Download, FileCreate, MediaId, ObjectStoreError, ObjectStoreModule, ObjectStoreProvider, Owner,
    PageRequest, RepoError, StagedFile, UploadBody,
};
use sha2::Digest;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use crate::soak::content::{Subject, Way, hex, user_id};
use crate::soak::history::{Known, State};
use crate::soak::journal::{Event, Fault, Journal};
use crate::soak::pool::Pool;
use crate::soak::random::Random;
use crate::soak::rows::{add_sibling, remove_sibling};

/// With so many files, more is deleted than uploaded.
const MANY: usize = 200;

/// How long the pages of a listing are.
const PAGE: u16 = 20;

/// Everything that the tasks of a child share.
pub(crate) struct Worker {
    pub(super) module: Arc<ObjectStoreModule>,
    pub(super) http: reqwest::Client,
    journal: Journal,
    pool: Mutex<Pool>,
    stop: AtomicBool,
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duties {
    Everything,
    /// No sweep and no erasure.
    Uploads,
}

impl Worker {
    pub(crate) fn new(module: ObjectStoreModule, journal: Journal, known: Known, run: u64) -> Self {
        Self {
            module: Arc::new(module),
            http: reqwest::Client::new(),
            journal,
            pool: Mutex::new(Pool::new(known, run)),
            stop: AtomicBool::new(false),
        }
    }

    /// Ends the loops of all tasks when they have done what they are at.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// One operation after the other.
    pub(crate) async fn work(&self, duties: Duties, mut random: Random) {
        while !self.stop.load(Ordering::Relaxed) {
            let most = if duties == Duties::Everything { 1_000 } else { 900 };
            let chosen = if self.pool().live() > MANY && random.chance(50) { 500 } else { random.below(most) };
            let random = &mut random;
            match chosen {
                0..200 => self.upload(Way::Bytes, random).await,
                200..240 => self.upload(Way::Stream, random).await,
                240..260 => self.upload(Way::Parts, random).await,
                260..340 => self.stage(random).await,
                340..420 => self.direct_upload(Way::Form, random).await,
                420..460 => self.direct_upload(Way::Put, random).await,
                460..640 => self.delete(random).await,
                640..700 => self.repeat(random).await,
                700..740 => self.go_on_with_direct_upload(random).await,
                740..840 => self.read(random).await,
                840..900 => self.list(random).await,
                900..985 => self.sweep().await,
                _ => self.erase(random).await,
            }
        }
    }

    /// Sweeps again and again.
    pub(crate) async fn sweep_on(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.sweep().await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    // What is shared.

    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child that cannot write down what it does is of no use.
    pub(super) fn write(&self, event: &Event) {
        if let Err(error) = self.journal.write(event) {
            eprintln!("the journal cannot be written: {error}");
            std::process::exit(1);
        }
    }

    pub(super) fn wrong(&self, fault: Fault, detail: String) {
        self.write(&Event::Wrong { fault, detail });
    }

    /// Writes down that something begins, unless the user is being erased. Under the lock under which that is decided, so
    /// that the journal tells on which side of it this is.
    pub(super) fn begin(&self, subject: &Subject, event: &Event) -> bool {
        let pool = self.pool();
        let is_open = !pool.is_closed(subject.user);
        if is_open {
            self.write(event);
        }
        is_open
    }

    pub(super) fn done(&self, subject: &Subject, state: Option<State>) {
        self.pool().give_back(&subject.name, state);
    }

    pub(super) fn take(
        &self,
        random: &mut Random,
        wanted: impl Fn(&Subject, &State) -> bool,
    ) -> Option<(Subject, State)> {
        self.pool().take(random, wanted)
    }

    // Uploads.

    async fn upload(&self, way: Way, random: &mut Random) {
        let subject = self.pool().plan(way, random);
        if !self.begin(&subject, &Event::Creating { subject: subject.clone() }) {
            return self.done(&subject, None);
        }
        if subject.is_keyed && random.chance(10) && self.begin(&subject, &Event::Creating { subject: subject.clone() })
        {
            // The same request twice at once.
            let (one, other) = tokio::join!(self.put(&subject), self.put(&subject));
            let first = self.answer(&subject, one);
            let second = self.answer(&subject, other);
            return self.done(&subject, better(first, second));
        }
        let stored = self.put(&subject).await;
        let state = self.answer(&subject, stored);
        self.done(&subject, state);
    }

    async fn put(&self, subject: &Subject) -> Result<MediaId, ObjectStoreError> {
        let file = self.module.upload_file(subject.actor(), create(subject), body(subject)).await?;
        Ok(file.id())
    }

    /// Writes down what came of an attempt to create a file, and how the file stands after it if this was the first.
    pub(super) fn answer(&self, subject: &Subject, stored: Result<MediaId, ObjectStoreError>) -> Option<State> {
        let name = subject.name.clone();
        match stored {
            Ok(id) => {
                let id = hex(id.uuid().as_bytes());
                self.write(&Event::Created { name, id: id.clone() });
                Some(State::Live(id))
            }
            Err(error) => {
                let is_known = !may_have_taken_effect(&error);
                self.write(&Event::NotCreated { name, code: code(&error), is_known });
                (!is_known && subject.is_keyed).then_some(State::Unsettled)
            }
        }
    }

    /// The same request again, with its idempotency key.
    async fn repeat(&self, random: &mut Random) {
        let is_upload = |subject: &Subject| matches!(subject.way, Way::Bytes | Way::Stream | Way::Parts);
        let Some((subject, before)) = self.take(random, |subject, _| subject.is_keyed && is_upload(subject)) else {
            return;
        };
        if !self.begin(&subject, &Event::Creating { subject: subject.clone() }) {
            return self.done(&subject, None);
        }
        let stored = self.put(&subject).await;
        let is_gone = matches!(&stored, Err(ObjectStoreError::NotFound));
        let is_reused = matches!(&stored, Err(ObjectStoreError::Conflict(_)));
        let after = self.answer(&subject, stored);
        let name = &subject.name;
        // Once the user is being erased, the file may go at any time and its key be forgotten.
        let is_closed = self.pool().is_closed(subject.user);
        match (&before, &after) {
            _ if is_closed => {}
            (State::Live(id) | State::Deleting(id), Some(State::Live(other))) if id != other => {
                self.wrong(Fault::Duplicate, format!("{name}: {id}, and {other} when it was repeated"));
            }
            (State::Gone(id), Some(State::Live(other))) => {
                self.wrong(Fault::Resurrected, format!("{name}: {id} was deleted, and a repetition made {other}"));
            }
            (State::Live(_) | State::Unsettled, _) if is_gone => {
                self.wrong(Fault::Lost, format!("{name}: not found when it was repeated, and was never deleted"));
            }
            _ if is_reused => self.wrong(Fault::Other, format!("{name}: the same request was taken for another")),
            _ => {}
        }
        let state = match (before, after) {
            (before @ (State::Deleting(_) | State::Gone(_)), _) => before,
            (_, Some(after @ State::Live(_))) => after,
            (before, _) => before,
        };
        self.done(&subject, Some(state));
    }

    /// A file and a row of our own, as one fact.
    async fn stage(&self, random: &mut Random) {
        let subject = self.pool().plan(Way::Staged, random);
        self.write(&Event::Creating { subject: subject.clone() });
        let staged = match self.module.stage_file(subject.actor(), create(&subject), body(&subject)).await {
            Ok(staged) => staged,
            Err(error) => return self.done(&subject, self.answer(&subject, Err(error))),
        };
        let fate = random.below(10);
        let given_up = |code: &str| {
            let (name, code) = (subject.name.clone(), code.to_owned());
            self.write(&Event::NotCreated { name, code, is_known: true });
        };
        match fate {
            0 => {
                self.module.discard(staged).await;
                given_up("discarded");
                self.done(&subject, None);
            }
            // Whoever staged it forgets it.
            1 => {
                given_up("forgotten");
                self.done(&subject, None);
            }
            2 | 3 => {
                self.roll_back(&subject, &staged).await;
                given_up("rolled back");
                self.done(&subject, None);
            }
            4 => {
                self.write(&Event::Creating { subject: subject.clone() });
                let (one, other) = tokio::join!(self.commit(&subject, &staged), self.commit(&subject, &staged));
                if one.is_ok() && other.is_ok() {
                    self.wrong(Fault::Duplicate, format!("{}: committed twice", subject.name));
                }
                let first = self.answer(&subject, one);
                let second = self.answer(&subject, other);
                self.done(&subject, better(first, second));
            }
            _ => {
                let committed = self.commit(&subject, &staged).await;
                let state = self.answer(&subject, committed);
                self.done(&subject, state);
            }
        }
    }

    async fn commit(&self, subject: &Subject, staged: &StagedFile) -> Result<MediaId, ObjectStoreError> {
        let mut tx = self.module.begin().await?;
        let file = self.module.commit_file(&mut tx, staged).await?;
        add_sibling(&mut tx, &subject.name).await.map_err(RepoError::from)?;
        tx.commit().await?;
        Ok(file.id())
    }

    /// Whatever fails on the way, the transaction goes.
    async fn roll_back(&self, subject: &Subject, staged: &StagedFile) {
        let Ok(mut tx) = self.module.begin().await else { return };
        if self.module.commit_file(&mut tx, staged).await.is_ok() && add_sibling(&mut tx, &subject.name).await.is_ok() {
            drop(tx.rollback().await);
        }
    }

    // What is done with files that are there.

    async fn delete(&self, random: &mut Random) {
        let wanted = |_: &Subject, state: &State| matches!(state, State::Live(_) | State::Deleting(_));
        let Some((subject, before)) = self.take(random, wanted) else { return };
        let (State::Live(id) | State::Deleting(id)) = &before else { return };
        if !self.begin(&subject, &Event::Deleting { name: subject.name.clone() }) {
            return self.done(&subject, None);
        }
        let name = subject.name.clone();
        let gone = State::Gone(id.clone());
        let state = match self.delete_one(&subject, media_id(&subject, id), random).await {
            Ok(()) => {
                self.write(&Event::Deleted { name });
                Some(gone)
            }
            Err(ObjectStoreError::NotFound) => {
                if matches!(before, State::Live(_)) && !self.pool().is_closed(subject.user) {
                    self.wrong(Fault::Lost, format!("{name}: {id} was not found when it was to be deleted"));
                }
                self.write(&Event::Deleted { name });
                Some(gone)
            }
            Err(error) => {
                self.write(&Event::Failed { what: "delete".to_owned(), code: code(&error) });
                Some(State::Deleting(id.clone()))
            }
        };
        self.done(&subject, state);
    }

    async fn delete_one(&self, subject: &Subject, id: MediaId, random: &mut Random) -> Result<(), ObjectStoreError> {
        let actor = subject.actor();
        if subject.way != Way::Staged && random.chance(60) {
            return self.module.delete(actor, id).await;
        }
        let mut tx = self.module.begin().await?;
        self.module.delete_in(&mut tx, actor, id).await?;
        if subject.way == Way::Staged {
            remove_sibling(&mut tx, &subject.name).await.map_err(RepoError::from)?;
        }
        Ok(tx.commit().await?)
    }

    async fn read(&self, random: &mut Random) {
        let wanted = |_: &Subject, state: &State| matches!(state, State::Live(_) | State::Gone(_));
        let Some((subject, before)) = self.take(random, wanted) else { return };
        let (State::Live(id) | State::Gone(id)) = &before else { return };
        let what = || "read".to_owned();
        if !self.begin(&subject, &Event::Doing { what: what() }) {
            return self.done(&subject, None);
        }
        let found = self.module.download(subject.actor(), media_id(&subject, id), None).await;
        // Erased meanwhile, it may well be gone.
        let is_erased = self.pool().is_closed(subject.user);
        let name = &subject.name;
        let failed = |code: String| {
            self.write(&Event::Failed { what: what(), code });
            self.done(&subject, Some(before.clone()));
        };
        match (found, &before) {
            (Ok(_), State::Gone(_)) => {
                self.wrong(Fault::Resurrected, format!("{name}: {id} was deleted and can be read"));
            }
            (Ok(download), _) => match digest(download).await {
                Ok(digest) if digest == subject.sha256 => {}
                Ok(digest) => self.wrong(Fault::Lost, format!("{name}: {id} has other bytes: {digest}")),
                // For the audit to judge, which reads all files.
                Err(_) => return failed("broken_off".to_owned()),
            },
            (Err(ObjectStoreError::NotFound), State::Live(_)) if !is_erased => {
                self.wrong(Fault::Lost, format!("{name}: {id} is not found"));
            }
            (Err(ObjectStoreError::NotFound), _) => {}
            (Err(error), _) => return failed(code(&error)),
        }
        self.write(&Event::Did { what: what() });
        self.done(&subject, Some(before.clone()));
    }

    /// A walk through a user's files shows each that is there all the time once.
    async fn list(&self, random: &mut Random) {
        let what = || "list".to_owned();
        let Some((user, before)) = self.pool().listable(random) else { return };
        self.write(&Event::Doing { what: what() });
        let seen = match self.ids_of(user).await {
            Ok(seen) => seen,
            Err(error) => return self.write(&Event::Failed { what: what(), code: code(&error) }),
        };
        let still_there = self.pool().resting(user);
        let mut once = HashSet::new();
        for id in &seen {
            if !once.insert(id.as_str()) {
                self.wrong(Fault::Duplicate, format!("{id} is listed twice"));
            }
        }
        for id in before.intersection(&still_there).filter(|id| !once.contains(id.as_str())) {
            self.wrong(Fault::Lost, format!("{id} is not listed"));
        }
        self.write(&Event::Did { what: what() });
    }

    async fn ids_of(&self, user: u64) -> Result<Vec<String>, ObjectStoreError> {
        let (actor, owner) = (Actor::User(user_id(user)), Owner::User(user_id(user)));
        let mut conn = self.module.connection().await?;
        let mut ids: Vec<Uuid> = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let request = PageRequest { limit: Some(PAGE), after };
            let page = self.module.list_images(&mut conn, actor, owner, &request).await?;
            ids.extend(page.items.iter().map(|image| image.id.uuid()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let request = PageRequest { limit: Some(PAGE), after };
            let page = self.module.list_audios(&mut conn, actor, owner, &request).await?;
            ids.extend(page.items.iter().map(|audio| audio.id.uuid()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(ids.iter().map(|id| hex(id.as_bytes())).collect())
    }

    async fn sweep(&self) {
        self.write(&Event::Doing { what: "sweep".to_owned() });
        match self.module.sweep().await {
            Ok(report) if report.failed == 0 => self.write(&Event::Did { what: "sweep".to_owned() }),
            Ok(_) => self.write(&Event::Failed { what: "sweep".to_owned(), code: "purge_failed".to_owned() }),
            Err(error) => self.write(&Event::Failed { what: "sweep".to_owned(), code: code(&error) }),
        }
    }

    async fn erase(&self, random: &mut Random) {
        let user = {
            let mut pool = self.pool();
            let Some(user) = pool.close_user(random) else { return };
            self.write(&Event::Erasing { user });
            user
        };
        match self.module.erase_user(Actor::System, user_id(user)).await {
            Ok(_) => self.write(&Event::Erased { user }),
            Err(error) => self.write(&Event::Failed { what: "erase".to_owned(), code: code(&error) }),
        }
    }
}

/// The request that uploads a file.
fn create(subject: &Subject) -> FileCreate {
    let create = FileCreate::new(subject.name.clone()).declared(subject.content_type());
    if subject.is_keyed { create.idempotent(subject.name.clone()) } else { create }
}

fn body(subject: &Subject) -> UploadBody {
    let bytes = subject.content();
    match subject.way {
        Way::Stream => UploadBody::from_reader(io::Cursor::new(bytes), Some(subject.bytes)),
        Way::Parts => UploadBody::from_reader(io::Cursor::new(bytes), None),
        Way::Bytes | Way::Staged | Way::Form | Way::Put => bytes.into(),
    }
}

/// The id of a file that has one.
pub(super) fn media_id(subject: &Subject, id: &str) -> MediaId {
    MediaId::of(subject.media_kind(), Uuid::try_parse(id).unwrap_or_default())
}

/// Of two answers to the same request, the one that says more.
pub(super) fn better(one: Option<State>, other: Option<State>) -> Option<State> {
    match (&one, &other) {
        (Some(State::Live(_)), _) | (_, None) => one,
        _ => other,
    }
}

/// Errors of the database may come after it has done what was asked.
pub(super) fn may_have_taken_effect(error: &ObjectStoreError) -> bool {
    matches!(error, ObjectStoreError::Database(_))
}

pub(super) fn code(error: &ObjectStoreError) -> String {
    error.code().to_owned()
}

/// The digest of all bytes, as hexadecimal digits.
pub(crate) async fn digest(download: Download) -> io::Result<String> {
    let mut reader = StreamReader::new(download.stream);
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = reader.read(&mut buffer).await?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => hasher.update(bytes),
            _ => return Ok(hex(&hasher.finalize())),
        }
    }
}
