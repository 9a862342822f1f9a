//! The doctor of the whole module.

use object_store_public::{
    Check, CheckStatus, Config, DatabaseConfig, DoctorOptions, ObjectStoreModule, ObjectStoreProvider, open,
};

use crate::support::{World, embedded, on_both_databases, s3};

on_both_databases! {
    a_store_that_works_is_well
    migrations_that_were_not_run_are_named
}

async fn errors(store: &ObjectStoreModule) -> Vec<Check> {
    let checks = store.doctor(&DoctorOptions::default()).await;
    checks.into_iter().filter(|check| check.status == CheckStatus::Error).collect()
}

async fn a_store_that_works_is_well(world: World) {
    let checks = world.store.doctor(&DoctorOptions::default()).await;
    assert!(checks.iter().all(|check| check.status < CheckStatus::Warning), "{checks:#?}");
    for name in ["endpoint", "read_write", "database", "migrations", "database_clock"] {
        assert!(
            checks.iter().any(|check| check.name == name && check.status == CheckStatus::Ok),
            "{name}: {checks:#?}"
        );
    }
    assert_eq!(world.in_storage().await, (Vec::new(), 0));
    assert_eq!(world.store.pool_status().in_use, 0);
}

async fn migrations_that_were_not_run_are_named(world: World) {
    world.store.revert_migrations(2).await.unwrap();
    let wrong = errors(&world.store).await;
    assert_eq!(wrong.iter().map(|check| check.name).collect::<Vec<_>>(), ["migrations"], "{wrong:#?}");
    assert!(wrong[0].found.starts_with("2 of 5 were not run"), "{wrong:#?}");
    assert!(wrong[0].advice.as_ref().unwrap().contains("cargo xtask migrate"), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_and_its_password_is_not() {
    let world = World::sqlite().await;
    let database = DatabaseConfig::new("postgres://app:hunter2@127.0.0.1:1/app");
    let config = Config::embedded(world.directory.path()).s3(s3(&embedded(world.directory.path()).await));
    let store = open(config.database(database)).await.unwrap();
    let wrong = errors(&store).await;
    assert_eq!(wrong.iter().map(|check| check.name).collect::<Vec<_>>(), ["database"], "{wrong:#?}");
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:#?}");
}
