use std::fmt;

use async_trait::async_trait;
use object_store_models::{AudioId, ImageId, MediaId, UserId};
use object_store_repo::{Connection, Database, MigrationStatus, Owner, PoolStatus, Transaction};
use object_store_s3_provider::S3Config;
use object_store_service::{
    Actor, AudioCreate, AudioRead, ConfigError, CopyStoreOptions, CopyStoreReport, DirectUpload, DirectUploadCreate,
    DueReport, EraseReport, FileCreate, FileRef, FileUploadResult, ImageCreate, ImageRead, ObjectLife,
    ObjectStoreService, Page, PageRequest, RecountReport, Result, SignedPart, SignedUrl, StagedAudio, StagedFile,
    StagedImage, SweepReport, UploadBody, UploadParts, UrlOptions, Usage, VerifyOptions, VerifyReport,
};
use object_store_storage::{
    BucketInfo, ByteRange, Check, CheckupOptions as DoctorOptions, Download, Fix, ObjectStorage, ProbedCapability,
};

use crate::compose::{Resources, s3};
use crate::provider::ObjectStoreProvider;

/// The whole module: what siblings use through [`ObjectStoreProvider`], and what operators need beyond that.
pub struct ObjectStoreModule {
    service: ObjectStoreService,
    database: Database,
    storage: std::sync::Arc<dyn ObjectStorage>,
    /// Lives as long as the module: a temporary directory, a server in this process.
    _resources: Resources,
}

impl ObjectStoreModule {
    pub(crate) fn new(
        service: ObjectStoreService,
        database: Database,
        storage: std::sync::Arc<dyn ObjectStorage>,
        resources: Resources,
    ) -> Self {
        Self { service, database, storage, _resources: resources }
    }

    /// Brings the tables up to date. Returns the names of the migrations that were applied.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        Ok(self.database.migrate().await?)
    }

    /// Takes back the newest `count` migrations, **with the data that they hold**. Returns their names.
    pub async fn revert_migrations(&self, count: usize) -> Result<Vec<String>> {
        Ok(self.database.revert(count).await?)
    }

    /// All migrations, oldest first, and whether each is applied.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>> {
        Ok(self.database.migration_status().await?)
    }

    /// What the database is, such as `PostgreSQL 15.18`.
    pub async fn database_version(&self) -> Result<String> {
        Ok(self.database.server_version().await?)
    }

    /// How many connections are in use.
    pub fn pool_status(&self) -> PoolStatus {
        self.database.pool_status()
    }

    /// Creates the bucket if it does not exist. True if it was created.
    pub async fn ensure_bucket(&self) -> Result<bool> {
        Ok(self.storage.ensure_bucket().await?)
    }

    /// What a sweep would take now, and up to `limit` of it in full. Takes nothing.
    pub async fn due(&self, limit: u16) -> Result<DueReport> {
        self.service.due(limit).await
    }

    /// All that is known of the id of an image or an audio file, or of an upload that was to become one: its row, its
    /// intents, and its objects as storage sees them.
    pub async fn explain(&self, id: MediaId) -> Result<ObjectLife> {
        self.service.explain(id).await
    }

    /// Finds out what the storage can do beyond what every S3 server does, by requests that leave nothing behind. From then
    /// on this module does without what is not there: a direct upload of known size is signed as a `PUT` where there are no
    /// forms, and what a client has sent is put again where it cannot be copied on a condition. Call it at start-up, and
    /// log what is lacking; without it, everything is taken to be there.
    ///
    /// # Errors
    /// When the storage does not answer one of the requests in a way that means yes or no.
    pub async fn probe_storage(&self) -> Result<Vec<ProbedCapability>> {
        Ok(self.storage.probe_capabilities().await?)
    }

    /// Does what a line of [`ObjectStoreProvider::doctor`] has offered: adds a CORS or a lifecycle rule to the bucket, and
    /// keeps those that are there.
    ///
    /// # Errors
    /// [`Storage`](crate::ObjectStoreError::Storage) with what the server says.
    pub async fn apply_fix(&self, fix: &Fix) -> Result<()> {
        self.service.apply_fix(fix).await
    }

    /// Copies the object of every row to another bucket, compared by SHA-256, so that the store can move there. Nothing
    /// here changes, and uploads and deletes may go on: run it again for what came in between.
    ///
    /// # Errors
    /// [`Config`](crate::ObjectStoreError::Config) for a target that cannot be used or is this very bucket,
    /// [`Storage`](crate::ObjectStoreError::Storage) and [`Database`](crate::ObjectStoreError::Database). Single objects
    /// that could not be copied are in the report.
    pub async fn copy_store_to(&self, target: S3Config, options: &CopyStoreOptions) -> Result<CopyStoreReport> {
        let target = s3(target).await?;
        let (here, there) = (self.storage.bucket_info().await?, target.bucket_info().await?);
        if (here.endpoint, here.bucket, here.prefix) == (there.endpoint, there.bucket, there.prefix) {
            return Err(ConfigError::new("the target", "is the bucket that is copied").into());
        }
        self.service.copy_store(&target, options).await
    }

    /// What storage says about the bucket.
    pub async fn bucket_info(&self) -> Result<BucketInfo> {
        Ok(self.storage.bucket_info().await?)
    }
}

