//! Running a sequence: each step is done to the service and to the model, and the two are compared.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use object_store_models::MediaId;
use object_store_service::{
    DirectUpload, DirectUploadCreate, FileCreate, FileUploadResult, ObjectStoreError, Owner, PageRequest, Result,
    StagedFile, UploadBody, UploadMethod, VerifyOptions,
};
use object_store_storage::ByteStream;

use super::drive::{self, LateWrite, Meanwhile, Outcome, Target};
use super::sample::Sample;
use super::state::{Allowed, Answer, Direct, File, Guess, Holder, Model, Planted, Request, Staged, may_list};
use super::step::{End, How, Op, Span, Step, Trouble, Via, Who};
use super::world::World;
use super::{Checked, Violation, invariants};

/// How long a write may take to land that was given up (`Timings::late_write`).
const LATE_WRITE: Duration = Duration::from_hours(2);

/// How often deadlines pass until nothing is left to be done. Two would do, if no failure had made a purge wait.
const MOST_ROUNDS: u32 = 6;

struct Run<'w> {
    world: &'w World,
    model: Model,
    /// What the caller has in hand, in the order of the model's.
    staged: Vec<StagedFile>,
    uploads: Vec<DirectUpload>,
    late: Vec<LateWrite>,
}

/// Runs a sequence on a world where there is nothing, and leaves nothing there.
pub(crate) async fn run(world: &World, steps: &[Step]) -> Checked {
    let (model, staged, uploads, late) = Default::default();
    let mut run = Run { world, model, staged, uploads, late };
    for (number, step) in steps.iter().enumerate() {
        let at = |Violation(text)| Violation(format!("at step {number}, {step:?}: {text}"));
        run.step(*step).await.map_err(at)?;
        run.compare(step.trouble).await.map_err(at)?;
    }
    run.rest().await.map_err(|Violation(text)| Violation(format!("at rest: {text}")))
}

/// The n-th of a list, round and round.
fn pick<T>(list: &[T], which: u8) -> Option<usize> {
    (!list.is_empty()).then(|| usize::from(which) % list.len())
}

fn violation<T>(text: impl Into<String>) -> std::result::Result<T, Violation> {
    Err(Violation(text.into()))
}

