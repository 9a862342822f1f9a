//! The gallery's own table.

use object_store_public::Engine;

diesel::table! {
    use diesel::sql_types::Text;
    use object_store_public::sql::Uuid;

    /// Titles of pictures.
    gallery_pictures (image_id) {
        /// The image, whose row and object the object store looks after.
        image_id -> Uuid,
        /// What its owner calls it.
        title -> Text,
    }
}

/// The statement that creates it. A picture's row can only exist while its image does: of the two,
/// it is inserted last and deleted first.
pub(crate) fn create(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => {
            "CREATE TABLE IF NOT EXISTS gallery_pictures (
                image_id uuid PRIMARY KEY REFERENCES images (id),
                title    text NOT NULL CHECK (title <> '')
            )"
        }
        Engine::Sqlite => {
            "CREATE TABLE IF NOT EXISTS gallery_pictures (
                image_id BLOB NOT NULL PRIMARY KEY REFERENCES images (id),
                title    TEXT NOT NULL CHECK (title <> '')
            ) STRICT"
        }
    }
}
