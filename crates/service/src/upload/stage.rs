//! Staging: bytes in, validated and under an intent.

use bytes::Bytes;
use futures::StreamExt;
use md5::Md5;
use object_store_media::{Facts, Format, Kind, Policy};
use object_store_models::{AudioId, ImageId, MediaId, Sha256, UserId};
use object_store_storage::{Body, ByteStream, PutOptions, PutOutcome, RetryClass};
use sha2::Digest;
use tokio::runtime::Handle;

use crate::actor::Actor;
use crate::authorize;
use crate::dto::{AudioCreate, Declared, FileCreate, ImageCreate, UploadBody};
use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::filename::Filename;
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::abandon::LateWrite;
use crate::upload::facts;
use crate::upload::idempotency::{Claim, IdempotencyKey, Keyed, RequestHash};
use crate::upload::intake::{IN_MEMORY, Intake, check_size, take_in};
use crate::upload::ranged::RangedObject;
use crate::upload::reserve::{Allowance, Hold, Refusal};
use crate::upload::staged::{StagedAudio, StagedFile, StagedImage, StagedObject};
use crate::upload::tally::tallied;
use crate::upload::write::{Intent, pause};

/// How often a body in memory is written, each time to a fresh key, when storage's answers are lost.
const PUT_ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// Takes in an image, without making it exist: [`ObjectStoreService::commit_image`] does that, in the caller's
    /// transaction.
    pub async fn stage_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<StagedImage> {
        match self.stage(actor, image.into(), Some(Kind::Image), body).await? {
            StagedFile::Image(image) => Ok(image),
            StagedFile::Audio(audio) => Err(self.not_expected(audio.into()).await),
        }
    }

    /// Takes in an audio file, without making it exist: [`ObjectStoreService::commit_audio`] does that, in the caller's
    /// transaction.
    pub async fn stage_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<StagedAudio> {
        match self.stage(actor, audio.into(), Some(Kind::Audio), body).await? {
            StagedFile::Audio(audio) => Ok(audio),
            StagedFile::Image(image) => Err(self.not_expected(image.into()).await),
        }
    }

    /// Takes in a file, without making it exist: [`ObjectStoreService::commit_file`] does that, in the caller's
    /// transaction. The bytes decide whether it is an image or audio.
    pub async fn stage_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<StagedFile> {
        self.stage(actor, file.into(), None, body).await
    }

    /// The policy had the kind checked before; should that ever fail, nothing stays behind.
    async fn not_expected(&self, staged: StagedFile) -> ObjectStoreError {
        let detected = staged.object().map_or("the other kind", |object| object.format.content_type()).to_owned();
        self.discard(staged).await;
        ValidationError::UnsupportedType { detected }.into()
    }

    async fn stage(
        &self,
        actor: Actor,
        declared: Declared,
        expected: Option<Kind>,
        body: UploadBody,
    ) -> Result<StagedFile> {
        let limits = &self.settings.limits;
        let user_id = authorize::owner_of_new(actor, declared.owner)?;
        let filename = Filename::sanitize(&declared.filename);
        let policy = facts::policy(limits, expected, declared.content_type);
        let idempotency_key = declared.idempotency_key.map(IdempotencyKey::parse).transpose()?;
        let request = Request { user_id, filename, policy, idempotency_key };
        match take_in(body, facts::max_bytes(limits, expected)).await? {
            Intake::Whole(bytes) => self.stage_whole(request, bytes).await,
            Intake::Long { head, rest, length } => self.stage_long(request, head, rest, length).await,
        }
    }

    /// Validates first, then writes.
    async fn stage_whole(&self, request: Request, bytes: Bytes) -> Result<StagedFile> {
        let examined = {
            let (bytes, policy) = (bytes.clone(), request.policy.clone());
            blocking(move || Examined::of(&bytes, &policy)).await?
        };
        check_size(bytes.len() as u64, facts::max_bytes(&self.settings.limits, Some(examined.format.kind())))?;
        let id = new_id(examined.format.kind());
        let options =
            PutOptions { content_type: examined.format.content_type().to_owned(), content_md5: Some(examined.md5) };
        let keyed = request.keyed(b"whole", examined.sha256, None);
        let allowance = self.allowance(request.user_id).await?;
        let put = self.put_bytes(id, request.user_id, keyed.as_ref(), allowance, &bytes, &options).await?;
        let (intent, outcome) = match put {
            Put::Done(intent, outcome) => (intent, outcome),
            Put::StoredBefore(id) => return Ok(StagedFile::stored_before(id)),
        };
        let object = StagedObject {
            key: intent.key,
            generation: intent.generation,
            user_id: request.user_id,
            filename: request.filename,
            format: examined.format,
            size_bytes: bytes.len() as u64,
            sha256: Some(examined.sha256),
            etag: outcome.etag,
            is_keyed: keyed.is_some(),
            is_counted: allowance.is_some(),
        };
        Ok(StagedFile::new(id.uuid(), object, examined.facts))
    }

    /// Puts bytes, each attempt under a key of its own: an attempt whose outcome is unknown can then never touch the
    /// object that a later attempt has stored.
    async fn put_bytes(
        &self,
        id: MediaId,
        user_id: Option<UserId>,
        keyed: Option<&Keyed>,
        allowance: Option<Allowance>,
        bytes: &Bytes,
        options: &PutOptions,
    ) -> Result<Put> {
        let hold = allowance.map(|allowance| Hold { allowance, bytes: bytes.len() as u64 });
        let mut intent = match self.declare_keyed(id, user_id, keyed, hold.as_ref()).await? {
            Claim::Declared(intent) => intent,
            Claim::StoredBefore(id) => return Ok(Put::StoredBefore(id)),
        };
        let mut attempt = 1;
        loop {
            let body = Body::Bytes(bytes.clone());
            let error = match self.within_fence(&intent, self.storage.put(&intent.key, body, options)).await {
                Ok(outcome) => return Ok(Put::Done(intent, outcome)),
                Err(error) => error,
            };
            // What had no effect was tried again where it failed, under the same key.
            let is_unknown =
                matches!(&error, ObjectStoreError::Storage(error) if error.retry_class() == RetryClass::OutcomeUnknown);
            if !is_unknown || attempt == PUT_ATTEMPTS {
                self.abandon(&intent, Leftovers::ObjectOnly, LateWrite::after_failure(&error)).await?;
                return Err(error);
            }
            if !mutants::is(Mutant::RepeatsUnderTheSameKey) {
                intent = self.move_on(&intent, id, user_id).await?;
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// Checks the type, writes, then reads the facts back from storage.
    async fn stage_long(
        &self,
        request: Request,
        head: Bytes,
        rest: ByteStream,
        length: Option<u64>,
    ) -> Result<StagedFile> {
        let format = facts::format_of_head(&head, &request.policy)?;
        let limit = facts::max_bytes(&self.settings.limits, Some(format.kind()));
        check_size(length.unwrap_or(head.len() as u64), limit)?;
        let id = new_id(format.kind());
        let keyed = if request.idempotency_key.is_some() {
            let beginning = head.slice(..head.len().min(IN_MEMORY));
            request.keyed(b"long", blocking(move || Ok(sha256(&beginning))).await?, length)
        } else {
            None
        };
        // Of a stream that does not say how long it is, what is there; what follows is reserved as it comes.
        let announced = length.unwrap_or(head.len() as u64);
        let allowance = self.allowance(request.user_id).await?;
        let hold = allowance.map(|allowance| Hold { allowance, bytes: announced });
        let intent = match self.declare_keyed(id, request.user_id, keyed.as_ref(), hold.as_ref()).await? {
            Claim::Declared(intent) => intent,
            Claim::StoredBefore(id) => return Ok(StagedFile::stored_before(id)),
        };

        let first = head.clone();
        let whole = futures::stream::once(async move { Ok(first) }).chain(rest).boxed();
        let (stream, tally) = tallied(whole, limit, length);
        let growing = allowance.filter(|_| length.is_none());
        let (stream, refusal) = match growing {
            Some(allowance) => self.reserving(stream, &intent, allowance, announced, limit),
            None => (stream, Refusal::default()),
        };
        let options = PutOptions { content_type: format.content_type().to_owned(), content_md5: None };
        let outcome = self.put(&intent, Body::Stream { stream, length }, &options).await.map_err(|error| {
            let stopped = refusal.take().or_else(|| tally.refusal().map(ObjectStoreError::from));
            stopped.unwrap_or_else(|| body_error(error))
        })?;
        let (sha256, size_bytes) = tally.finish();

        let source = RangedObject::new(self.storage.clone(), Handle::current(), intent.key.clone(), size_bytes, head);
        let policy = request.policy;
        let examined = async {
            if let Some(allowance) = growing {
                self.trim(&intent, allowance, size_bytes).await?;
            }
            self.within_fence(&intent, blocking(move || facts::of_source(source, &policy))).await
        };
        let examined = examined.await;
        // From here on the caller has the whole fence to commit.
        let examined = match examined {
            Ok((whole, facts)) if whole == format => self.renew(&intent).await.map(|()| (whole, facts)),
            // Stored under another type than it has, and perhaps beyond the limit of that.
            Ok((whole, _)) => Err(changed_its_type(format, whole)),
            Err(error) => Err(error),
        };
        let (format, facts) = match examined {
            Ok(examined) => examined,
            Err(error) => {
                // What was wrong with the file is said, also when the upload was ended meanwhile.
                let _ = self.abandon(&intent, Leftovers::ObjectOnly, LateWrite::Impossible).await;
                return Err(error);
            }
        };
        let object = StagedObject {
            key: intent.key,
            generation: intent.generation,
            user_id: request.user_id,
            filename: request.filename,
            format,
            size_bytes,
            sha256: Some(sha256),
            etag: outcome.etag,
            is_keyed: keyed.is_some(),
            is_counted: allowance.is_some(),
        };
        Ok(StagedFile::new(id.uuid(), object, facts))
    }
}

/// What is known of an upload before its bytes.
struct Request {
    user_id: Option<UserId>,
    filename: Filename,
    policy: Policy,
    idempotency_key: Option<IdempotencyKey>,
}

impl Request {
    /// The idempotency key, if there is one, and what makes a request with it the same: `digest` is of what the body's
    /// `shape` says.
    fn keyed(&self, shape: &'static [u8], digest: Sha256, length: Option<u64>) -> Option<Keyed> {
        let key = self.idempotency_key.clone()?;
        let hash = RequestHash::of("upload")
            .text(Some(self.filename.as_str()))
            .text(self.policy.declared.as_deref())
            .user(self.user_id)
            .text(self.policy.expected.map(Kind::name))
            .bytes(Some(shape))
            .bytes(Some(digest.as_bytes()))
            .number(length)
            .finish();
        Some(Keyed { key, hash })
    }
}

/// What became of bytes to be put.
enum Put {
    Done(Intent, PutOutcome),
    /// An earlier request with the same idempotency key has stored them.
    StoredBefore(MediaId),
}

/// What bytes in memory are.
pub(crate) struct Examined {
    pub(crate) format: Format,
    pub(crate) facts: Facts,
    pub(crate) sha256: Sha256,
    pub(crate) md5: [u8; 16],
}

impl Examined {
    pub(crate) fn of(bytes: &Bytes, policy: &Policy) -> Result<Self> {
        let (format, facts) = facts::of_bytes(bytes, policy)?;
        Ok(Self { format, facts, sha256: sha256(bytes), md5: Md5::digest(bytes).into() })
    }
}

fn sha256(bytes: &[u8]) -> Sha256 {
    <[u8; 32]>::from(sha2::Sha256::digest(bytes)).into()
}

pub(crate) fn new_id(kind: Kind) -> MediaId {
    match kind {
        Kind::Image => ImageId::new().into(),
        Kind::Audio => AudioId::new().into(),
    }
}

fn changed_its_type(head: Format, whole: Format) -> ObjectStoreError {
    let reason = format!("it begins like one, and turns out to be {}", whole.name());
    ValidationError::Corrupt { format: head.name(), reason }.into()
}

/// The body's own failure is not storage's.
fn body_error(error: ObjectStoreError) -> ObjectStoreError {
    match error {
        ObjectStoreError::Storage(object_store_storage::StorageError::Body(error)) => ObjectStoreError::Body(error),
        other => other,
    }
}

/// Parsing and hashing take longer than a runtime thread should be held.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(ObjectStoreError::Interrupted("the thread that examines files stopped")))
}