impl Run<'_> {
    async fn step(&mut self, step: Step) -> Checked {
        let trouble = step.trouble;
        match step.op {
            Op::Upload { who, what, how, key } => self.upload(who, what, how, key, trouble).await,
            Op::Stage { who, what, key } => self.stage(who, what, key, trouble).await,
            Op::Commit { which, end } => self.commit(which, end, trouble).await,
            Op::Discard { which } => self.discard(which, trouble).await,
            Op::Begin { who, what, via, key } => self.begin(who, what, via, key, trouble).await,
            Op::Send { which, what } => self.send(which, what),
            Op::Smuggle { which, what } => self.smuggle(which, what),
            Op::Complete { which, by } => self.complete(which, by, trouble).await,
            Op::Cancel { which, by } => self.cancel(which, by, trouble).await,
            Op::Delete { which, by } => self.delete(which, by, None, trouble).await,
            Op::DeleteIn { which, by, end } => self.delete(which, by, Some(end), trouble).await,
            Op::Read { which, by } => self.read(which, by, trouble).await,
            Op::List { by, whose, page } => self.list(by, whose, page).await,
            Op::Sweep => self.sweep(trouble).await,
            Op::Verify { repair } => self.verify(repair, trouble).await,
            Op::Erase { by, whose } => self.erase(by, whose, trouble).await,
            Op::Pass { time } => self.pass(time).await,
            Op::LandLate => self.land_late(),
            Op::Plant => self.plant(),
        }
    }

    /// Looks, and holds what is there against the invariants and against the model.
    async fn compare(&mut self, trouble: Trouble) -> Checked {
        if trouble != Trouble::Calm {
            // Of the last operation that called storage at all.
            let was_dropped = matches!(trouble, Trouble::Crash(_));
            self.late.extend(drive::late_writes(self.world, was_dropped));
        }
        self.world.storage.forget_calls();
        let look = self.world.look().await;
        invariants::check(&look, &self.model.planted_keys())?;
        self.model.compare(&look)?;
        self.world.settle(false).await
    }

    async fn perform<T>(
        &mut self,
        trouble: Trouble,
        target: Option<&Target>,
        work: impl Future<Output = Result<T>>,
    ) -> std::result::Result<Outcome<T>, Violation> {
        let outcome = drive::perform(self.world, trouble, target, work).await?;
        if let Some(Meanwhile::Lapsed(time)) = outcome.meanwhile {
            self.age(time);
            self.model.swept(true);
        }
        Ok(outcome)
    }

    fn age(&mut self, time: Duration) {
        self.model.pass(time);
        self.late.iter_mut().for_each(|late| late.age += time);
        self.late.retain(|late| late.age < LATE_WRITE);
    }

    async fn upload(&mut self, who: Who, what: Sample, how: How, key: Option<u8>, trouble: Trouble) -> Checked {
        // How far a long one comes before it breaks off is not for the model to know.
        let key = key.filter(|_| how != How::Broken);
        let allowed = self.model.upload(who, what, how, key);
        let (service, create, body) = (self.world.service.clone(), create(key), body(what, how));
        let work = async move { service.upload_file(who.actor(), create, body).await };
        let outcome = self.perform(trouble, None, work).await?;

        let request = Request::upload(what, how);
        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        match &outcome.result {
            None => {
                if allowed.success {
                    self.model.claimed(who, key, request, Holder::Unknown);
                    self.model.guesses.push(Guess { id: None, who, whats: vec![what], key });
                }
                Ok(())
            }
            Some(Ok(file)) => {
                self.accept(&allowed, file.id())?;
                check_answer(file, who, what)?;
                if allowed.same != Some(file.id()) {
                    self.model.claimed(who, key, request, Holder::File(file.id()));
                    let stored = File { id: file.id(), who, what, is_there: Answer::Yes };
                    self.model.stored(stored, key);
                }
                Ok(())
            }
            Some(Err(error)) => {
                excuse(&allowed, outcome.is_calm, error)?;
                self.gave_up(&allowed, error, who, key, request);
                Ok(())
            }
        }
    }

    /// An upload that failed on its way may have made its key stand for itself.
    fn gave_up(&mut self, allowed: &Allowed, error: &ObjectStoreError, who: Who, key: Option<u8>, request: Request) {
        let is_claimed =
            allowed.success && !matches!(error, ObjectStoreError::Invalid(_) | ObjectStoreError::Conflict(_));
        if is_claimed && !matches!(error, ObjectStoreError::InProgress) {
            self.model.claimed(who, key, request, Holder::Unknown);
        }
    }

    async fn stage(&mut self, who: Who, what: Sample, key: Option<u8>, trouble: Trouble) -> Checked {
        let allowed = self.model.stage(who, what, key);
        let (service, create, body) = (self.world.service.clone(), create(key), body(what, How::Bytes));
        let work = async move { service.stage_file(who.actor(), create, body).await };
        let outcome = self.perform(trouble, None, work).await?;

        let request = Request::upload(what, How::Bytes);
        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        match outcome.result {
            None => {
                if allowed.success {
                    self.model.claimed(who, key, request, Holder::Unknown);
                }
                Ok(())
            }
            Some(Ok(staged)) => {
                let id = staged.id();
                self.accept(&allowed, id)?;
                if allowed.same != Some(id) {
                    self.model.claimed(who, key, request, Holder::Staged(id));
                    // What was staged before the deadlines passed is over.
                    let is_open = if outcome.meanwhile.is_some() { Answer::Perhaps } else { Answer::Yes };
                    self.model.staged.push(Staged { id, who, what, key, age: Duration::ZERO, is_open });
                    self.staged.push(staged);
                }
                Ok(())
            }
            Some(Err(error)) => {
                excuse(&allowed, outcome.is_calm, &error)?;
                self.gave_up(&allowed, &error, who, key, request);
                Ok(())
            }
        }
    }

    async fn commit(&mut self, which: u8, end: End, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.staged, which) else { return Ok(()) };
        let staged = &self.model.staged[index];
        let (id, who, what, key) = (staged.id, staged.who, staged.what, staged.key);
        let allowed = self.model.commit(staged);
        let (service, handle) = (self.world.service.clone(), self.staged[index].clone());
        let work = async move {
            let mut tx = service.begin().await?;
            let committed = service.commit_file(&mut tx, &handle).await;
            match (committed.is_ok(), end) {
                (true, End::Commit) => tx.commit().await?,
                (_, End::Drop) => drop(tx),
                (false, End::Commit) | (_, End::Rollback) => tx.rollback().await?,
            }
            committed
        };
        let outcome = self.perform(trouble, None, work).await?;

        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        match &outcome.result {
            None => {
                if end == End::Commit && allowed.success {
                    self.model.guesses.push(Guess { id: Some(id), who, whats: vec![what], key });
                }
                Ok(())
            }
            Some(Ok(file)) => {
                self.accept(&allowed, file.id())?;
                check_answer(file, who, what)?;
                if end == End::Commit {
                    self.model.stored(File { id, who, what, is_there: Answer::Yes }, key);
                }
                Ok(())
            }
            Some(Err(error)) => excuse(&allowed, outcome.is_calm, error),
        }
    }

    async fn discard(&mut self, which: u8, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.staged, which) else { return Ok(()) };
        let (service, handle) = (self.world.service.clone(), self.staged[index].clone());
        let work = async move {
            service.discard(handle).await;
            Ok(())
        };
        let outcome = self.perform(trouble, None, work).await?;
        let staged = &mut self.model.staged[index];
        if staged.is_open != Answer::No {
            staged.is_open = if outcome.result.is_some() { Answer::No } else { Answer::Perhaps };
        }
        Ok(())
    }

    async fn begin(&mut self, who: Who, what: Sample, via: Via, key: Option<u8>, trouble: Trouble) -> Checked {
        // A signature that is given while time passes may have expired, or not.
        let trouble = if matches!(trouble, Trouble::Meanwhile(..)) { Trouble::Calm } else { trouble };
        let allowed = self.model.begin(who, what, via, key);
        let (service, create) = (self.world.service.clone(), direct_create(what, via, key));
        let work = async move { service.begin_direct_upload(who.actor(), create).await };
        let outcome = self.perform(trouble, None, work).await?;

        let request = Request::begin(what, via);
        match outcome.result {
            None => self.maybe_begun(&allowed, who, key, request),
            Some(Err(error)) => {
                excuse(&allowed, outcome.is_calm, &error)?;
                self.maybe_begun(&allowed, who, key, request);
            }
            Some(Ok(upload)) => {
                self.accept(&allowed, upload.id)?;
                return self.begun(upload, Direct::new(who, what, via, key), request);
            }
        }
        Ok(())
    }

    fn begun(&mut self, upload: DirectUpload, direct: impl Fn(MediaId) -> Direct, request: Request) -> Checked {
        let id = upload.id;
        let known = self.model.directs.iter().position(|direct| direct.id == id);
        match (known, upload.method == UploadMethod::Completed) {
            (Some(_), true) if self.model.file(id).is_some() => {}
            (_, true) => return violation(format!("{id} is called completed, and never was")),
            (Some(index), false) => {
                let direct = &mut self.model.directs[index];
                (direct.age, direct.is_open) = (Duration::ZERO, Answer::Yes);
                self.uploads[index] = upload;
            }
            (None, false) => {
                let direct = direct(id);
                self.model.claimed(direct.who, direct.key, request, Holder::Direct(id));
                self.model.directs.push(direct);
                self.uploads.push(upload);
            }
        }
        Ok(())
    }

    /// A begin that was dropped may have made its key stand for an upload whose id nobody knows.
    fn maybe_begun(&mut self, allowed: &Allowed, who: Who, key: Option<u8>, request: Request) {
        if allowed.success && allowed.same.is_none() {
            self.model.claimed(who, key, request, Holder::Unknown);
        }
    }

    fn send(&mut self, which: u8, what: Sample) -> Checked {
        let Some(index) = pick(&self.uploads, which) else { return Ok(()) };
        let direct = &mut self.model.directs[index];
        let is_taken = drive::send(self.world, &self.uploads[index], what);
        if is_taken != direct.is_taken(what) {
            return violation(format!("storage {} it", if is_taken { "has taken" } else { "has not taken" }));
        }
        if is_taken && direct.is_open != Answer::No {
            direct.sent = vec![what];
        }
        Ok(())
    }

    fn smuggle(&mut self, which: u8, what: Sample) -> Checked {
        let Some(index) = pick(&self.uploads, which) else { return Ok(()) };
        // While it is open, an intent names the key.
        let direct = &mut self.model.directs[index];
        if direct.is_taken(direct.what)
            && let Some(key) = drive::staging_key(&self.uploads[index])
        {
            self.world.memory.insert_foreign(&key, direct.what.content_type(), what.content().bytes.clone());
            if direct.is_open != Answer::No {
                direct.sent = vec![what];
            }
        }
        Ok(())
    }

    async fn complete(&mut self, which: u8, by: Who, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.uploads, which) else { return Ok(()) };
        let direct = &self.model.directs[index];
        let (id, who, key) = (direct.id, direct.who, direct.key);
        let mut allowed = self.model.complete(direct, by);
        let target = Target { id, upload: Some(self.uploads[index].clone()) };
        let service = self.world.service.clone();
        let work = async move { service.complete_upload(by.actor(), id).await };
        let outcome = self.perform(trouble, Some(&target), work).await?;

        if let Some(Meanwhile::Resent(what, true)) = outcome.meanwhile {
            let direct = &mut self.model.directs[index];
            direct.sent.push(what);
            allowed = allowed.or(self.model.complete(&self.model.directs[index], by));
        }
        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        let whats = self.model.directs[index].sent.clone();
        // What is done meanwhile is done by the system, whoever completes.
        let is_deleted = matches!(outcome.meanwhile, Some(Meanwhile::Deleted(Ok(()))));
        let there = if is_deleted { Answer::Perhaps } else { Answer::Yes };
        if let Some(Meanwhile::Completed(other)) = &outcome.meanwhile
            && let Ok(file) = &**other
        {
            self.completed(file, index, there)?;
        }
        if is_deleted {
            self.model.set_there(id, Answer::No);
        }
        match &outcome.result {
            Some(Ok(file)) => {
                if matches!(outcome.meanwhile, Some(Meanwhile::Cancelled(Ok(())))) && allowed.same.is_none() {
                    return violation("it was completed and cancelled");
                }
                self.accept(&allowed, file.id())?;
                self.completed(file, index, there)?;
            }
            Some(Err(error)) => {
                excuse(&allowed, outcome.is_calm, error)?;
                let direct = &mut self.model.directs[index];
                if matches!(error, ObjectStoreError::Invalid(_)) {
                    direct.is_open = Answer::No;
                }
                if !outcome.is_calm {
                    self.model.guesses.push(Guess { id: Some(id), who, whats, key });
                }
            }
            None => {
                // What is not acceptable may have ended it.
                let direct = &mut self.model.directs[index];
                if direct.is_open == Answer::Yes {
                    direct.is_open = Answer::Perhaps;
                }
                self.model.guesses.push(Guess { id: Some(id), who, whats, key });
            }
        }
        let direct = &mut self.model.directs[index];
        match outcome.meanwhile {
            Some(Meanwhile::Cancelled(Ok(()))) => direct.is_open = Answer::No,
            Some(Meanwhile::Resent(what, true)) => direct.sent = vec![what],
            Some(Meanwhile::Completed(_)) if direct.is_open == Answer::Yes => direct.is_open = Answer::Perhaps,
            _ => {}
        }
        Ok(())
    }

    /// A complete has answered this file.
    fn completed(&mut self, file: &FileUploadResult, index: usize, is_there: Answer) -> Checked {
        let direct = &self.model.directs[index];
        let (id, who, key) = (direct.id, direct.who, direct.key);
        let Some(what) = Sample::with(sha256_of(file)) else { return violation(format!("{id} is of unknown bytes")) };
        check_answer(file, who, what)?;
        if let Some(known) = self.model.file(id) {
            if known.what != what || known.id != file.id() {
                return violation(format!("{known:?} was completed as {what:?}"));
            }
        } else if !direct.sent.contains(&what) || !direct.verdict(what).success {
            return violation(format!("{what:?} was completed, which was not sent, or is not acceptable"));
        }
        self.model.stored(File { id, who, what, is_there }, key);
        Ok(())
    }

    async fn cancel(&mut self, which: u8, by: Who, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.uploads, which) else { return Ok(()) };
        let direct = &self.model.directs[index];
        let id = direct.id;
        let allowed = self.model.cancel(direct, by);
        let service = self.world.service.clone();
        let work = async move { service.cancel_upload(by.actor(), id).await };
        // Others are done to the upload in the midst of completing it.
        let outcome = self.perform(trouble, None, work).await?;

        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        let direct = &mut self.model.directs[index];
        match &outcome.result {
            None if direct.is_open == Answer::Yes && allowed.success => direct.is_open = Answer::Perhaps,
            None => {}
            Some(Ok(())) if allowed.success => direct.is_open = Answer::No,
            Some(Ok(())) => return violation(format!("it succeeded, and only {allowed:?} is right")),
            Some(Err(error)) => excuse(&allowed, outcome.is_calm, error)?,
        }
        Ok(())
    }

    async fn delete(&mut self, which: u8, by: Who, end: Option<End>, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.model.files, which) else { return Ok(()) };
        let file = &self.model.files[index];
        let id = file.id;
        let allowed = self.model.delete(file, by);
        let service = self.world.service.clone();
        let work = async move {
            let Some(end) = end else { return service.delete(by.actor(), id).await };
            let mut tx = service.begin().await?;
            let deleted = service.delete_in(&mut tx, by.actor(), id).await;
            match (deleted.is_ok(), end) {
                (true, End::Commit) => tx.commit().await?,
                (_, End::Drop) => drop(tx),
                (false, End::Commit) | (_, End::Rollback) => tx.rollback().await?,
            }
            deleted
        };
        let target = Target { id, upload: None };
        let outcome = self.perform(trouble, Some(&target), work).await?;

        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        let is_lasting = end.is_none_or(|end| end == End::Commit);
        match &outcome.result {
            None if is_lasting && allowed.success => self.model.set_there(id, Answer::Perhaps),
            None => {}
            Some(Ok(())) if !allowed.success => {
                return violation(format!("it succeeded, and only {allowed:?} is right"));
            }
            Some(Ok(())) if is_lasting => self.model.set_there(id, Answer::No),
            Some(Ok(())) => {}
            Some(Err(error)) => excuse(&allowed, outcome.is_calm, error)?,
        }
        if matches!(outcome.meanwhile, Some(Meanwhile::Deleted(Ok(())))) {
            self.model.set_there(id, Answer::No);
        }
        Ok(())
    }

    async fn read(&mut self, which: u8, by: Who, trouble: Trouble) -> Checked {
        let Some(index) = pick(&self.model.files, which) else { return Ok(()) };
        let file = self.model.files[index].clone();
        let allowed = self.model.read(&file, by);
        let (service, id) = (self.world.service.clone(), file.id);
        let work = async move {
            let download = service.download(by.actor(), id, None).await?;
            object_store_storage::collect(download.stream).await.map_err(ObjectStoreError::from)
        };
        let outcome = self.perform(trouble, Some(&Target { id, upload: None }), work).await?;

        let allowed = widened(allowed, outcome.meanwhile.as_ref());
        if let Some(Meanwhile::Deleted(Ok(()))) = outcome.meanwhile {
            self.model.set_there(id, Answer::No);
        }
        match outcome.result {
            None => Ok(()),
            Some(Ok(_)) if !allowed.success => violation(format!("it was read, and only {allowed:?} is right")),
            Some(Ok(bytes)) if bytes != file.what.content().bytes => {
                violation("other bytes were read than were stored")
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => excuse(&allowed, outcome.is_calm, &error),
        }
    }

    /// Walks all pages of a user's images, which are those that the model has, newest first.
    async fn list(&mut self, by: Who, whose: Who, page: u16) -> Checked {
        let owner = whose.user().map_or(Owner::Nobody, Owner::User);
        let mut conn = self.world.service.connection().await.map_err(|error| Violation(error.to_string()))?;
        let (mut listed, mut request) = (Vec::new(), PageRequest::first(page));
        loop {
            match self.world.service.list_images(&mut conn, by.actor(), owner, &request).await {
                Ok(_) if !may_list(by, whose) => return violation("foreign images were listed"),
                Err(error) if may_list(by, whose) => return violation(format!("it was not listed: {error}")),
                Err(error) if error.code() == "forbidden" => return Ok(()),
                Err(error) => return violation(format!("it was not listed: {error}")),
                Ok(page) => {
                    listed.extend(page.items.into_iter().map(|image| MediaId::from(image.id)));
                    request.after = page.next;
                }
            }
            if request.after.is_none() || listed.len() > 2 * self.model.files.len() {
                break;
            }
        }
        let is_listed = |file: &&File| {
            let owner = if file.who == Who::System { Who::Nobody } else { file.who };
            let whose = if whose == Who::System { Who::Nobody } else { whose };
            owner == whose && file.is_there == Answer::Yes && matches!(file.id, MediaId::Image(_))
        };
        let mut expected: Vec<_> = self.model.files.iter().filter(is_listed).map(|file| file.id).collect();
        expected.sort_by_key(|id| std::cmp::Reverse(id.uuid()));
        if listed == expected { Ok(()) } else { violation(format!("{listed:?} were listed, and not {expected:?}")) }
    }

    async fn sweep(&mut self, trouble: Trouble) -> Checked {
        let service = self.world.service.clone();
        let outcome = self.perform(trouble, None, async move { service.sweep().await }).await?;
        match &outcome.result {
            Some(Ok(report)) if outcome.is_calm && report.failed + report.superseded > 0 => {
                return violation(format!("{report:?}"));
            }
            Some(Err(error)) => excuse(&Allowed::default(), outcome.is_calm, error)?,
            Some(Ok(_)) | None => {}
        }
        // One that failed has not gone through all that was due.
        self.model.swept(outcome.result.is_some_and(|result| result.is_ok_and(|report| report.failed == 0)));
        Ok(())
    }

    async fn verify(&mut self, repair: bool, trouble: Trouble) -> Checked {
        let options = VerifyOptions { repair, ..VerifyOptions::default() };
        let service = self.world.service.clone();
        let outcome = self.perform(trouble, None, async move { service.verify(&options).await }).await?;
        match &outcome.result {
            Some(Ok(report)) => {
                let others = report.missing + report.size_mismatches + report.digest_mismatches + report.stale_uploads;
                let planted = if outcome.meanwhile.is_some() { u64::MAX } else { self.model.old_planted() };
                if others > 0 || report.orphans > planted {
                    return violation(format!("{:?}", report.findings));
                }
            }
            Some(Err(error)) => excuse(&Allowed::default(), outcome.is_calm, error)?,
            None => {}
        }
        self.model.verified(repair);
        Ok(())
    }

    async fn erase(&mut self, by: Who, whose: Who, trouble: Trouble) -> Checked {
        let Some(user) = whose.user() else { return Ok(()) };
        let is_allowed = by == Who::System || by == whose;
        let there = self.model.files.iter().filter(|file| file.who == whose && file.is_there == Answer::Yes).count();
        let service = self.world.service.clone();
        let outcome = self.perform(trouble, None, async move { service.erase_user(by.actor(), user).await }).await?;
        let allowed = if is_allowed { Allowed::success() } else { Allowed::codes(&["forbidden"]) };
        match &outcome.result {
            Some(Ok(_)) if !is_allowed => return violation("a foreign user was erased"),
            Some(Ok(report)) if report.images + report.audios != there as u64 => {
                return violation(format!("{report:?}, where there were {there} files"));
            }
            Some(Err(error)) => excuse(&allowed, outcome.is_calm, error)?,
            Some(Ok(_)) | None => {}
        }
        if is_allowed {
            self.model.erased(whose, matches!(outcome.result, Some(Ok(_))));
        }
        Ok(())
    }

    async fn pass(&mut self, span: Span) -> Checked {
        self.world.advance(span.time()).await;
        self.age(span.time());
        Ok(())
    }

    fn land_late(&mut self) -> Checked {
        for late in self.late.drain(..) {
            self.world.memory.insert_foreign(late.key.as_str(), "image/png", Sample::Gif.content().bytes.clone());
        }
        Ok(())
    }

    fn plant(&mut self) -> Checked {
        let key = format!("image/{}/{}", uuid::Uuid::now_v7(), uuid::Uuid::new_v4().simple());
        self.world.memory.insert_foreign(&key, "image/png", Sample::Gif.content().bytes.clone());
        self.model.planted.insert(key, Planted::default());
        Ok(())
    }

    /// Lets all deadlines pass and sweeps until nothing is left to be done; then nothing is left over, and nothing lost.
    /// Then removes all of it.
    async fn rest(&mut self) -> Checked {
        for _ in 0..MOST_ROUNDS {
            self.pass(Span::Day).await?;
            let swept = self.world.service.sweep().await.map_err(|error| Violation(error.to_string()))?;
            self.model.swept(true);
            if swept.claimed == 0 {
                break;
            }
        }
        let look = self.world.look().await;
        invariants::check_at_rest(&look, &self.model.planted_keys())?;
        self.model.compare(&look)?;

        for file in &look.rows {
            let deleted = self.world.service.delete(Who::System.actor(), file.id).await;
            deleted.map_err(|error| Violation(format!("{file:?} was not deleted: {error}")))?;
        }
        for key in self.model.planted.keys() {
            self.world.memory.lose(&key.parse().map_err(|_| Violation(key.clone()))?);
        }
        // Forgets what verifies have noted.
        if !self.model.planted.is_empty() {
            let verified = self.world.service.verify(&VerifyOptions::default()).await;
            verified.map_err(|error| Violation(error.to_string()))?;
        }
        let look = self.world.look().await;
        let left = (look.rows.len(), look.intents.len(), look.objects.len());
        if left != (0, 0, 0) {
            return violation(format!("after all was deleted, there are {left:?} rows, intents and objects"));
        }
        self.world.settle(false).await
    }

    /// A success that is right.
    fn accept(&self, allowed: &Allowed, id: MediaId) -> Checked {
        if allowed.same == Some(id) || allowed.success {
            return Ok(());
        }
        violation(format!("the answer is {id}, and only {allowed:?} is right"))
    }
}

