//! Breaking something on purpose, so that it is seen to be found.

use std::{fs, iter};

use anyhow::Context;
use object_store_public::{Actor, FileCreate, MediaId, ObjectStoreProvider};

use crate::soak::arena::Arena;
use crate::soak::content::{KEPT_USER, Kind, Subject, Way, hex};
use crate::soak::disk::file_of;
use crate::soak::history::History;
use crate::soak::journal::Event;
use crate::soak::random::Random;
use crate::soak::rows::{self, Row, execute};

/// The file that is broken.
const NAME: &str = "planted";

/// A file that is deleted before something is made of it.
const DELETED: &str = "planted-and-deleted";

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// A file goes, with its row.
    Lost,
    /// A file's bytes change.
    Changed,
    /// An object goes, and its row stays.
    Dangling,
    /// An object comes that nothing names.
    Orphan,
    /// A row comes that another upload has already.
    Duplicate,
    /// A row comes that was deleted or given up.
    Resurrected,
}

/// Breaks it, behind the module's back.
pub(crate) async fn plant(arena: &Arena, history: &mut History, plant: Plant) -> anyhow::Result<()> {
    add(arena, history, NAME).await?;
    let tables = rows::read(&arena.module).await?;
    let row = tables.rows.iter().find(|row| row.name == NAME).context("the file that is to be broken has no row")?;
    let object = file_of(arena.directory(), &row.key);
    // A key and an id that nothing has, of the shape that the module makes: the first digit of a UUIDv7 is 0 for some
    // thousand years.
    let elsewhere = row.key.replace("image/0", "image/f");
    match plant {
        Plant::Lost => {
            fs::remove_file(object)?;
            execute(&arena.module, &format!("DELETE FROM images WHERE s3_key = '{}'", row.key)).await
        }
        Plant::Changed => {
            let mut bytes = fs::read(&object)?;
            let middle = bytes.len() / 2;
            bytes.get_mut(middle).into_iter().for_each(|byte| *byte ^= 1);
            Ok(fs::write(&object, bytes)?)
        }
        Plant::Dangling => Ok(fs::remove_file(object)?),
        Plant::Orphan => Ok(fs::copy(&object, file_of(arena.directory(), &elsewhere)).map(drop)?),
        Plant::Duplicate => {
            fs::copy(&object, file_of(arena.directory(), &elsewhere))?;
            insert_copy(arena, row, &elsewhere, NAME).await
        }
        Plant::Resurrected => {
            let id = add(arena, history, DELETED).await?;
            arena.module.delete(Actor::System, id).await?;
            history
                .add_run(&[Event::Deleting { name: DELETED.to_owned() }, Event::Deleted { name: DELETED.to_owned() }]);
            fs::copy(&object, file_of(arena.directory(), &elsewhere))?;
            insert_copy(arena, row, &elsewhere, DELETED).await
        }
    }
}

/// An image of this name, uploaded and acknowledged. All have the same bytes.
async fn add(arena: &Arena, history: &mut History, name: &str) -> anyhow::Result<MediaId> {
    let mut random = Random::new(0, 0);
    let any = iter::repeat_with(|| Subject::new(name.to_owned(), KEPT_USER, Way::Bytes, &mut random));
    let subject =
        any.take(1_000).find(|subject| subject.kind == Kind::Image).context("half of all files are images")?;
    let (actor, bytes) = (subject.actor(), subject.content());
    let file = arena.module.upload_file(actor, FileCreate::new(name), bytes.into()).await?;
    let created = Event::Created { name: name.to_owned(), id: hex(file.id().uuid().as_bytes()) };
    history.add_run(&[Event::Creating { subject }, created]);
    Ok(file.id())
}

/// A row like this one, with another id, key and name.
async fn insert_copy(arena: &Arena, row: &Row, key: &str, name: &str) -> anyhow::Result<()> {
    let others =
        "user_id, content_type, format, size_bytes, sha256, etag, width, height, orientation, frame_count, created_at";
    let id = key.split('/').nth(1).unwrap_or_default();
    let id = if arena.database.starts_with("SQLite") {
        format!("x'{}'", id.replace('-', ""))
    } else {
        format!("'{id}'::uuid")
    };
    let insert = format!(
        "INSERT INTO images (id, s3_key, filename, {others}) SELECT {id}, '{key}', '{name}', {others} FROM images \
         WHERE s3_key = '{}'",
        row.key
    );
    execute(&arena.module, &insert).await
}
