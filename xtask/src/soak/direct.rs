//! Direct uploads, sent over HTTP as a browser or a script does.

use object_store_public::{
    DirectUpload, DirectUploadCreate, MediaId, ObjectStoreError, ObjectStoreProvider, UploadMethod,
};
use reqwest::multipart::{Form, Part};

use crate::soak::content::{Subject, Way, hex};
use crate::soak::history::State;
use crate::soak::journal::{Event, Fault};
use crate::soak::random::Random;
use crate::soak::worker::{Worker, code, media_id};

/// What a client sends that is no media.
const NONSENSE: &[u8] = b"<html>neither a picture nor a sound</html>";

impl Worker {
    pub(super) async fn direct_upload(&self, way: Way, random: &mut Random) {
        let subject = self.pool().plan(way, random);
        let Some(upload) = self.begin_direct(&subject).await else { return self.done(&subject, None) };
        let open = || Some(State::Open(hex(upload.id.uuid().as_bytes())));
        match random.below(20) {
            // Perhaps later, perhaps never.
            0 | 1 => self.done(&subject, open()),
            2 => {
                let state = self.cancel(&subject, upload.id).await;
                self.done(&subject, state);
            }
            3 if way == Way::Form => {
                self.send(&upload, NONSENSE.to_vec(), &subject).await;
                let state = self.complete(&subject, upload.id, random).await;
                if matches!(state, Some(State::Live(_))) {
                    self.wrong(Fault::Other, format!("{}: completed with bytes that are no media", subject.name));
                }
                self.done(&subject, state);
            }
            _ => {
                self.send(&upload, subject.content(), &subject).await;
                let state = self.complete(&subject, upload.id, random).await;
                // What comes after it changes nothing: the audit reads the file.
                if way == Way::Form && random.chance(20) {
                    self.send(&upload, NONSENSE.to_vec(), &subject).await;
                }
                self.done(&subject, state);
            }
        }
    }

    /// An upload that another child has begun, or this one some time ago.
    pub(super) async fn go_on_with_direct_upload(&self, random: &mut Random) {
        let is_direct = |subject: &Subject| matches!(subject.way, Way::Form | Way::Put);
        let wanted =
            |subject: &Subject, state: &State| is_direct(subject) && matches!(state, State::Open(_) | State::Live(_));
        let Some((subject, before)) = self.take(random, wanted) else { return };
        let state = match &before {
            State::Live(id) => {
                let again = self.complete(&subject, media_id(&subject, id), random).await;
                if again.is_none() && !self.pool().is_closed(subject.user) {
                    self.wrong(Fault::Lost, format!("{}: {id} was completed, and is over", subject.name));
                }
                Some(before)
            }
            State::Open(id) if subject.is_keyed && random.chance(50) => {
                // The client has lost its answer, and asks again.
                match self.begin_direct(&subject).await {
                    Some(upload) => {
                        self.send(&upload, subject.content(), &subject).await;
                        self.complete(&subject, upload.id, random).await
                    }
                    None => Some(State::Open(id.clone())),
                }
            }
            State::Open(id) if random.chance(30) => self.cancel(&subject, media_id(&subject, id)).await,
            State::Open(id) => self.complete(&subject, media_id(&subject, id), random).await,
            _ => None,
        };
        self.done(&subject, state);
    }

    async fn begin_direct(&self, subject: &Subject) -> Option<DirectUpload> {
        if !self.begin(subject, &Event::Beginning { subject: subject.clone() }) {
            return None;
        }
        let mut create = DirectUploadCreate::file(subject.name.clone(), subject.content_type());
        if subject.way == Way::Put {
            create = create.sized(subject.bytes).by_put(None);
        }
        if subject.is_keyed {
            create = create.idempotent(subject.name.clone());
        }
        match self.module.begin_direct_upload(subject.actor(), create).await {
            Ok(upload) => {
                let id = hex(upload.id.uuid().as_bytes());
                self.write(&Event::Opened { name: subject.name.clone(), id });
                Some(upload)
            }
            Err(error) => {
                self.write(&Event::Failed { what: "begin".to_owned(), code: code(&error) });
                None
            }
        }
    }

