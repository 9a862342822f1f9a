//! Every operation of the service, each with what it is done on and what it may leave: for tests that interrupt them all.

use std::io;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store_devkit::faults::{Fault, Operation as Call, When};
use object_store_devkit::samples;
use object_store_models::{ImageId, IntentPurpose, MediaId};
use object_store_repo::{IntentRepo, Owner, RepoError, read_clock};
use object_store_service::{
    Actor, AudioCreate, DirectUpload, DirectUploadCreate, FileCreate, FileRef, ImageCreate, ObjectStoreError,
    ObjectStoreService, PageRequest, Result, StagedFile, UploadBody, UploadMethod, UrlOptions, VerifyOptions,
};
use object_store_storage::{ByteStream, Memory, ObjectKey};

use crate::support::{World, ann, ben, read, user};

/// An operation of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    UploadImage,
    UploadShortStream,
    UploadLongStream,
    UploadInParts,
    UploadWithKey,
    StageAndDiscard,
    CommitStaged,
    BeginForm,
    BeginPut,
    BeginWithKey,
    Complete,
    CompleteWithoutCopy,
    CompleteLong,
    CompleteWithKey,
    CompleteRefused,
    Cancel,
    Delete,
    DeleteInTransaction,
    Sweep,
    VerifyAndRepair,
    EraseUser,
    Explain,
    ReadAndList,
    Sign,
    BeginInParts,
    SignAndListParts,
    CompleteInParts,
    CancelInParts,
    Usage,
    RecountUsage,
}

/// What an operation is done on.
pub(crate) struct Given {
    id: Option<MediaId>,
    staged: Option<StagedFile>,
    /// Objects that the test has put into storage without a name.
    pub(crate) nameless: Vec<String>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Failed(ObjectStoreError),
    /// Nobody was told.
    Dropped,
}

/// When an operation is done a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// At once: later it would be too late.
    AtOnce,
    /// When a sweep has cleaned up: until then it may be refused as under way, or has nothing to show.
    AfterSweep,
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Failed(error),
        }
    }
}

/// More than 8 MiB.
static LONG: LazyLock<Bytes> = LazyLock::new(|| {
    let wav = samples::wav(48_000, 2, 16, 44_000);
    assert!(wav.len() > Memory::MULTIPART_THRESHOLD);
    wav.into()
});

/// More than 8 MiB, whose facts are read back from storage: its duration is on the last page.
static LONG_OGG: LazyLock<Bytes> = LazyLock::new(|| {
    let ogg = samples::ogg_opus(45_000_000, "", "");
    assert!(ogg.len() > Memory::MULTIPART_THRESHOLD);
    ogg.into()
});

