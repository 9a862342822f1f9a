//! A sibling module: galleries of pictures with titles, on the object store.
//!
//! It shows what a module that links the object store writes itself, and is the first to notice when that becomes more:
//! a table of its own whose rows and pictures come and go together.
//!
//! **Architecture invariant:** of the object store this crate knows `object-store-public` alone.

mod table;

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_public::{
    Actor, Connection, FileRef, ImageCreate, ImageId, ImageRead, ObjectStoreError, ObjectStoreProvider, Owner, Page,
    PageRequest, RepoError, StagedImage, UploadBody, UrlOptions, UserId, query,
};
use serde::Serialize;

use crate::table::gallery_pictures as pictures;

/// Why a gallery could not do something.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The object store refused or failed.
    #[error(transparent)]
    Store(#[from] ObjectStoreError),
    /// The gallery's own query failed.
    #[error("a query of the gallery failed")]
    Query(#[from] diesel::result::Error),
    /// A transaction failed.
    #[error("a transaction of the gallery failed")]
    Transaction(#[from] RepoError),
}

/// A picture with its title, ready to be shown.
#[derive(Debug, Clone, Serialize)]
pub struct Picture {
    /// What its owner calls it.
    pub title: String,
    /// The image.
    pub image: ImageRead,
    /// Where a browser gets it, for a while.
    pub url: String,
}

/// Everyone's galleries.
#[derive(Debug, Clone)]
pub struct Gallery {
    store: Arc<dyn ObjectStoreProvider>,
}

impl Gallery {
    /// Galleries on this object store.
    pub fn new(store: Arc<dyn ObjectStoreProvider>) -> Self {
        Self { store }
    }

    /// Creates the gallery's own table where it is missing.
    pub async fn install(&self) -> Result<(), GalleryError> {
        let mut tx = self.store.begin().await?;
        let create = table::create(tx.engine());
        query!(tx, async |db| diesel::sql_query(create).execute(db).await)?;
        Ok(tx.commit().await?)
    }

    /// Adds a picture to a user's gallery: its row and its image, or neither.
    pub async fn add(
        &self,
        user: UserId,
        title: &str,
        image: ImageCreate,
        body: UploadBody,
    ) -> Result<Picture, GalleryError> {
        let staged = self.store.stage_image(Actor::User(user), image, body).await?;
        let image = match self.commit(&staged, title).await {
            Ok(image) => image,
            Err(error) => {
                // A later sweep would do so too.
                self.store.discard(staged.into()).await;
                return Err(error);
            }
        };
        let signed = self.store.signed_url(Actor::User(user), (&image).into(), &UrlOptions::default()).await?;
        Ok(Picture { title: title.to_owned(), image, url: signed.url })
    }

    async fn commit(&self, staged: &StagedImage, title: &str) -> Result<ImageRead, GalleryError> {
        let mut tx = self.store.begin().await?;
        let image = self.store.commit_image(&mut tx, staged).await?;
        let row = (pictures::image_id.eq(image.id), pictures::title.eq(title));
        query!(tx, async |db| diesel::insert_into(pictures::table).values(row).execute(db).await)?;
        tx.commit().await?;
        Ok(image)
    }

    /// A page of a user's gallery, newest first.
    pub async fn show(&self, user: UserId, page: &PageRequest) -> Result<Page<Picture>, GalleryError> {
        let actor = Actor::User(user);
        let (images, titles) = {
            let mut conn = self.store.connection().await?;
            let images = self.store.list_images(&mut conn, actor, Owner::User(user), page).await?;
            let titles = titles(&mut conn, &images.items).await?;
            (images, titles)
        };
        let files: Vec<_> = images.items.iter().map(FileRef::from).collect();
        let urls = self.store.signed_urls(actor, &files, &UrlOptions::default()).await?;
        let items = images.items.into_iter().zip(urls).map(|(image, signed)| {
            let title = titles.iter().find(|(id, _)| *id == image.id).map(|(_, title)| title.clone());
            Picture { title: title.unwrap_or_else(|| image.filename.clone()), image, url: signed.url }
        });
        Ok(Page { items: items.collect(), next: images.next })
    }

    /// Removes a picture from a user's gallery: its row and its image, or neither.
    pub async fn remove(&self, user: UserId, id: ImageId) -> Result<(), GalleryError> {
        let mut tx = self.store.begin().await?;
        query!(tx, async |db| diesel::delete(pictures::table.find(id)).execute(db).await)?;
        self.store.delete_in(&mut tx, Actor::User(user), id.into()).await?;
        Ok(tx.commit().await?)
    }
}

async fn titles(conn: &mut Connection<'_>, images: &[ImageRead]) -> Result<Vec<(ImageId, String)>, GalleryError> {
    let ids: Vec<_> = images.iter().map(|image| image.id).collect();
    Ok(query!(conn, async |db| {
        pictures::table
            .filter(pictures::image_id.eq_any(ids))
            .select((pictures::image_id, pictures::title))
            .load(db)
            .await
    })?)
}