    /// Whether it arrived is for completing to find out.
    async fn send(&self, upload: &DirectUpload, bytes: Vec<u8>, subject: &Subject) {
        let request = match &upload.method {
            UploadMethod::Post { url, fields, .. } => {
                let fields =
                    fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
                let file = Part::bytes(bytes).file_name(subject.name.clone());
                self.http.post(url).multipart(fields.part("file", file))
            }
            UploadMethod::Put { url, headers } => {
                let put = headers.iter().fold(self.http.put(url), |put, (name, value)| put.header(name, value));
                put.body(bytes)
            }
            UploadMethod::Parts { .. } | UploadMethod::Completed => return,
        };
        self.write(&Event::Doing { what: "send".to_owned() });
        match request.send().await {
            Ok(answer) if answer.status().is_success() => self.write(&Event::Did { what: "send".to_owned() }),
            Ok(answer) => {
                self.write(&Event::Failed { what: "send".to_owned(), code: answer.status().as_u16().to_string() });
            }
            Err(_) => self.write(&Event::Failed { what: "send".to_owned(), code: "no_answer".to_owned() }),
        }
    }

    /// Completes, at times twice at once, at times while another cancels. How the upload stands after it.
    async fn complete(&self, subject: &Subject, id: MediaId, random: &mut Random) -> Option<State> {
        let creating = || self.begin(subject, &Event::Creating { subject: subject.clone() });
        let complete = || self.module.complete_upload(subject.actor(), id);
        if !creating() {
            return None;
        }
        match random.below(10) {
            0 | 1 if creating() => {
                let (one, other) = tokio::join!(complete(), complete());
                let answers = [one.map(|file| file.id()), other.map(|file| file.id())];
                self.completed(subject, id, answers)
            }
            2 => {
                self.write(&Event::Doing { what: "cancel".to_owned() });
                let cancel = self.module.cancel_upload(subject.actor(), id);
                let (completed, cancelled) = tokio::join!(complete(), cancel);
                if completed.is_ok() && cancelled.is_ok() {
                    self.wrong(Fault::Resurrected, format!("{}: completed and cancelled", subject.name));
                }
                let state = self.completed(subject, id, [completed.map(|file| file.id())]);
                self.cancelled(subject, cancelled, state)
            }
            _ => {
                let completed = complete().await.map(|file| file.id());
                self.completed(subject, id, [completed])
            }
        }
    }

    fn completed<const N: usize>(
        &self,
        subject: &Subject,
        id: MediaId,
        answers: [Result<MediaId, ObjectStoreError>; N],
    ) -> Option<State> {
        // One that another was faster than may say that the upload is over; it is, if none of them made the file.
        let is_over = answers.iter().all(|answer| answer.as_ref().is_err_and(ends_the_upload));
        let mut state = Some(State::Open(hex(id.uuid().as_bytes())));
        for answer in answers {
            if let Some(State::Live(id)) = self.answer(subject, answer) {
                state = Some(State::Live(id));
            }
        }
        if is_over {
            self.write(&Event::Ended { name: subject.name.clone() });
            state = None;
        }
        state
    }

    async fn cancel(&self, subject: &Subject, id: MediaId) -> Option<State> {
        let open = State::Open(hex(id.uuid().as_bytes()));
        if !self.begin(subject, &Event::Doing { what: "cancel".to_owned() }) {
            return None;
        }
        let cancelled = self.module.cancel_upload(subject.actor(), id).await;
        self.cancelled(subject, cancelled, Some(open))
    }

    fn cancelled(
        &self,
        subject: &Subject,
        cancelled: Result<(), ObjectStoreError>,
        before: Option<State>,
    ) -> Option<State> {
        match cancelled {
            // Swept since.
            Ok(()) | Err(ObjectStoreError::NotFound) => {
                self.write(&Event::Did { what: "cancel".to_owned() });
                if before.is_some() {
                    self.write(&Event::Ended { name: subject.name.clone() });
                }
                None
            }
            Err(error) => {
                self.write(&Event::Failed { what: "cancel".to_owned(), code: code(&error) });
                before
            }
        }
    }
}

/// Whether an answer to completing says that nothing can come of the upload any more.
fn ends_the_upload(error: &ObjectStoreError) -> bool {
    matches!(error, ObjectStoreError::UploadExpired | ObjectStoreError::NotFound | ObjectStoreError::Invalid(_))
}