const DAY: Duration = Duration::from_hours(25);

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 30] = [
        Self::UploadImage,
        Self::UploadShortStream,
        Self::UploadLongStream,
        Self::UploadInParts,
        Self::UploadWithKey,
        Self::StageAndDiscard,
        Self::CommitStaged,
        Self::BeginForm,
        Self::BeginPut,
        Self::BeginWithKey,
        Self::Complete,
        Self::CompleteWithoutCopy,
        Self::CompleteLong,
        Self::CompleteWithKey,
        Self::CompleteRefused,
        Self::Cancel,
        Self::Delete,
        Self::DeleteInTransaction,
        Self::Sweep,
        Self::VerifyAndRepair,
        Self::EraseUser,
        Self::Explain,
        Self::ReadAndList,
        Self::Sign,
        Self::BeginInParts,
        Self::SignAndListParts,
        Self::CompleteInParts,
        Self::CancelInParts,
        Self::Usage,
        Self::RecountUsage,
    ];

    /// What there is before it. The world is empty.
    pub(crate) async fn given(self, world: &World) -> Given {
        let mut given = Given { id: None, staged: None, nameless: Vec::new() };
        match self {
            Self::UploadImage
            | Self::UploadShortStream
            | Self::UploadLongStream
            | Self::UploadInParts
            | Self::UploadWithKey
            | Self::StageAndDiscard
            | Self::BeginForm
            | Self::BeginPut
            | Self::BeginWithKey
            | Self::BeginInParts => {}
            Self::SignAndListParts => {
                given.id = Some(world.service.begin_direct_upload(ann(), in_parts()).await.unwrap().id);
            }
            Self::CompleteInParts | Self::CancelInParts => given.id = Some(sent_in_parts(world).await),
            Self::CommitStaged => given.staged = Some(staged(world).await),
            Self::Complete | Self::Cancel => given.id = Some(sent(world, form(), png()).await),
            Self::CompleteWithoutCopy => {
                given.id = Some(sent(world, form(), png()).await);
                self.equip(world);
            }
            Self::CompleteWithKey => given.id = Some(sent(world, form().idempotent("key"), png()).await),
            Self::CompleteLong => {
                let create = DirectUploadCreate::audio("a.wav", "audio/wav");
                given.id = Some(sent(world, create, LONG.clone()).await);
            }
            Self::CompleteRefused => given.id = Some(sent(world, form(), samples::html().into()).await),
            Self::Delete | Self::DeleteInTransaction | Self::Explain | Self::ReadAndList | Self::Sign | Self::Usage => {
                given.id = Some(uploaded(world, ann()).await);
            }
            Self::RecountUsage => {
                uploaded(world, ann()).await;
                world.miscount().await;
            }
            Self::Sweep => {
                uploaded(world, ann()).await;
                leave_work(world).await;
            }
            Self::VerifyAndRepair => {
                uploaded(world, ann()).await;
                given.nameless = seen_orphans(world).await;
            }
            Self::EraseUser => {
                uploaded(world, ben()).await;
                uploaded(world, ann()).await;
                let _staged = staged(world).await;
                sent(world, form(), png()).await;
            }
        }
        given
    }

    /// Makes storage what the operation is about, also when a test has healed it.
    pub(crate) fn equip(self, world: &World) {
        if self == Self::CompleteWithoutCopy {
            world.storage.fail(Call::Copy, When::Always, Fault::Unsupported);
        }
    }

    /// Does it.
    pub(crate) async fn act(self, service: &ObjectStoreService, given: &Given) -> Result<()> {
        match self {
            Self::UploadImage => {
                service.upload_image(ann(), ImageCreate::new("a.png"), png().into()).await?;
            }
            Self::UploadShortStream => {
                let wav = samples::wav(8_000, 1, 16, 50);
                let body = UploadBody::from_stream(hesitant(&wav, 300), None);
                service.upload_file(ann(), FileCreate::new("a.wav"), body).await?;
            }
            Self::UploadLongStream => {
                let body = UploadBody::from_stream(hesitant(&LONG, 3 << 20), Some(LONG.len() as u64));
                service.upload_audio(ann(), AudioCreate::new("a.wav"), body).await?;
            }
            Self::UploadInParts => {
                let body = UploadBody::from_stream(hesitant(&LONG_OGG, 3 << 20), None);
                service.upload_audio(ann(), AudioCreate::new("a.ogg"), body).await?;
            }
            Self::UploadWithKey => {
                let create = ImageCreate::new("a.png").idempotent("key");
                service.upload_image(ann(), create, png().into()).await?;
            }
            Self::StageAndDiscard => {
                let staged = service.stage_image(ann(), ImageCreate::new("a.png"), png().into()).await?;
                service.discard(staged).await;
            }
            Self::CommitStaged => {
                let mut tx = service.begin().await?;
                service.commit_file(&mut tx, given.staged.as_ref().unwrap()).await?;
                tx.commit().await?;
            }
            Self::BeginForm => begin(service, form()).await?,
            Self::BeginPut => begin(service, form().sized(png().len() as u64).by_put(None)).await?,
            Self::BeginWithKey => begin(service, form().idempotent("key")).await?,
            Self::BeginInParts => begin(service, in_parts().idempotent("key")).await?,
            Self::SignAndListParts => {
                let signed = service.sign_upload_parts(ann(), given.id(), &[1]).await?;
                assert_eq!(signed[0].size_bytes, png().len() as u64);
                let parts = service.list_upload_parts(ann(), given.id()).await?;
                assert_eq!(parts.missing, [1]);
            }
            Self::Complete
            | Self::CompleteWithoutCopy
            | Self::CompleteLong
            | Self::CompleteWithKey
            | Self::CompleteInParts => {
                let stored = service.complete_upload(ann(), given.id()).await?;
                assert_eq!(stored.id(), given.id());
            }
            Self::CompleteRefused => match service.complete_upload(ann(), given.id()).await {
                Ok(stored) => panic!("{stored:?}"),
                Err(ObjectStoreError::Invalid(_)) => {}
                Err(error) => return Err(error),
            },
            Self::Cancel | Self::CancelInParts => service.cancel_upload(ann(), given.id()).await?,
            Self::Delete => service.delete(ann(), given.id()).await?,
            Self::DeleteInTransaction => {
                let mut tx = service.begin().await?;
                service.delete_in(&mut tx, ann(), given.id()).await?;
                tx.commit().await?;
            }
            Self::Sweep => {
                service.sweep().await?;
            }
            Self::VerifyAndRepair => {
                let rehash = std::num::NonZeroU64::new(1 << 40);
                let report = service.verify(&VerifyOptions { rehash, ..VerifyOptions::repairing() }).await?;
                assert_eq!((report.missing, report.size_mismatches, report.digest_mismatches), (0, 0, 0), "{report:?}");
            }
            Self::EraseUser => {
                service.erase_user(ann(), user(1)).await?;
            }
            Self::Explain => {
                assert!(service.explain(given.id()).await?.is_known());
            }
            Self::ReadAndList => read_everything(service, given.id()).await?,
            Self::Sign => {
                let file = {
                    let mut conn = service.connection().await?;
                    service.get_file(&mut conn, ann(), given.id()).await?
                };
                service.signed_url(ann(), FileRef::from(&file), &UrlOptions::default()).await?;
                service.due(10).await?;
            }
            Self::Usage => {
                let usage = service.usage(ann(), user(1)).await?;
                assert_eq!((usage.used, usage.reserved), (png().len() as u64, 0));
            }
            Self::RecountUsage => {
                service.recount_usage(None).await?;
                assert_eq!(service.recount_usage(Some(user(1))).await?.corrected, 0);
            }
        }
        Ok(())
    }

    /// How many rows there may be after it.
    pub(crate) fn rows(self, outcome: &Outcome) -> RangeInclusive<i64> {
        let (before, after) = match self {
            Self::UploadImage
            | Self::UploadShortStream
            | Self::UploadLongStream
            | Self::UploadInParts
            | Self::UploadWithKey
            | Self::CommitStaged
            | Self::Complete
            | Self::CompleteWithoutCopy
            | Self::CompleteLong
            | Self::CompleteWithKey
            | Self::CompleteInParts => (0, 1),
            Self::StageAndDiscard
            | Self::BeginForm
            | Self::BeginPut
            | Self::BeginWithKey
            | Self::BeginInParts
            | Self::SignAndListParts
            | Self::CompleteRefused
            | Self::Cancel
            | Self::CancelInParts => (0, 0),
            Self::Delete | Self::DeleteInTransaction => (1, 0),
            Self::Sweep
            | Self::VerifyAndRepair
            | Self::Explain
            | Self::ReadAndList
            | Self::Sign
            | Self::Usage
            | Self::RecountUsage => (1, 1),
            Self::EraseUser => (2, 1),
        };
        let either = before.min(after)..=before.max(after);
        match outcome {
            Outcome::Done => after..=after,
            Outcome::Dropped | Outcome::Failed(ObjectStoreError::Database(RepoError::CommitUnknown { .. })) => either,
            // It deletes page by page, and may fail after some.
            Outcome::Failed(_) if self == Self::EraseUser => either,
            Outcome::Failed(_) => before..=before,
        }
    }

    /// When it is done again.
    pub(crate) fn again(self) -> Again {
        match self {
            Self::CommitStaged
            | Self::BeginWithKey
            | Self::Complete
            | Self::CompleteWithoutCopy
            | Self::CompleteLong
            | Self::CompleteWithKey
            | Self::CompleteRefused
            | Self::Cancel
            | Self::BeginInParts
            | Self::SignAndListParts
            | Self::CompleteInParts
            | Self::CancelInParts
            | Self::VerifyAndRepair => Again::AtOnce,
            _ => Again::AfterSweep,
        }
    }

    /// Does it again, now that there are `rows`, and says how many there must be then.
    pub(crate) async fn act_again(self, world: &World, given: &Given, rows: i64, when: &str) -> i64 {
        let again = self.act(&world.service, given).await;
        let code = again.as_ref().map_err(ObjectStoreError::code).err();
        let (allowed, rows_then): (&[Option<&str>], i64) = match self {
            Self::UploadImage | Self::UploadShortStream | Self::UploadLongStream | Self::UploadInParts => {
                (&[None], rows + 1)
            }
            Self::UploadWithKey
            | Self::Complete
            | Self::CompleteWithoutCopy
            | Self::CompleteLong
            | Self::CompleteWithKey
            | Self::CompleteInParts
            | Self::Sweep
            | Self::VerifyAndRepair
            | Self::EraseUser
            | Self::Explain
            | Self::ReadAndList
            | Self::Sign
            | Self::Usage
            | Self::RecountUsage => (&[None], 1),
            Self::CommitStaged => (if rows == 1 { &[Some("upload_expired")] } else { &[None] }, 1),
            Self::StageAndDiscard
            | Self::BeginForm
            | Self::BeginPut
            | Self::BeginWithKey
            | Self::BeginInParts
            | Self::SignAndListParts
            | Self::Cancel
            | Self::CancelInParts => (&[None], 0),
            // Ended already, it is over.
            Self::CompleteRefused => (&[None, Some("upload_expired")], 0),
            Self::Delete | Self::DeleteInTransaction => (if rows == 0 { &[Some("not_found")] } else { &[None] }, 0),
        };
        assert!(allowed.contains(&code), "{when}: done again: {again:?}");
        if matches!(self, Self::BeginWithKey | Self::BeginInParts) {
            let mut conn = world.database.reader().await.unwrap();
            assert_eq!(IntentRepo::count(&mut conn).await.unwrap(), 1, "{when}: begun once");
        }
        rows_then
    }
}