impl fmt::Debug for ObjectStoreModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreModule").field("storage", &self.storage).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStoreProvider for ObjectStoreModule {
    async fn check(&self) -> Result<()> {
        self.service.check().await
    }

    async fn doctor(&self, options: &DoctorOptions) -> Vec<Check> {
        self.service.check_up(options).await
    }

    async fn connection(&self) -> Result<Connection<'static>> {
        self.service.connection().await
    }

    async fn begin(&self) -> Result<Transaction> {
        self.service.begin().await
    }

    async fn upload_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<ImageRead> {
        self.service.upload_image(actor, image, body).await
    }

    async fn upload_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<AudioRead> {
        self.service.upload_audio(actor, audio, body).await
    }

    async fn upload_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<FileUploadResult> {
        self.service.upload_file(actor, file, body).await
    }

    async fn stage_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<StagedImage> {
        self.service.stage_image(actor, image, body).await
    }

    async fn stage_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<StagedAudio> {
        self.service.stage_audio(actor, audio, body).await
    }

    async fn stage_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<StagedFile> {
        self.service.stage_file(actor, file, body).await
    }

    async fn commit_image(&self, conn: &mut Connection<'_>, staged: &StagedImage) -> Result<ImageRead> {
        self.service.commit_image(conn, staged).await
    }

    async fn commit_audio(&self, conn: &mut Connection<'_>, staged: &StagedAudio) -> Result<AudioRead> {
        self.service.commit_audio(conn, staged).await
    }

    async fn commit_file(&self, conn: &mut Connection<'_>, staged: &StagedFile) -> Result<FileUploadResult> {
        self.service.commit_file(conn, staged).await
    }

    async fn discard(&self, staged: StagedFile) {
        self.service.discard(staged).await;
    }

    async fn begin_direct_upload(&self, actor: Actor, upload: DirectUploadCreate) -> Result<DirectUpload> {
        self.service.begin_direct_upload(actor, upload).await
    }

    async fn sign_upload_parts(&self, actor: Actor, id: MediaId, numbers: &[u16]) -> Result<Vec<SignedPart>> {
        self.service.sign_upload_parts(actor, id, numbers).await
    }

    async fn list_upload_parts(&self, actor: Actor, id: MediaId) -> Result<UploadParts> {
        self.service.list_upload_parts(actor, id).await
    }

    async fn complete_upload(&self, actor: Actor, id: MediaId) -> Result<FileUploadResult> {
        self.service.complete_upload(actor, id).await
    }

    async fn cancel_upload(&self, actor: Actor, id: MediaId) -> Result<()> {
        self.service.cancel_upload(actor, id).await
    }

    async fn get_image(&self, conn: &mut Connection<'_>, actor: Actor, id: ImageId) -> Result<ImageRead> {
        self.service.get_image(conn, actor, id).await
    }

    async fn get_audio(&self, conn: &mut Connection<'_>, actor: Actor, id: AudioId) -> Result<AudioRead> {
        self.service.get_audio(conn, actor, id).await
    }

    async fn get_file(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<FileUploadResult> {
        self.service.get_file(conn, actor, id).await
    }

    async fn exists(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<bool> {
        self.service.exists(conn, actor, id).await
    }

    async fn list_images(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<ImageRead>> {
        self.service.list_images(conn, actor, owner, page).await
    }

    async fn list_audios(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<AudioRead>> {
        self.service.list_audios(conn, actor, owner, page).await
    }

    async fn signed_url(&self, actor: Actor, file: FileRef<'_>, options: &UrlOptions) -> Result<SignedUrl> {
        self.service.signed_url(actor, file, options).await
    }

    async fn signed_urls(&self, actor: Actor, files: &[FileRef<'_>], options: &UrlOptions) -> Result<Vec<SignedUrl>> {
        self.service.signed_urls(actor, files, options).await
    }

    fn cdn_url(&self, actor: Actor, file: FileRef<'_>) -> Result<String> {
        self.service.cdn_url(actor, file)
    }

    async fn download(&self, actor: Actor, id: MediaId, range: Option<ByteRange>) -> Result<Download> {
        self.service.download(actor, id, range).await
    }

    async fn delete(&self, actor: Actor, id: MediaId) -> Result<()> {
        self.service.delete(actor, id).await
    }

    async fn delete_in(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<()> {
        self.service.delete_in(conn, actor, id).await
    }

    async fn sweep(&self) -> Result<SweepReport> {
        self.service.sweep().await
    }

    async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        self.service.verify(options).await
    }

    async fn erase_user(&self, actor: Actor, user: UserId) -> Result<EraseReport> {
        self.service.erase_user(actor, user).await
    }

    async fn usage(&self, actor: Actor, user: UserId) -> Result<Usage> {
        self.service.usage(actor, user).await
    }

    async fn recount_usage(&self, user: Option<UserId>) -> Result<RecountReport> {
        self.service.recount_usage(user).await
    }
}
