//! Beginning a direct upload: a signed request for a key that an intent names.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use object_store_media::{Format, Kind, declared_matches, is_undeclared};
use object_store_models::{IntentPurpose, MediaId, NewIntent, ObjectIntent, Timestamp, UserId};
use object_store_repo::{Deadlines, IdempotencyRepo, IntentRepo, UsageRepo};
use object_store_storage::{MAX_PRESIGN_SECONDS, ObjectKey, PresignPost, PresignPut, StorageError};

use crate::actor::Actor;
use crate::authorize;
use crate::direct::declared::{DeclaredUpload, kind_of_bytes};
use crate::direct::parts::Parts;
use crate::dto::{DirectUpload, DirectUploadCreate, UploadMethod, UploadVia};
use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::filename::Filename;
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::settings::Limits;
use crate::translate::CorruptRow;
use crate::upload::abandon::fresh_staging_key;
use crate::upload::facts;
use crate::upload::idempotency::{Holder, IdempotencyKey, Keyed, RequestHash, holder};
use crate::upload::intake::check_size;
use crate::upload::pause;
use crate::upload::reserve::{Hold, declare_holding, grow};
use crate::upload::stage::new_id;
use crate::upload::write::{INTENT_ATTEMPTS, declare_on, may_be_repeated};

/// The most bytes that one request carries to S3 (AWS user guide, "Amazon S3 multipart upload limits").
const MAX_REQUEST_BYTES: u64 = 5 << 30;

/// The longest part of a declared type that is shown in an error.
const SHOWN_TYPE_CHARS: usize = 100;

impl ObjectStoreService {
    /// Begins an upload that the client sends to storage itself.
    pub async fn begin_direct_upload(&self, actor: Actor, create: DirectUploadCreate) -> Result<DirectUpload> {
        let user_id = authorize::owner_of_new(actor, create.owner)?;
        let plan = self.plan(user_id, &create)?;
        let allowance = self.allowance(user_id).await?;
        // All that the signature lets the client send.
        let bytes = plan.declared.size_bytes.unwrap_or(plan.limit);
        let hold = allowance.map(|allowance| Hold { allowance, bytes });
        let id = new_id(plan.format.kind());
        let key = fresh_staging_key(id)?;
        let request = match &plan.means {
            Means::Request(request) => request,
            Means::Parts => return self.begin_in_parts(id, key, &plan, hold.as_ref()).await,
        };
        // Nobody has the signature before this returns, so that it may come first: what fails here leaves nothing.
        let signed = self.sign_upload(id, &key, &plan, request).await?;
        match self.declare_direct(id, &key, &plan, hold.as_ref()).await? {
            Begun::Anew => Ok(signed),
            Begun::Before(intent) => {
                let key = ObjectKey::parse(&intent.s3_key).map_err(|error| CorruptRow::of(intent.media_id, error))?;
                self.sign_upload(intent.media_id, &key, &plan, request).await
            }
            Begun::Completed(id, expires_at) => Ok(DirectUpload { id, method: UploadMethod::Completed, expires_at }),
        }
    }

    /// Checks all that can be known beforehand.
    fn plan(&self, user_id: Option<UserId>, create: &DirectUploadCreate) -> Result<Plan> {
        let limits = &self.settings.limits;
        let idempotency_key = create.idempotency_key.clone().map(IdempotencyKey::parse).transpose()?;
        let filename = Filename::sanitize(&create.filename);
        let format = declared_format(limits, &create.content_type)?;
        if let Some(expected) = create.kind.filter(|expected| kind_of_bytes(*expected) != format.kind()) {
            let (declared, detected) = (expected.as_str().to_owned(), format.content_type().to_owned());
            return Err(ValidationError::TypeMismatch { declared, detected }.into());
        }
        let limit = max_request_bytes(limits, format.kind());
        check_announced(create.size_bytes, limit)?;
        let life = self.direct_life(create.expires_in)?;
        let (means, parts) = match (create.via, create.size_bytes) {
            (UploadVia::Form, _) => (Means::Request(Request::Form), None),
            (_, None) => return Err(ValidationError::SizeRequired.into()),
            (UploadVia::Put { content_md5 }, Some(content_length)) => {
                (Means::Request(Request::Put { content_length, content_md5 }), None)
            }
            (UploadVia::Parts, Some(actual)) => {
                (Means::Parts, Some(Parts::for_size(actual).ok_or(ValidationError::TooLarge { limit, actual })?))
            }
        };
        let hash = request_hash(user_id, &filename, create, life);
        Ok(Plan {
            user_id,
            declared: DeclaredUpload {
                filename: filename.as_str().to_owned(),
                content_type: essence(&create.content_type).to_owned(),
                size_bytes: create.size_bytes,
                is_keyed: idempotency_key.is_some(),
                part_bytes: parts.map(|parts| parts.part_bytes()),
            },
            format,
            limit,
            life,
            means,
            keyed: idempotency_key.map(|key| Keyed { key, hash }),
        })
    }