impl Given {
    fn id(&self) -> MediaId {
        self.id.unwrap()
    }
}

fn png() -> Bytes {
    samples::png(6, 4).into()
}

fn form() -> DirectUploadCreate {
    DirectUploadCreate::image("a.png", "image/png")
}

/// An upload of one part, which is the last and may be small.
fn in_parts() -> DirectUploadCreate {
    form().sized(png().len() as u64).resumable()
}

/// Pieces between which the sender waits.
fn hesitant(bytes: &[u8], piece_bytes: usize) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
    futures::stream::iter(pieces)
        .then(|piece| async move {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(piece)
        })
        .boxed()
}

async fn uploaded(world: &World, actor: Actor) -> MediaId {
    world.service.upload_image(actor, ImageCreate::new("a.png"), png().into()).await.unwrap().id.into()
}

async fn staged(world: &World) -> StagedFile {
    world.service.stage_file(ann(), FileCreate::new("a.png"), png().into()).await.unwrap()
}

async fn begin(service: &ObjectStoreService, create: DirectUploadCreate) -> Result<()> {
    service.begin_direct_upload(ann(), create).await.map(drop)
}

async fn sent(world: &World, create: DirectUploadCreate, bytes: Bytes) -> MediaId {
    let DirectUpload { id, method, .. } = world.service.begin_direct_upload(ann(), create).await.unwrap();
    let UploadMethod::Post { url, fields, .. } = &method else { panic!("{method:?}") };
    world.memory.submit_post(url, fields, bytes).unwrap();
    id
}

