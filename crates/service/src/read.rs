//! Getting and listing.

use object_store_models::{AudioId, ImageId, MediaId};
use object_store_repo::{AudioRepo, Connection, ImageRepo, Owner};

use crate::actor::Actor;
use crate::authorize;
use crate::dto::{AudioRead, Cursor, CursorError, FileUploadResult, ImageRead, Page, PageRequest};
use crate::error::{ConfigError, ObjectStoreError, Result, ValidationError};
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// One image.
    pub async fn get_image(&self, conn: &mut Connection<'_>, actor: Actor, id: ImageId) -> Result<ImageRead> {
        let row = ImageRepo::get(conn, id).await?.ok_or(ObjectStoreError::NotFound)?;
        authorize::read(actor, row.user_id)?;
        Ok(row.try_into()?)
    }

    /// One audio file.
    pub async fn get_audio(&self, conn: &mut Connection<'_>, actor: Actor, id: AudioId) -> Result<AudioRead> {
        let row = AudioRepo::get(conn, id).await?.ok_or(ObjectStoreError::NotFound)?;
        authorize::read(actor, row.user_id)?;
        Ok(row.try_into()?)
    }

    /// One image or audio file.
    pub async fn get_file(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<FileUploadResult> {
        match id {
            MediaId::Image(id) => self.get_image(conn, actor, id).await.map(FileUploadResult::Image),
            MediaId::Audio(id) => self.get_audio(conn, actor, id).await.map(FileUploadResult::Audio),
        }
    }

    /// Whether there is such media and the actor may read it.
    pub async fn exists(&self, conn: &mut Connection<'_>, actor: Actor, id: MediaId) -> Result<bool> {
        let owner = match id {
            MediaId::Image(id) => ImageRepo::get(conn, id).await?.map(|row| row.user_id),
            MediaId::Audio(id) => AudioRepo::get(conn, id).await?.map(|row| row.user_id),
        };
        Ok(owner.is_some_and(|owner| authorize::read(actor, owner).is_ok()))
    }

    /// Checks that the tables are there and up to date, and that storage takes our credentials and has our bucket.
    pub async fn check(&self) -> Result<()> {
        let status = self.database.migration_status().await?;
        if let Some(pending) = status.iter().find(|migration| !migration.applied) {
            let problem = format!("lacks the migration {}: run the migrations", pending.name);
            return Err(ConfigError::new("the database", problem).into());
        }
        self.storage.bucket_info().await?;
        Ok(())
    }

    /// A page of images, newest first.
    pub async fn list_images(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<ImageRead>> {
        authorize::list(actor, owner)?;
        let after = match page.after.map(Cursor::media_id) {
            None => None,
            Some(MediaId::Image(id)) => Some(id),
            Some(MediaId::Audio(_)) => return Err(bad_cursor()),
        };
        let limit = self.page_limit(page)?;
        let rows = ImageRepo::list(conn, owner, after, i64::from(limit) + 1).await?;
        page_of(rows, limit, |image: &ImageRead| Cursor::after(image.id))
    }

    /// A page of audio files, newest first.
    pub async fn list_audios(
        &self,
        conn: &mut Connection<'_>,
        actor: Actor,
        owner: Owner,
        page: &PageRequest,
    ) -> Result<Page<AudioRead>> {
        authorize::list(actor, owner)?;
        let after = match page.after.map(Cursor::media_id) {
            None => None,
            Some(MediaId::Audio(id)) => Some(id),
            Some(MediaId::Image(_)) => return Err(bad_cursor()),
        };
        let limit = self.page_limit(page)?;
        let rows = AudioRepo::list(conn, owner, after, i64::from(limit) + 1).await?;
        page_of(rows, limit, |audio: &AudioRead| Cursor::after(audio.id))
    }

    fn page_limit(&self, page: &PageRequest) -> Result<u16> {
        let limit = self.settings.limits.max_page;
        match page.limit {
            None => Ok(PageRequest::DEFAULT_LIMIT.min(limit)),
            Some(wanted) if (1..=limit).contains(&wanted) => Ok(wanted),
            Some(actual) => Err(ValidationError::BadPageSize { limit, actual }.into()),
        }
    }
}

fn bad_cursor() -> ObjectStoreError {
    ValidationError::BadCursor(CursorError).into()
}

/// A page of at most `limit` items, from rows of which one more than that was asked for.
fn page_of<Row, Item>(rows: Vec<Row>, limit: u16, cursor: impl Fn(&Item) -> Cursor) -> Result<Page<Item>>
where
    Item: TryFrom<Row>,
    ObjectStoreError: From<Item::Error>,
{
    let has_more = rows.len() > usize::from(limit);
    let items = rows.into_iter().take(limit.into()).map(Item::try_from).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| has_more).map(cursor);
    Ok(Page { items, next })
}