/// What was done meanwhile makes other answers right as well.
fn widened(allowed: Allowed, meanwhile: Option<&Meanwhile>) -> Allowed {
    let more: &[&str] = match meanwhile {
        None | Some(Meanwhile::Resent(..)) => &[],
        Some(Meanwhile::Lapsed(_)) => &["upload_expired", "upload_not_received", "not_found"],
        Some(Meanwhile::Completed(_)) => &["in_progress", "upload_expired", "not_found"],
        Some(Meanwhile::Cancelled(_) | Meanwhile::Deleted(_)) => &["upload_expired", "not_found"],
    };
    let widened = allowed.or(Allowed::codes(more));
    // With the deadlines goes what an idempotency key stood for.
    match meanwhile {
        Some(Meanwhile::Lapsed(_)) if widened.codes.contains("in_progress") || widened.same.is_some() => {
            widened.or(Allowed::success())
        }
        // Its file was just made.
        Some(Meanwhile::Completed(other)) => match &**other {
            Ok(file) => widened.or(Allowed::same(file.id())),
            Err(_) => widened,
        },
        _ => widened,
    }
}

/// An error that is right, or that comes of the trouble.
fn excuse(allowed: &Allowed, is_calm: bool, error: &ObjectStoreError) -> Checked {
    let code = error.code();
    let is_of_trouble = ["storage_unavailable", "storage_access_denied", "storage_failed"].contains(&code)
        || ["in_progress", "upload_not_received", "body_unreadable", "database_unavailable"].contains(&code);
    if allowed.codes.contains(code) || (!is_calm && is_of_trouble) {
        return Ok(());
    }
    violation(format!("the answer is {code} ({error:?}), and only {allowed:?} is right"))
}