    fn direct_life(&self, asked: Option<Duration>) -> Result<Duration, ValidationError> {
        let actual = asked.unwrap_or(self.settings.timings.direct_upload);
        let limit = Duration::from_secs(MAX_PRESIGN_SECONDS.into());
        if (Duration::from_secs(1)..=limit).contains(&actual) {
            Ok(actual)
        } else {
            Err(ValidationError::BadUrlLife { limit, actual })
        }
    }

    async fn sign_upload(&self, id: MediaId, key: &ObjectKey, plan: &Plan, request: &Request) -> Result<DirectUpload> {
        // The canonical name, whatever the client calls it: the object keeps it.
        let content_type = plan.format.content_type().to_owned();
        let size = plan.declared.size_bytes;
        let (method, expires_at) = match *request {
            Request::Form => {
                let max_bytes = size.unwrap_or(plan.limit);
                let form = PresignPost { expires_in: plan.life, content_type, min_bytes: size.unwrap_or(1), max_bytes };
                match (self.storage.presign_post(key, &form).await, size) {
                    (Err(StorageError::Unsupported { .. }), Some(content_length)) => {
                        self.sign_put(key, plan, content_length, None).await?
                    }
                    (signed, _) => {
                        let signed = signed.map_err(no_forms)?;
                        (UploadMethod::Post { url: signed.url, fields: signed.fields, max_bytes }, signed.expires_at)
                    }
                }
            }
            Request::Put { content_length, content_md5 } => {
                self.sign_put(key, plan, content_length, content_md5).await?
            }
        };
        Ok(DirectUpload { id, method, expires_at: DateTime::<Utc>::from(expires_at).into() })
    }

    async fn sign_put(
        &self,
        key: &ObjectKey,
        plan: &Plan,
        content_length: u64,
        content_md5: Option<[u8; 16]>,
    ) -> Result<(UploadMethod, SystemTime)> {
        let content_type = plan.format.content_type().to_owned();
        let put = PresignPut { expires_in: plan.life, content_type, content_length, content_md5 };
        let signed = self.storage.presign_put(key, &put).await?;
        Ok((UploadMethod::Put { url: signed.url, headers: signed.headers }, signed.expires_at))
    }

