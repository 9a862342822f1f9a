//! The sweeper that a host spawns, and the tools of operators, on the real module.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use object_store_devkit::samples;
use object_store_public::{
    Actor, Config, DatabaseConfig, Finding, ImageCreate, ObjectStoreProvider, SweeperOptions, VerifyOptions,
    object_store_provider, open, spawn_sweeper,
};

use crate::support::{World, ann, on_both_databases};

on_both_databases! {
    a_store_on_s3_is_verified_both_ways
}

const OFTEN: SweeperOptions = SweeperOptions { every: Duration::from_millis(20), jitter: Duration::from_millis(5) };

async fn a_store_on_s3_is_verified_both_ways(world: World) {
    let upload = async || {
        let create = ImageCreate::new("a.png");
        world.store.upload_image(ann(), create, samples::png(5, 5).into()).await.unwrap()
    };
    let (kept, lost) = (upload().await, upload().await);
    let options = VerifyOptions { rehash: NonZeroU64::new(1 << 30), ..VerifyOptions::default() };
    let report = world.store.verify(&options).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.objects, report.rows, report.rehashed), (2, 2, 2));

    let (keys, _) = world.in_storage().await;
    let key = keys.iter().find(|key| key.contains(&lost.id.to_string())).unwrap();
    world.lose(key).await;
    world.put_foreign("stray/file.txt").await;
    let report = world.store.verify(&VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, [Finding::Missing { id: lost.id.into(), key: key.clone() }]);
    assert_eq!(report.foreign_keys, ["stray/file.txt"]);

    let life = world.store.explain(kept.id.into()).await.unwrap();
    assert_eq!(life.objects[0].object.as_ref().unwrap().size_bytes, kept.size_bytes);
    assert_eq!(world.store.erase_user(Actor::System, kept.user_id.unwrap()).await.unwrap().images, 2);
    assert_eq!(world.store.due(10).await.unwrap().due, 2);
    assert_eq!(world.store.sweep().await.unwrap().purged, 2);
    assert_eq!(world.in_storage().await.0, ["stray/file.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_sweeps_until_it_is_shut_down() {
    let store = object_store_provider(Config::ephemeral()).await.unwrap();
    let sweeper = spawn_sweeper(store.clone(), OFTEN);
    let image = store.upload_image(ann(), ImageCreate::new("a.png"), samples::png(2, 2).into()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    store.delete_in(&mut tx, ann(), image.id.into()).await.unwrap();
    tx.commit().await.unwrap();
    while sweeper.totals().purged == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let totals = sweeper.shutdown().await;
    assert_eq!((totals.purged, totals.failures), (1, 0));
    assert_eq!(Arc::strong_count(&store), 1, "the task is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_sweeper_ends() {
    let store = object_store_provider(Config::ephemeral()).await.unwrap();
    drop(spawn_sweeper(store.clone(), OFTEN));
    while Arc::strong_count(&store) > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_outlives_failures() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("own.db").display());
    let module = open(Config::ephemeral().database(DatabaseConfig::new(url))).await.unwrap();
    let module = Arc::new(module);
    let sweeper = spawn_sweeper(module.clone(), OFTEN);
    while sweeper.totals().failures < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    module.migrate().await.unwrap();
    while sweeper.totals().sweeps < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sweeper.shutdown().await;
}
