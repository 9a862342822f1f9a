use std::fmt;

use async_trait::async_trait;
use object_store_models::{AudioId, ImageId, MediaId, UserId};
use object_store_repo::{Connection, Owner, Transaction};
use object_store_service::{
    Actor, AudioCreate, AudioRead, DirectUpload, DirectUploadCreate, EraseReport, FileCreate, FileRef,
    FileUploadResult, ImageCreate, ImageRead, Page, PageRequest, RecountReport, Result, SignedPart, SignedUrl,
    StagedAudio, StagedFile, StagedImage, SweepReport, UploadBody, UploadParts, UrlOptions, Usage, VerifyOptions,
    VerifyReport,
};
use object_store_storage::{ByteRange, Check, CheckupOptions as DoctorOptions, Download};

/// What the object store does for other modules.
///
/// Held as `Arc<dyn ObjectStoreProvider>`. A method takes a connection if and only if it does no network I/O beyond it;
/// it then works inside the caller's transaction as well, on a connection of this module's pool or, through
/// `Connection::from`, of the caller's. Never hold a transaction across a method that takes none. The `commit_*` and
/// `delete_in` are for open transactions only. After an error of theirs, or when their future was dropped, roll back.
///
/// When committing your own transaction ends in an unknown outcome, read by the staged file's id: it is there or it is
/// not. `discard` is safe in both cases.
///
/// The first argument after it says who asks: see [`Actor`] for what each may do. Whoever may not do something gets
/// [`Forbidden`](crate::ObjectStoreError::Forbidden), before storage is asked for anything.
#[async_trait]
pub trait ObjectStoreProvider: fmt::Debug + Send + Sync {
    /// Checks that the tables are there and up to date, and that storage takes our credentials and has our bucket: for
    /// the start of a program, which nothing else asks of either.
    ///
    /// # Errors
    /// [`Config`](crate::ObjectStoreError::Config) for a migration that was not run,
    /// [`Database`](crate::ObjectStoreError::Database), [`Storage`](crate::ObjectStoreError::Storage).
    async fn check(&self) -> Result<()>;

    /// Looks for what is set up wrongly, in storage and in the database: one line for each thing, and what to do about it.
    /// Never fails; ends in a few minutes at most. Small objects below `probe/` are written and deleted. For operators,
    /// and for a page that tells how the program is; [`ObjectStoreProvider::check`] is quicker.
    async fn doctor(&self, options: &DoctorOptions) -> Vec<Check>;

    /// A connection for reads. Give it back, by dropping it, before calling a method that takes none.
    async fn connection(&self) -> Result<Connection<'static>>;

    /// A transaction, in which the caller's own rows and this module's become one fact. Dropped without
    /// [`Transaction::commit`], it is rolled back.
    async fn begin(&self) -> Result<Transaction>;

    /// Stores an image, whole and validated, or nothing at all.
    ///
    /// # Errors
    /// [`Invalid`](crate::ObjectStoreError::Invalid) says what is wrong with the bytes and what is allowed.
    async fn upload_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<ImageRead>;

    /// Stores an audio file, whole and validated, or nothing at all.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::upload_image`].
    async fn upload_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<AudioRead>;

    /// Stores a file, whole and validated, or nothing at all. Its bytes decide whether it is an image or audio.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::upload_image`].
    async fn upload_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<FileUploadResult>;

    /// Takes in an image, without making it exist: [`ObjectStoreProvider::commit_image`] does that. Never committed, it
    /// is removed by a later sweep.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::upload_image`].
    async fn stage_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<StagedImage>;

    /// Takes in an audio file, as [`ObjectStoreProvider::stage_image`] does an image.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::upload_image`].
    async fn stage_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<StagedAudio>;

    /// Takes in a file, as [`ObjectStoreProvider::stage_image`] does an image.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::upload_image`].
    async fn stage_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<StagedFile>;

