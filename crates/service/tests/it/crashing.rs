//! A crash at every await: each operation is dropped wherever it waits. A change of storage that is under way then never
//! happens, or has happened, or happens when a sweep has been there.

use object_store_devkit::suspension::{Ending, drop_when};

use crate::operations::{Again, Given, Operation, Outcome};
use crate::support::World;

/// What becomes of the changes that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// They never arrive.
    Never,
    /// They have happened, and nobody was told.
    AtOnce,
    /// They happen after a sweep.
    Late,
}

const EFFECTS: [Effect; 3] = [Effect::Never, Effect::AtOnce, Effect::Late];

/// How much there was to try.
#[derive(Debug, Default, Clone, Copy)]
struct Tried {
    /// Changes of storage that were under way at a drop, each with every effect.
    changes: usize,
    /// Awaits at which it was dropped.
    awaits: usize,
}

/// Makes each operation a test on SQLite, where users' bytes are counted, and one on PostgreSQL, where they are not; with how much there must be to try at least: changes of
/// storage, and awaits on SQLite, where there are fewer.
macro_rules! crash_everywhere {
    ($($name:ident: $operation:ident, $changes:literal, $awaits:literal;)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let least = super::Tried { changes: $changes, awaits: $awaits };
                let world = $crate::support::World::sqlite().await.counting();
                super::crash_everywhere(world, super::Operation::$operation, least).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let least = super::Tried { changes: $changes, awaits: $awaits };
                super::crash_everywhere($crate::support::World::postgres().await, super::Operation::$operation, least).await;
            })*
        }
    };
}

crash_everywhere! {
    upload_image: UploadImage, 1, 4;
    upload_short_stream: UploadShortStream, 1, 6;
    upload_long_stream: UploadLongStream, 1, 8;
    upload_in_parts: UploadInParts, 1, 8;
    upload_with_key: UploadWithKey, 1, 5;
    stage_and_discard: StageAndDiscard, 2, 5;
    commit_staged: CommitStaged, 0, 2;
    begin_form: BeginForm, 0, 2;
    begin_put: BeginPut, 0, 2;
    begin_with_key: BeginWithKey, 0, 2;
    complete: Complete, 2, 10;
    complete_without_copy: CompleteWithoutCopy, 3, 12;
    complete_long: CompleteLong, 2, 10;
    complete_with_key: CompleteWithKey, 2, 10;
    complete_refused: CompleteRefused, 1, 6;
    cancel: Cancel, 1, 3;
    delete: Delete, 1, 3;
    delete_in_transaction: DeleteInTransaction, 0, 2;
    sweep: Sweep, 3, 8;
    verify_and_repair: VerifyAndRepair, 0, 20;
    erase_user: EraseUser, 0, 5;
    explain: Explain, 0, 12;
    read_and_list: ReadAndList, 0, 5;
    sign: Sign, 0, 2;
    begin_in_parts: BeginInParts, 1, 4;
    sign_and_list_parts: SignAndListParts, 0, 2;
    complete_in_parts: CompleteInParts, 3, 10;
    cancel_in_parts: CancelInParts, 1, 3;
    usage: Usage, 0, 1;
    recount_usage: RecountUsage, 0, 2;
}

async fn crash_everywhere(world: World, operation: Operation, least: Tried) {
    let tried = Tried {
        changes: crash_at_every_change(&world, operation).await,
        awaits: crash_at_every_await(&world, operation).await,
    };
    let cases = tried.changes * EFFECTS.len() + tried.awaits;
    println!("{operation:?}: {} changes, {} awaits, {cases} cases", tried.changes, tried.awaits);
    assert!(tried.changes >= least.changes && tried.awaits >= least.awaits, "too little was tried: {tried:?}");
}

/// Whatever else the runtime does, the operation is dropped while its 1st, 2nd, … change is under way.
async fn crash_at_every_change(world: &World, operation: Operation) -> usize {
    for nth in 1.. {
        for effect in EFFECTS {
            let is_time = |_: usize| world.storage.is_under_way(nth);
            if !crash(world, operation, is_time, effect, &format!("{operation:?}, change {nth}, {effect:?}")).await {
                return nth - 1;
            }
        }
    }
    unreachable!("no operation goes on for ever")
}

/// The operation is dropped where it waits for the 1st, 2nd, … time. Where a thread has the answer before it is asked
/// for, an operation waits less often; so it is over only when it was several times.
async fn crash_at_every_await(world: &World, operation: Operation) -> usize {
    const TRIES: usize = 8;
    let mut nth = 1;
    let mut done_before = 0;
    while done_before < TRIES {
        let when = format!("{operation:?}, await {nth}");
        if crash(world, operation, |suspensions| suspensions == nth, Effect::Never, &when).await {
            nth += 1;
            done_before = 0;
        } else {
            done_before += 1;
        }
    }
    nth - 1
}

/// `false` if it was done before it could be dropped.
async fn crash(
    world: &World,
    operation: Operation,
    is_time: impl FnMut(usize) -> bool,
    effect: Effect,
    when: &str,
) -> bool {
    world.clear().await;
    let given = operation.given(world).await;
    world.storage.keep_late_changes();
    world.storage.forget_calls();
    let ending = drop_when(operation.act(&world.service, &given), is_time).await;
    if effect == Effect::AtOnce {
        world.storage.land_late_changes().await;
    }
    world.assert_named(&given.nameless, when).await;
    world.assert_whole(when).await;

    world.settle_but_for_the_late(when).await;
    let was_dropped = matches!(ending, Ending::Dropped);
    let outcome = match ending {
        Ending::Dropped => Outcome::Dropped,
        Ending::Completed { output, .. } => Outcome::from(output),
    };
    afterwards(world, operation, &given, &outcome, when, async || {
        if effect == Effect::Late {
            world.storage.land_late_changes().await;
        }
    })
    .await;
    was_dropped
}

/// Time passes, sweeps run, and the operation is done again.
pub(crate) async fn afterwards(
    world: &World,
    operation: Operation,
    given: &Given,
    outcome: &Outcome,
    when: &str,
    land_late: impl AsyncFnOnce(),
) {
    let mut rows = world.finished_rows().await.len().try_into().unwrap();
    assert!(operation.rows(outcome).contains(&rows), "{when}: {rows} rows after {outcome:?}");
    if operation != Operation::RecountUsage {
        world.assert_counted(when).await;
    }
    if operation.again() == Again::AtOnce {
        rows = operation.act_again(world, given, rows, when).await;
    }
    // A sweep that comes as early as it may, while late writes are still possible.
    world.let_fences_pass().await;
    world.sweep_until_nothing_is_due(when).await;
    land_late().await;
    world.assert_holds(&format!("{when}, after an early sweep")).await;
    world.assert_clean_at_rest(when).await;
    if operation.again() == Again::AfterSweep {
        rows = operation.act_again(world, given, rows, when).await;
        world.assert_clean_at_rest(&format!("{when}, done again")).await;
    }
    assert_eq!(i64::try_from(world.finished_rows().await.len()), Ok(rows), "{when}: rows at rest");
    world.assert_counted(&format!("{when}, at rest")).await;
}