async fn sent_in_parts(world: &World) -> MediaId {
    let DirectUpload { id, .. } = world.service.begin_direct_upload(ann(), in_parts()).await.unwrap();
    for part in world.service.sign_upload_parts(ann(), id, &[1]).await.unwrap() {
        world.memory.submit_put(&part.url, &part.headers, png()).unwrap();
    }
    id
}

/// An abandoned upload, whose key has a multipart upload open, and a deleted image whose object is still there.
async fn leave_work(world: &World) {
    let deleted = uploaded(world, ann()).await;
    world.storage.fail(Call::Delete, When::Always, Fault::Unavailable);
    world.service.delete(ann(), deleted).await.unwrap();
    world.storage.heal();
    let _staged = staged(world).await;
    let mut conn = world.database.reader().await.unwrap();
    let intents = IntentRepo::list(&mut conn, None, 10).await.unwrap();
    assert_eq!(intents.len(), 2);
    let abandoned = intents.iter().find(|intent| intent.purpose == IntentPurpose::Upload).unwrap();
    world.memory.begin_multipart_upload(&ObjectKey::parse(&abandoned.s3_key).unwrap());
    drop(conn);
    world.let_fences_pass().await;
}

/// Objects and a multipart upload that nothing names, and that an earlier verify has seen.
async fn seen_orphans(world: &World) -> Vec<String> {
    let keys: Vec<String> = ["image", "audio", "staging"].iter().map(|kind| own_key(kind)).collect();
    for key in &keys[..2] {
        world.memory.insert_foreign(key, "image/png", "orphan");
    }
    world.memory.begin_multipart_upload(&ObjectKey::parse(&keys[2]).unwrap());
    world.memory.advance(DAY);
    assert_eq!(world.service.verify(&VerifyOptions::default()).await.unwrap().found(), 3);
    // An orphan that was seen in the tick of the clock in which a verify starts was not seen before it.
    let now = async || read_clock(&mut world.database.reader().await.unwrap()).await.unwrap();
    let seen = now().await;
    while now().await == seen {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    keys
}

fn own_key(kind: &str) -> String {
    format!("{kind}/{}/{}", uuid::Uuid::now_v7(), uuid::Uuid::new_v4().simple())
}

async fn read_everything(service: &ObjectStoreService, id: MediaId) -> Result<()> {
    let mut conn = service.connection().await?;
    let page = service.list_images(&mut conn, ann(), Owner::User(user(1)), &PageRequest::default()).await?;
    assert_eq!(page.items.len(), 1);
    service.list_audios(&mut conn, ann(), Owner::User(user(1)), &PageRequest::default()).await?;
    assert!(service.exists(&mut conn, ann(), id).await?);
    service.get_image(&mut conn, ann(), ImageId::from(id.uuid())).await?;
    drop(conn);
    service.check().await?;
    let download = service.download(ann(), id, None).await?;
    assert_eq!(read(download).await, png());
    Ok(())
}
