//! Faults of storage at each call of each operation, and a database that is busy or has no connection to give: a typed
//! error or a success, and afterwards everything holds.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use object_store_devkit::faults::{Fault, Operation as Call, When};
use object_store_repo::{Connection, Database, DatabaseConfig, Engine, Transaction};

use crate::crashing::afterwards;
use crate::operations::{Operation, Outcome};
use crate::support::{World, on_both_databases};

on_both_databases! {
    without_a_free_connection_every_operation_fails_and_leaves_nothing
}

/// How a call fails, whether all later ones do too, and what the operation may say of it.
const ANY_CALL: [(Fault, bool, &str); 7] = [
    (Fault::Unavailable, false, "storage_unavailable"),
    (Fault::Unavailable, true, "storage_unavailable"),
    (Fault::RequestLost, false, "storage_unavailable"),
    (Fault::RequestLost, true, "storage_unavailable"),
    (Fault::ReplyLost, false, "storage_unavailable"),
    (Fault::AccessDenied, false, "storage_access_denied"),
    (Fault::BucketMissing, true, "storage_bucket_missing"),
];

const CUT: Fault = Fault::CutDownload { after_bytes: 20 };
const STALE: Fault = Fault::CutListing { after_objects: 0 };

/// What can happen to certain calls only.
const CERTAIN_CALLS: [(Operation, Call, When, Fault, &str); 26] = [
    (Operation::UploadImage, Call::Put, When::Nth(1), Fault::Corrupted, "storage_corrupted"),
    (Operation::UploadInParts, Call::Put, When::Nth(1), Fault::Corrupted, "storage_corrupted"),
    (Operation::CompleteWithoutCopy, Call::Put, When::Nth(1), Fault::Corrupted, "storage_corrupted"),
    (Operation::UploadInParts, Call::Get, When::Nth(1), CUT, "storage_unavailable"),
    (Operation::UploadInParts, Call::Get, When::Always, CUT, "storage_unavailable"),
    (Operation::Complete, Call::Get, When::Nth(1), CUT, "storage_unavailable"),
    (Operation::Complete, Call::Get, When::Always, CUT, "storage_unavailable"),
    (Operation::Complete, Call::Get, When::Nth(2), CUT, "storage_unavailable"),
    (Operation::Complete, Call::Get, When::Nth(2), Fault::FlipDownload { at: 40 }, "storage_corrupted"),
    (Operation::CompleteLong, Call::Get, When::Nth(1), CUT, "storage_unavailable"),
    (Operation::CompleteLong, Call::Get, When::Nth(2), CUT, "storage_unavailable"),
    (Operation::CompleteLong, Call::Get, When::Always, CUT, "storage_unavailable"),
    (Operation::CompleteRefused, Call::Get, When::Always, CUT, "storage_unavailable"),
    (Operation::VerifyAndRepair, Call::Get, When::Nth(1), CUT, "storage_unavailable"),
    (Operation::VerifyAndRepair, Call::Get, When::Always, CUT, "storage_unavailable"),
    (Operation::Complete, Call::Copy, When::Nth(1), Fault::PreconditionFailed, "upload_not_received"),
    (Operation::Complete, Call::Copy, When::Always, Fault::PreconditionFailed, "upload_not_received"),
    (Operation::CompleteLong, Call::Copy, When::Nth(1), Fault::PreconditionFailed, "upload_not_received"),
    (Operation::CompleteLong, Call::Copy, When::Always, Fault::PreconditionFailed, "upload_not_received"),
    (Operation::CompleteWithKey, Call::Copy, When::Always, Fault::PreconditionFailed, "upload_not_received"),
    (Operation::Sweep, Call::ListMultipartUploads, When::Nth(1), STALE, "none"),
    (Operation::Sweep, Call::ListMultipartUploads, When::Always, STALE, "none"),
    (Operation::VerifyAndRepair, Call::ListMultipartUploads, When::Nth(1), STALE, "none"),
    (Operation::VerifyAndRepair, Call::ListMultipartUploads, When::Nth(2), STALE, "none"),
    (Operation::Explain, Call::ListPage, When::Always, STALE, "none"),
    (Operation::Explain, Call::ListMultipartUploads, When::Always, STALE, "none"),
];

/// Makes each operation a test, with how many calls of storage it makes at least.
macro_rules! fail_at_every_call {
    ($($name:ident: $operation:ident, $calls:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            fail_at_every_call(Operation::$operation, $calls).await;
        })*
    };
}

fail_at_every_call! {
    upload_image: UploadImage, 1;
    upload_long_stream: UploadLongStream, 1;
    upload_in_parts: UploadInParts, 2;
    upload_with_key: UploadWithKey, 1;
    stage_and_discard: StageAndDiscard, 2;
    begin_form: BeginForm, 1;
    begin_put: BeginPut, 1;
    begin_with_key: BeginWithKey, 1;
    complete: Complete, 4;
    complete_without_copy: CompleteWithoutCopy, 3;
    complete_long: CompleteLong, 5;
    complete_with_key: CompleteWithKey, 4;
    complete_refused: CompleteRefused, 3;
    cancel: Cancel, 1;
    delete: Delete, 1;
    sweep: Sweep, 5;
    verify_and_repair: VerifyAndRepair, 10;
    explain: Explain, 7;
    read_and_list: ReadAndList, 2;
    sign: Sign, 1;
    begin_in_parts: BeginInParts, 1;
    sign_and_list_parts: SignAndListParts, 2;
    complete_in_parts: CompleteInParts, 5;
    cancel_in_parts: CancelInParts, 1;
}