    /// Makes a staged image exist, in the caller's transaction: from its commit on the image is there; rolled back, it
    /// never was.
    ///
    /// # Errors
    /// [`UploadExpired`](crate::ObjectStoreError::UploadExpired) when it was staged too long ago: let the user upload
    /// again. [`NoTransaction`](crate::ObjectStoreError::NoTransaction) on a connection without one. Roll back after any
    /// error.
    async fn commit_image(&self, conn: &mut Connection<'_>, staged: &StagedImage) -> Result<ImageRead>;

    /// Makes a staged audio file exist, as [`ObjectStoreProvider::commit_image`] does an image.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::commit_image`].
    async fn commit_audio(&self, conn: &mut Connection<'_>, staged: &StagedAudio) -> Result<AudioRead>;

    /// Makes a staged file exist, as [`ObjectStoreProvider::commit_image`] does an image.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::commit_image`].
    async fn commit_file(&self, conn: &mut Connection<'_>, staged: &StagedFile) -> Result<FileUploadResult>;

    /// Gives up a staged file and removes its bytes now, where a sweep would do so later. A committed one is left alone.
    async fn discard(&self, staged: StagedFile);

    /// Begins an upload that the client, such as a browser, sends to storage itself, with a signed form or `PUT`, or in
    /// parts that [`ObjectStoreProvider::sign_upload_parts`] signs. What it sends exists from [`ObjectStoreProvider::complete_upload`] on; never completed, it is removed by a later sweep.
    ///
    /// # Errors
    /// [`Invalid`](crate::ObjectStoreError::Invalid) for a declared type that is not accepted, a size that is not, a life
    /// that is too long, and for a form where the storage takes none. With an idempotency key also
    /// [`Conflict`](crate::ObjectStoreError::Conflict).
    ///
    /// ```
    /// use object_store_public::{Actor, Config, DirectUploadCreate, UploadMethod, UserId, object_store_provider};
    /// # use object_store_public::{tokio, uuid};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = object_store_provider(Config::ephemeral()).await?;
    /// let ann = Actor::User(UserId::from(uuid::Uuid::from_u128(1)));
    ///
    /// let create = DirectUploadCreate::image("me.png", "image/png").idempotent("0193f6c2-request");
    /// let upload = store.begin_direct_upload(ann, create).await?;
    /// if let UploadMethod::Post { url, fields, max_bytes } = &upload.method {
    ///     println!("POST {url} with {} fields and a file of at most {max_bytes} bytes", fields.len());
    /// }
    /// // Later, when the client says that it is done:
    /// match store.complete_upload(ann, upload.id).await {
    ///     Ok(file) => println!("stored as {}", file.id()),
    ///     Err(error) if error.code() == "upload_not_received" => println!("not yet"),
    ///     Err(error) => println!("refused: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    async fn begin_direct_upload(&self, actor: Actor, upload: DirectUploadCreate) -> Result<DirectUpload>;

    /// Signs where the client puts these parts of a direct upload that was begun as
    /// [`resumable`](DirectUploadCreate::resumable), at most 1,000 at once. Each may be put any number of times, the last
    /// counts.
    ///
    /// # Errors
    /// [`Invalid`](crate::ObjectStoreError::Invalid) for a number that the upload does not have, and for an upload that
    /// does not come in parts. [`UploadExpired`](crate::ObjectStoreError::UploadExpired) when nothing can be sent any more;
    /// [`Conflict`](crate::ObjectStoreError::Conflict) when it was completed.
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    ///
    /// ```
    /// use object_store_public::{Actor, Config, DirectUploadCreate, UserId, object_store_provider};
    /// # use object_store_public::{tokio, uuid};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = object_store_provider(Config::ephemeral()).await?;
    /// let ann = Actor::User(UserId::from(uuid::Uuid::from_u128(1)));
    ///
    /// let create = DirectUploadCreate::audio("talk.wav", "audio/wav").sized(100_000_000).resumable();
    /// let upload = store.begin_direct_upload(ann, create).await?;
    /// // At first, and again whenever the client comes back:
    /// let parts = store.list_upload_parts(ann, upload.id).await?;
    /// let next: Vec<u16> = parts.missing.iter().copied().take(20).collect();
    /// for part in store.sign_upload_parts(ann, upload.id, &next).await? {
    ///     println!("PUT {} bytes of part {}", part.size_bytes, part.number);
    /// }
    /// # assert_eq!((parts.part_count, parts.missing.len()), (12, 12));
    /// # assert_eq!(store.complete_upload(ann, upload.id).await.unwrap_err().code(), "upload_incomplete");
    /// # Ok(())
    /// # }
    /// ```
    async fn sign_upload_parts(&self, actor: Actor, id: MediaId, numbers: &[u16]) -> Result<Vec<SignedPart>>;

    /// Which parts of such an upload have arrived, and which are missing: where a client goes on that has lost its
    /// connection, or its memory.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::sign_upload_parts`].
    async fn list_upload_parts(&self, actor: Actor, id: MediaId) -> Result<UploadParts>;

    /// Makes a file of what the client has sent, after the same checks as for an upload. Call it once the client says
    /// that it has sent everything; calling it again, or twice at once, gives the same answer.
    ///
    /// # Errors
    /// [`NotReceived`](crate::ObjectStoreError::NotReceived) when nothing has arrived: call again later.
    /// [`Incomplete`](crate::ObjectStoreError::Incomplete) when parts are missing, and which.
    /// [`Invalid`](crate::ObjectStoreError::Invalid) as [`ObjectStoreProvider::upload_image`]; the upload is then over.
    /// [`UploadExpired`](crate::ObjectStoreError::UploadExpired) when it was over before.
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn complete_upload(&self, actor: Actor, id: MediaId) -> Result<FileUploadResult>;

    /// Gives up a direct upload; one that is over already stays so.
    ///
    /// # Errors
    /// [`Conflict`](crate::ObjectStoreError::Conflict) when it was completed: delete the file instead.
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn cancel_upload(&self, actor: Actor, id: MediaId) -> Result<()>;

    /// One image.
    ///
    /// # Errors
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn get_image(&self, conn: &mut Connection<'_>, actor: Actor, id: ImageId) -> Result<ImageRead>;

    /// One audio file.
    ///
    /// # Errors
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn get_audio(&self, conn: &mut Connection<'_>, actor: Actor, id: AudioId) -> Result<AudioRead>;

    /// One file, whichever kind its id names.
    ///
    /// # Errors
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn get_file(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<FileUploadResult>;

    /// Whether there is such media and the actor may read it.
    async fn exists(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<bool>;

    /// A page of images, newest first.
    ///
    /// # Errors
    /// [`Invalid`](crate::ObjectStoreError::Invalid) for a page that is too long or a cursor of another listing,
    /// [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn list_images(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<ImageRead>>;

    /// A page of audio files, newest first.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::list_images`].
    async fn list_audios(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<AudioRead>>;

    /// A URL with which anyone can read one file until it expires. Asks neither the database nor storage.
    ///
    /// # Errors
    /// [`Invalid`](crate::ObjectStoreError::Invalid) for a life that is too long,
    /// [`Forbidden`](crate::ObjectStoreError::Forbidden).
    async fn signed_url(&self, actor: Actor, file: FileRef<'_>, options: &UrlOptions) -> Result<SignedUrl>;

    /// URLs for all of a page, in its order. If the actor may not read one of the files, none is signed.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::signed_url`].
    async fn signed_urls(&self, actor: Actor, files: &[FileRef<'_>], options: &UrlOptions) -> Result<Vec<SignedUrl>>;

    /// The address of a file on the content delivery network that [`Config::cdn`](crate::Config::cdn) names. It does not
    /// expire and holds no signature: who may read is asked now and never again. For what may be public, such as avatars;
    /// the network needs access to the bucket of its own.
    ///
    /// # Errors
    /// [`Config`](crate::ObjectStoreError::Config) where none is configured,
    /// [`Forbidden`](crate::ObjectStoreError::Forbidden).
    fn cdn_url(&self, actor: Actor, file: FileRef<'_>) -> Result<String>;

    /// The bytes of a file, or a range of them. The stream of a whole file ends with an error if the bytes are not those
    /// that were uploaded.
    ///
    /// # Errors
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden),
    /// [`Invalid`](crate::ObjectStoreError::Invalid) for a range outside the file.
    async fn download(&self, actor: Actor, id: MediaId, range: Option<ByteRange>) -> Result<Download>;

    /// Deletes a file. When this returns it is gone for good; its bytes go now or with a later sweep.
    ///
    /// # Errors
    /// [`NotFound`](crate::ObjectStoreError::NotFound), [`Forbidden`](crate::ObjectStoreError::Forbidden),
    /// [`Conflict`](crate::ObjectStoreError::Conflict) while a row of another module refers to it.
    async fn delete(&self, actor: Actor, id: MediaId) -> Result<()>;

    /// Deletes a file in the caller's transaction. Its bytes go with a sweep after the commit; rolled back, nothing has
    /// happened.
    ///
    /// # Errors
    /// As [`ObjectStoreProvider::delete`].
    async fn delete_in(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<()>;

    /// Removes what abandoned uploads and deletes have left in storage, as far as it is due. Call it every few minutes,
    /// from as many processes as there are.
    async fn sweep(&self) -> Result<SweepReport>;

    /// Compares storage with the database, both ways, in constant memory: rows without object, objects that nothing names,
    /// other sizes and, if it is told to read them, other bytes. Tells, and changes nothing; told to repair, it hands to
    /// the sweep the objects that no row and no intent named in two verifies, never a row. Run it daily.
    ///
    /// # Errors
    /// [`TooManyOrphans`](crate::ObjectStoreError::TooManyOrphans) when repairing would remove suspiciously much, and
    /// nothing was. After any other error nothing can be said about what was not compared.
    async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport>;

    /// Deletes all media of a user and ends all of their uploads, those under way when it begins included: what was staged
    /// before cannot be committed afterwards. An upload that begins later is not covered, so see to it that the user
    /// cannot begin one. The bytes go with the next sweeps. After an error, or dropped, it has done a part: call it again.
    ///
    /// # Errors
    /// [`Forbidden`](crate::ObjectStoreError::Forbidden) unless the actor is the system or that user.
    async fn erase_user(&self, actor: Actor, user: UserId) -> Result<EraseReport>;

    /// How many bytes a user has and, with [`Quota`](crate::Quota), may have. Without one they are added up, which takes
    /// time where there are many files.
    ///
    /// # Errors
    /// [`Forbidden`](crate::ObjectStoreError::Forbidden) unless the actor is the system or that user.
    ///
    /// ```
    /// use object_store_public::{Actor, Config, ImageCreate, Quota, UserId, object_store_provider};
    /// # use object_store_public::{tokio, uuid};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = object_store_provider(Config::ephemeral().quota(Quota::PerUser(100))).await?;
    /// let ann = UserId::from(uuid::Uuid::from_u128(1));
    /// let gif = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x01\0;".to_vec();
    ///
    /// for _ in 0..9 {
    ///     match store.upload_image(Actor::User(ann), ImageCreate::new("me.gif"), gif.clone().into()).await {
    ///         Ok(image) => println!("{} bytes more", image.size_bytes),
    ///         Err(error) => assert_eq!(error.code(), "quota_exceeded"),
    ///     }
    /// }
    /// let usage = store.usage(Actor::User(ann), ann).await?;
    /// assert!(usage.used <= 100 && usage.used + gif.len() as u64 > 100);
    /// # Ok(())
    /// # }
    /// ```
    async fn usage(&self, actor: Actor, user: UserId) -> Result<Usage>;

    /// Counts anew how many bytes a user has, or each user who was ever counted. Call it for all once when
    /// [`Quota`](crate::Quota) was turned on again after it was off, and the last process has it. Meanwhile a user whose
    /// counter is wrong cannot begin an upload, for as long as adding up takes.
    async fn recount_usage(&self, user: Option<UserId>) -> Result<RecountReport>;
}