/// What is answered is what was stored.
fn check_answer(file: &FileUploadResult, who: Who, what: Sample) -> Checked {
    let (user_id, size) = match file {
        FileUploadResult::Image(image) => (image.user_id, image.size_bytes),
        FileUploadResult::Audio(audio) => (audio.user_id, audio.size_bytes),
    };
    let answered = (user_id, size, sha256_of(file));
    let expected = (who.user(), what.len(), Some(what.content().sha256));
    if answered == expected { Ok(()) } else { differ(&answered, &expected) }
}

fn differ(answered: &impl Debug, expected: &impl Debug) -> Checked {
    violation(format!("{answered:?} was answered, and not {expected:?}"))
}

fn sha256_of(file: &FileUploadResult) -> Option<object_store_models::Sha256> {
    match file {
        FileUploadResult::Image(image) => image.sha256,
        FileUploadResult::Audio(audio) => audio.sha256,
    }
}

fn create(key: Option<u8>) -> FileCreate {
    let create = FileCreate::new("file");
    match key {
        Some(key) => create.idempotent(format!("key-{key}")),
        None => create,
    }
}

fn direct_create(what: Sample, via: Via, key: Option<u8>) -> DirectUploadCreate {
    let create = DirectUploadCreate::file("file", what.content_type());
    let create = match via {
        Via::Form => create,
        Via::SizedForm => create.sized(what.len()),
        Via::Put => create.sized(what.len()).by_put(None),
        Via::PutWithMd5 => create.sized(what.len()).by_put(Some(what.content().md5)),
    };
    match key {
        Some(key) => create.idempotent(format!("key-{key}")),
        None => create,
    }
}

fn body(what: Sample, how: How) -> UploadBody {
    let bytes = what.content().bytes.clone();
    let length = bytes.len();
    let pieces = move || -> ByteStream {
        let pieces = length.div_ceil(3).max(1);
        let starts = (0..length).step_by(pieces);
        let pieces: Vec<_> = starts.map(|start| Ok(bytes.slice(start..length.min(start + pieces)))).collect();
        futures::stream::iter(pieces).boxed()
    };
    match how {
        How::Bytes => what.content().bytes.clone().into(),
        How::Stream => UploadBody::from_stream(pieces(), None),
        How::Announced => UploadBody::from_stream(pieces(), Some(what.len())),
        How::Broken => {
            let gone = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the client has gone");
            UploadBody::from_stream(pieces().chain(futures::stream::iter([Err(gone)])).boxed(), None)
        }
    }
}
