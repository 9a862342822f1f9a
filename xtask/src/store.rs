//! The module, as operators use it: as the system, by bare UUID, page after page.

use std::env;

use object_store_public::uuid::Uuid;
use object_store_public::{
    Actor, Config, Cursor, FileRef, FileUploadResult, MediaKind, ObjectStoreError, ObjectStoreModule,
    ObjectStoreProvider, Owner, PageRequest, Result, SignedUrl, UrlOptions, open,
};

/// The module and how long its pages may be.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) module: ObjectStoreModule,
    max_page: u16,
}

/// Media of one kind, and where the next begin.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) media: Vec<FileUploadResult>,
    pub(crate) next: Option<Cursor>,
}

impl Store {
    /// What the environment configures.
    pub(crate) async fn from_env() -> Result<Self> {
        Self::open(Config::from_env()?).await
    }

    /// What `config` says.
    pub(crate) async fn open(config: Config) -> Result<Self> {
        let max_page = config.current_settings().limits.max_page;
        Ok(Self { module: open(config).await?, max_page })
    }

    /// The image or the audio file of this id.
    pub(crate) async fn find(&self, id: Uuid) -> Result<FileUploadResult> {
        let mut conn = self.module.connection().await?;
        match self.module.get_image(&mut conn, Actor::System, id.into()).await {
            Err(ObjectStoreError::NotFound) => {
                let audio = self.module.get_audio(&mut conn, Actor::System, id.into()).await?;
                Ok(FileUploadResult::Audio(audio))
            }
            image => Ok(FileUploadResult::Image(image?)),
        }
    }

    /// Media of one kind, newest first, up to `limit`.
    pub(crate) async fn list(
        &self,
        kind: MediaKind,
        owner: Owner,
        after: Option<Cursor>,
        limit: Option<usize>,
    ) -> Result<Listing> {
        let mut listing = Listing { media: Vec::new(), next: after };
        loop {
            let wanted = limit.map_or(usize::MAX, |limit| limit - listing.media.len());
            let page = PageRequest {
                limit: Some(u16::try_from(wanted).unwrap_or(u16::MAX).min(self.max_page)),
                after: listing.next,
            };
            let page = self.page(kind, owner, &page).await?;
            listing.media.extend(page.media);
            listing.next = page.next;
            if listing.next.is_none() || limit.is_some_and(|limit| listing.media.len() >= limit) {
                return Ok(listing);
            }
        }
    }

    async fn page(&self, kind: MediaKind, owner: Owner, page: &PageRequest) -> Result<Listing> {
        let mut conn = self.module.connection().await?;
        Ok(match kind {
            MediaKind::Image => {
                let page = self.module.list_images(&mut conn, Actor::System, owner, page).await?;
                Listing { media: page.items.into_iter().map(FileUploadResult::Image).collect(), next: page.next }
            }
            MediaKind::Audio => {
                let page = self.module.list_audios(&mut conn, Actor::System, owner, page).await?;
                Listing { media: page.items.into_iter().map(FileUploadResult::Audio).collect(), next: page.next }
            }
        })
    }

    /// URLs of these files, in their order.
    pub(crate) async fn sign(&self, media: &[FileUploadResult]) -> Result<Vec<SignedUrl>> {
        let files: Vec<FileRef<'_>> = media.iter().map(FileRef::from).collect();
        self.module.signed_urls(Actor::System, &files, &UrlOptions::default()).await
    }
}

/// Whether a setting says where data are, other than in the directory of the embedded defaults.
pub(crate) fn is_elsewhere(name: &str) -> bool {
    name.starts_with("OBJECT_STORE_S3_") || name.starts_with("OBJECT_STORE_DATABASE_") || name == "DATABASE_URL"
}

/// Such settings as are in the environment.
pub(crate) fn configured_elsewhere() -> Vec<String> {
    let set = env::vars_os().filter(|(_, value)| !value.is_empty());
    let mut names: Vec<String> =
        set.filter_map(|(name, _)| name.into_string().ok()).filter(|name| is_elsewhere(name)).collect();
    names.sort();
    names
}

/// Whether the S3 server is the embedded one, which answers only while some process serves it.
pub(crate) fn is_storage_embedded() -> bool {
    !configured_elsewhere().iter().any(|name| name.starts_with("OBJECT_STORE_S3_"))
}
