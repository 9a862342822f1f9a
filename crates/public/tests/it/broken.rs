//! A module that is set up wrongly, or whose servers are away.

use object_store_devkit::samples;
use object_store_public::{
    Actor, Config, DatabaseConfig, ImageCreate, ObjectStoreError, ObjectStoreModule, ObjectStoreProvider, Owner,
    PageRequest, S3Config, S3Credentials, open,
};

use crate::support::{World, ann, embedded, s3};

async fn with_s3(world: &World, change: impl FnOnce(&mut S3Config)) -> ObjectStoreModule {
    let mut config = s3(&embedded(world.directory.path()).await);
    change(&mut config);
    open(Config::embedded(world.directory.path()).s3(config)).await.unwrap()
}

/// The failed upload has left no row and no connection in use.
async fn assert_no_row(store: &ObjectStoreModule) {
    {
        let mut conn = store.connection().await.unwrap();
        let page = store.list_images(&mut conn, Actor::System, Owner::Anyone, &PageRequest::default()).await.unwrap();
        assert!(page.items.is_empty());
    }
    assert_eq!(store.pool_status().in_use, 0);
}

async fn upload(store: &ObjectStoreModule) -> ObjectStoreError {
    store.upload_image(ann(), ImageCreate::new("a.png"), samples::png(5, 5).into()).await.unwrap_err()
}

fn text(error: &ObjectStoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    format!("{text} {error:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_and_not_shown() {
    let world = World::sqlite().await;
    for (id, secret) in [(None, "a-wrong-secret"), (Some("nobody"), "a-wrong-secret")] {
        let store = with_s3(&world, |config| {
            let S3Credentials::Static { access_key_id, secret_access_key, .. } = &mut config.credentials else {
                unreachable!()
            };
            secret.clone_into(secret_access_key);
            if let Some(id) = id {
                id.clone_into(access_key_id);
            }
        })
        .await;
        let error = upload(&store).await;
        assert_eq!((error.code(), error.is_retryable()), ("storage_access_denied", false), "{}", text(&error));
        assert!(!text(&error).contains(secret), "{}", text(&error));
        assert_no_row(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_told_from_a_missing_object() {
    let world = World::sqlite().await;
    let store = with_s3(&world, |config| "no-such-bucket".clone_into(&mut config.bucket)).await;
    let error = upload(&store).await;
    assert_eq!(error.code(), "storage_bucket_missing", "{}", text(&error));
    assert_no_row(&store).await;

    assert!(store.ensure_bucket().await.unwrap());
    assert!(!store.ensure_bucket().await.unwrap());
    store.upload_image(ann(), ImageCreate::new("a.png"), samples::png(5, 5).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_may_be_asked_again() {
    let world = World::sqlite().await;
    let store = with_s3(&world, |config| config.endpoint = Some("http://127.0.0.1:1".to_owned())).await;
    let error = upload(&store).await;
    assert_eq!((error.code(), error.is_retryable()), ("storage_unavailable", true), "{}", text(&error));
    assert_no_row(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_may_be_asked_again_and_its_password_is_not_shown() {
    let world = World::sqlite().await;
    let database = DatabaseConfig::new("postgres://app:hunter2@127.0.0.1:1/app");
    let store = open(Config::embedded(world.directory.path()).database(database)).await.unwrap();
    let error = upload(&store).await;
    assert_eq!((error.code(), error.is_retryable()), ("database_unavailable", true), "{}", text(&error));
    assert!(!text(&error).contains("hunter2"));
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tables_say_what_to_do() {
    let world = World::sqlite().await;
    let database = DatabaseConfig::new(format!("sqlite:{}", world.directory.path().join("empty.db").display()));
    let store = open(Config::embedded(world.directory.path()).database(database)).await.unwrap();
    let error = upload(&store).await;
    assert_eq!(error.code(), "database_migrations_pending", "{}", text(&error));
    assert_eq!(world.in_storage().await, (Vec::new(), 0));

    assert!(!store.migrate().await.unwrap().is_empty());
    store.upload_image(ann(), ImageCreate::new("a.png"), samples::png(5, 5).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_are_named() {
    let world = World::sqlite().await;
    let config = s3(&embedded(world.directory.path()).await);
    for change in [
        (|config: &mut S3Config| config.prefix = "no-slash".to_owned()) as fn(&mut S3Config),
        |config| config.bucket = "UPPER".to_owned(),
        |config| config.endpoint = Some("ftp://example.org".to_owned()),
    ] {
        let mut config = config.clone();
        change(&mut config);
        let error = open(Config::embedded(world.directory.path()).s3(config)).await.unwrap_err();
        assert_eq!(error.code(), "misconfigured", "{}", text(&error));
    }
    for url in ["mysql://localhost/app", "sqlite::memory:", ""] {
        let config = Config::embedded(world.directory.path()).database(DatabaseConfig::new(url));
        let error = open(config).await.unwrap_err();
        assert_eq!(error.code(), "database_misconfigured", "{url} {}", text(&error));
    }
}