    /// Commits the intent that names the key, unless a request with the same idempotency key was here before.
    pub(super) async fn declare_direct(
        &self,
        id: MediaId,
        key: &ObjectKey,
        plan: &Plan,
        hold: Option<&Hold>,
    ) -> Result<Begun> {
        let declared = plan.declared.to_json();
        let intent = NewIntent {
            s3_key: key.as_str(),
            purpose: IntentPurpose::Direct,
            media_id: id,
            user_id: plan.user_id,
            declared: &declared,
            multipart_upload_id: None,
        };
        let mut attempt = 1;
        loop {
            let begun = match &plan.keyed {
                None => self.declare_unkeyed(&intent, plan.life, hold, attempt > 1).await,
                Some(keyed) => self.declare_direct_keyed(&intent, keyed, plan.life, hold, attempt > 1).await,
            };
            match begun {
                // The same again: if the first attempt took effect, this one finds it.
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn declare_unkeyed(
        &self,
        intent: &NewIntent<'_>,
        life: Duration,
        hold: Option<&Hold>,
        repeated: bool,
    ) -> Result<Begun> {
        if mutants::is(Mutant::BeginsWithoutIntent) {
            return Ok(Begun::Anew);
        }
        let deadlines = self.direct_deadlines(life);
        match hold {
            None => self.database.statements(async |conn| declare_on(conn, intent, deadlines).await).await?,
            Some(hold) => {
                self.database
                    .transaction(async |conn| declare_holding(conn, intent, deadlines, hold, repeated).await)
                    .await?
            }
        };
        Ok(Begun::Anew)
    }

    async fn declare_direct_keyed(
        &self,
        intent: &NewIntent<'_>,
        keyed: &Keyed,
        life: Duration,
        hold: Option<&Hold>,
        repeated: bool,
    ) -> Result<Begun> {
        let deadlines = self.direct_deadlines(life);
        let new_key = keyed.of(intent.media_id, intent.user_id);
        let expires_in = deadlines.clears_in + self.settings.timings.idempotency;
        self.database
            .transaction(async |conn| {
                if let Some(hold) = hold {
                    // Before the idempotency key, as whoever completes.
                    UsageRepo::lock(conn, hold.allowance.user).await?;
                }
                match holder(conn, &new_key, expires_in, IntentPurpose::Direct).await? {
                    Holder::Mine => {
                        match hold {
                            None => declare_on(conn, intent, deadlines).await?,
                            Some(hold) => declare_holding(conn, intent, deadlines, hold, repeated).await?,
                        };
                        Ok(Begun::Anew)
                    }
                    Holder::Completed(id, expires_at) => Ok(Begun::Completed(id, expires_at)),
                    // It gets a fresh signature, which the intent has to outlive.
                    Holder::Open(open) => {
                        let renewed = IntentRepo::renew_fence(conn, &open.s3_key, open.generation, deadlines).await?;
                        if !renewed || !IdempotencyRepo::renew(conn, open.media_id, expires_in).await? {
                            return Err(ObjectStoreError::InProgress);
                        }
                        if let Some(hold) = hold {
                            // More, if the signature allows more than the first one did.
                            let (allowance, bytes) = (hold.allowance, hold.bytes);
                            grow(conn, &open.s3_key, open.generation, allowance, bytes, bytes).await?;
                        }
                        Ok(Begun::Before(open))
                    }
                }
            })
            .await
    }

    /// A request that was sent in time may land this much later.
    fn direct_deadlines(&self, life: Duration) -> Deadlines {
        let until = life + self.settings.timings.late_write;
        Deadlines { not_before_in: until, clears_in: until }
    }
}

/// A direct upload as it will be signed.
pub(super) struct Plan {
    user_id: Option<UserId>,
    declared: DeclaredUpload,
    pub(super) format: Format,
    limit: u64,
    life: Duration,
    means: Means,
    pub(super) keyed: Option<Keyed>,
}

/// How the bytes come, with what each way needs.
enum Means {
    Request(Request),
    Parts,
}

enum Request {
    Form,
    Put { content_length: u64, content_md5: Option<[u8; 16]> },
}

/// What a request came upon.
pub(super) enum Begun {
    Anew,
    /// Begun with the same idempotency key before, and not completed.
    Before(ObjectIntent),
    /// Begun with the same idempotency key before, and completed.
    Completed(MediaId, Timestamp),
}

/// The accepted format that is declared; of several with the same name, the one that is accepted first.
fn declared_format(limits: &Limits, declared: &str) -> Result<Format, ValidationError> {
    let unsupported = || {
        let shown: String = essence(declared).chars().take(SHOWN_TYPE_CHARS).collect();
        let detected = if shown.is_empty() { "that is not declared".to_owned() } else { shown };
        ValidationError::UnsupportedType { detected }
    };
    if is_undeclared(declared) {
        return Err(unsupported());
    }
    let named = |format: &&Format| declared_matches(declared, **format);
    // `audio/aac` is a name of M4A, but the very name of ADTS.
    let canonical = |format: &&Format| essence(declared).eq_ignore_ascii_case(format.content_type());
    let formats = || limits.formats.iter().filter(named);
    formats().find(canonical).or_else(|| formats().next()).copied().ok_or_else(unsupported)
}

/// Type and subtype, without parameters.
fn essence(declared: &str) -> &str {
    declared.split(';').next().unwrap_or_default().trim()
}

pub(super) fn max_request_bytes(limits: &Limits, kind: Kind) -> u64 {
    facts::max_bytes(limits, Some(kind)).min(MAX_REQUEST_BYTES)
}

fn check_announced(size_bytes: Option<u64>, limit: u64) -> Result<(), ValidationError> {
    match size_bytes {
        Some(0) => Err(ValidationError::Empty),
        Some(size) => check_size(size, limit),
        None => Ok(()),
    }
}

fn request_hash(
    user_id: Option<UserId>,
    filename: &Filename,
    create: &DirectUploadCreate,
    life: Duration,
) -> object_store_models::Sha256 {
    let (via, md5) = match &create.via {
        UploadVia::Form => ("form", None),
        UploadVia::Put { content_md5 } => ("put", content_md5.as_ref()),
        UploadVia::Parts => ("parts", None),
    };
    RequestHash::of("direct")
        .text(Some(filename.as_str()))
        .text(Some(&create.content_type))
        .user(user_id)
        .text(create.kind.map(object_store_models::MediaKind::as_str))
        .number(create.size_bytes)
        .number(Some(life.as_secs()))
        .text(Some(via))
        .bytes(md5.map(<[u8; 16]>::as_slice))
        .finish()
}

fn no_forms(error: StorageError) -> ObjectStoreError {
    match error {
        StorageError::Unsupported { .. } => {
            ValidationError::MethodUnsupported { method: "POST", alternative: "PUT" }.into()
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use object_store_media::Format;

    use super::declared_format;
    use crate::error::ValidationError;
    use crate::settings::Limits;

    #[test]
    fn a_declared_type_is_that_of_an_accepted_format() {
        let limits = Limits::default();
        for (declared, format) in [
            ("image/png", Format::Png),
            ("IMAGE/JPG; q=1", Format::Jpeg),
            ("audio/x-wav", Format::Wav),
            ("audio/ogg", Format::OggVorbis),
            ("audio/aac", Format::Mp4Audio),
        ] {
            assert_eq!(declared_format(&limits, declared), Ok(format), "{declared}");
        }
        let all = Limits { formats: Format::all().to_vec(), ..limits };
        assert_eq!(declared_format(&all, "audio/aac"), Ok(Format::Adts));
    }

    #[test]
    fn anything_else_is_unsupported() {
        for declared in ["", " ", "application/octet-stream", "text/html", "image/svg+xml", "image/tiff", "png"] {
            let refused = declared_format(&Limits::default(), declared);
            assert!(matches!(refused, Err(ValidationError::UnsupportedType { .. })), "{declared}");
        }
    }
}