async fn fail_at_every_call(operation: Operation, least: usize) {
    let world = World::sqlite().await;
    let mut calls = 0;
    for (fault, lasts, code) in ANY_CALL {
        for nth in 1.. {
            let when = format!("{operation:?}, call {nth}, {fault:?}, lasting: {lasts}");
            let which = if lasts { When::From(nth) } else { When::Nth(nth) };
            if !fail(&world, operation, || world.storage.fail_any(which, fault), code, &when).await {
                break;
            }
            calls += 1;
        }
    }
    println!("{operation:?}: {calls} cases");
    // What follows a call that failed for good is not reached.
    assert!(calls >= least * ANY_CALL.len(), "too little was tried: {calls}");
}

/// `false` if nothing failed.
async fn fail(world: &World, operation: Operation, arm: impl FnOnce(), code: &str, when: &str) -> bool {
    world.clear().await;
    let given = operation.given(world).await;
    world.storage.keep_late_changes();
    world.storage.forget_calls();
    arm();
    let outcome = Outcome::from(operation.act(&world.service, &given).await);
    let injected = |fault: Fault| fault != Fault::Unsupported;
    let has_failed = world.storage.calls().iter().any(|call| call.fault.is_some_and(injected));
    world.storage.heal();
    operation.equip(world);
    if let Outcome::Failed(error) = &outcome {
        assert_eq!(error.code(), code, "{when}: {error:?}");
    }
    world.assert_named(&given.nameless, when).await;
    world.assert_whole(when).await;
    afterwards(world, operation, &given, &outcome, when, async || {
        world.storage.land_late_changes().await;
    })
    .await;
    has_failed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_certain_calls_only() {
    let world = World::sqlite().await;
    for (operation, call, which, fault, code) in CERTAIN_CALLS {
        let when = format!("{operation:?}, {call:?}, {which:?}, {fault:?}");
        let has_failed = fail(&world, operation, || world.storage.fail(call, which, fault), code, &when).await;
        assert!(has_failed, "{when}: nothing failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_that_is_locked_for_a_while_is_waited_for() {
    // Boxed, since together they are too much for a stack.
    let all = Operation::ALL.map(|operation| while_locked(operation, Some(Duration::from_millis(500))).boxed_local());
    for (operation, outcome) in Operation::ALL.into_iter().zip(join_all(all).await) {
        assert!(matches!(outcome, Outcome::Done), "{operation:?}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_that_stays_locked_is_an_error_and_can_be_read() {
    let all = Operation::ALL.map(|operation| while_locked(operation, None).boxed_local());
    for (operation, outcome) in Operation::ALL.into_iter().zip(join_all(all).await) {
        let only_reads = matches!(
            operation,
            Operation::Explain
                | Operation::ReadAndList
                | Operation::Sign
                | Operation::SignAndListParts
                | Operation::Usage
        );
        match outcome {
            Outcome::Done => assert!(only_reads, "{operation:?} has written nothing"),
            Outcome::Failed(error) => {
                assert_eq!((error.code(), error.is_retryable()), ("database_unavailable", true), "{operation:?}");
                assert!(!only_reads, "{operation:?} needs no lock");
            }
            Outcome::Dropped => panic!("{operation:?} was not dropped"),
        }
    }
}

/// Does an operation while another process has the write lock, which it gives up after a time, or not before the end.
async fn while_locked(operation: Operation, unlock_after: Option<Duration>) -> Outcome {
    let when = format!("{operation:?}, locked");
    let world = World::sqlite().await;
    let given = operation.given(&world).await;
    let other = Database::open(&DatabaseConfig::new(&world.url)).unwrap();
    let mut lock = Some(other.begin().await.unwrap());
    let act = operation.act(&world.service, &given);
    let unlock = async {
        if let Some(after) = unlock_after {
            tokio::time::sleep(after).await;
            lock.take().unwrap().rollback().await.unwrap();
        }
    };
    let outcome = Outcome::from(futures::future::join(act, unlock).await.0);
    drop(lock);
    world.assert_named(&given.nameless, &when).await;
    afterwards(&world, operation, &given, &outcome, &when, async || {}).await;
    outcome
}

async fn without_a_free_connection_every_operation_fails_and_leaves_nothing(world: World) {
    let config = DatabaseConfig {
        max_connections: 2,
        acquire_timeout: Duration::from_millis(250),
        ..DatabaseConfig::new(&world.url)
    };
    for operation in Operation::ALL {
        let when = format!("{operation:?}, without a connection");
        world.clear().await;
        let given = operation.given(&world).await;
        let database = Database::open(&config).unwrap();
        let held = Held::all_of(&database).await;
        let service = world.service_on(&database);
        let in_use = database.pool_status().in_use;

        let outcome = Outcome::from(operation.act(&service, &given).await);

        let Outcome::Failed(error) = &outcome else { panic!("{when}: {outcome:?}") };
        assert_eq!((error.code(), error.is_retryable()), ("database_unavailable", true), "{when}");
        let status = database.pool_status();
        assert_eq!((status.in_use, status.waiting), (in_use, 0), "{when}");
        drop(held);
        world.assert_named(&given.nameless, &when).await;
        afterwards(&world, operation, &given, &outcome, &when, async || {}).await;
    }
}

/// All connections of a database.
struct Held {
    _writer: Option<Transaction>,
    _readers: Vec<Connection<'static>>,
}

impl Held {
    async fn all_of(database: &Database) -> Self {
        let writer = match database.engine() {
            Engine::Sqlite => loop {
                // A new connection may take longer than this pool waits.
                if let Ok(writer) = database.begin().await {
                    break Some(writer);
                }
            },
            Engine::Postgres => None,
        };
        let (most, mut readers) = (if writer.is_some() { 4 } else { 2 }, Vec::new());
        while readers.len() < most {
            readers.extend(database.reader().await.ok());
        }
        Self { _writer: writer, _readers: readers }
    }
}
