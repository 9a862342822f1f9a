//! PostgreSQL that fails at each request of each operation: the request is lost, or its reply, or it is carried out when
//! nobody expects it any more, or it is refused.

use std::time::Duration;

use object_store_devkit::request_loss::{Effect, Fate, RequestLoss, Sender};
use object_store_repo::{Database, DatabaseConfig};

use crate::crashing::afterwards;
use crate::operations::{Operation, Outcome};
use crate::support::World;

/// What a server refuses although nothing is wrong with what was asked. The messages are PostgreSQL's.
const REFUSALS: [Fate; 3] = [
    Fate::Refused { code: "40001", message: "could not serialize access due to concurrent update" },
    Fate::Refused { code: "40P01", message: "deadlock detected" },
    Fate::Refused { code: "57014", message: "canceling statement due to statement timeout" },
];

/// A new connection begins with its login and its settings.
const GREETINGS: usize = 2;

/// Makes each operation a test, with how many requests it makes and how many of them change something, at least.
macro_rules! fail_everywhere {
    ($($name:ident: $operation:ident, $requests:literal, $changes:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            fail_everywhere(Operation::$operation, $requests, $changes).await;
        })*
    };
}

fail_everywhere! {
    upload_image: UploadImage, 10, 2;
    upload_in_parts: UploadInParts, 10, 2;
    stage_and_discard: StageAndDiscard, 10, 3;
    commit_staged: CommitStaged, 9, 1;
    begin_form: BeginForm, 4, 1;
    begin_with_key: BeginWithKey, 10, 1;
    complete: Complete, 20, 3;
    complete_refused: CompleteRefused, 12, 2;
    cancel: Cancel, 10, 2;
    delete: Delete, 10, 2;
    delete_in_transaction: DeleteInTransaction, 10, 1;
    erase_user: EraseUser, 20, 3;
    explain: Explain, 8, 0;
    read_and_list: ReadAndList, 12, 0;
    sign: Sign, 8, 0;
    begin_in_parts: BeginInParts, 10, 2;
    sign_and_list_parts: SignAndListParts, 6, 0;
    complete_in_parts: CompleteInParts, 20, 3;
    cancel_in_parts: CancelInParts, 10, 2;
    usage: Usage, 4, 0;
    recount_usage: RecountUsage, 4, 0;
}

async fn fail_everywhere(operation: Operation, least_requests: usize, least_changes: usize) {
    let world = World::postgres().await;
    let proxy = RequestLoss::start(&world.url).await.unwrap();
    let (mut cases, mut changes, mut effects) = (0, 0, Vec::new());
    for nth in 1.. {
        let lost = Case { nth, fate: Fate::Lost, sender: Sender::SeesTheEnd };
        if !lost.run(&world, &proxy, operation).await {
            // Nothing failed: now it is known what each request changes.
            effects = proxy.effects();
            break;
        }
        cases += 1;
    }
    for (index, effect) in effects.iter().copied().enumerate() {
        let case = Case { nth: index + 1, fate: Fate::Lost, sender: Sender::SeesTheEnd };
        // Of an operation with very many, some of those that only read are enough.
        if index >= GREETINGS && (effect != Effect::None || index % (1 + effects.len() / 40) == 0) {
            let refused = Case { fate: REFUSALS[index % REFUSALS.len()], ..case };
            cases += usize::from(refused.run(&world, &proxy, operation).await);
        }
        if effect != Effect::None {
            changes += 1;
            for fate in [Fate::Unanswered, Fate::Late] {
                for sender in [Sender::SeesTheEnd, Sender::Waits] {
                    cases += usize::from(Case { fate, sender, ..case }.run(&world, &proxy, operation).await);
                }
            }
        }
    }
    println!("{operation:?}: {} requests, {changes} changes, {cases} cases", effects.len());
    assert!(effects.len() >= least_requests && changes >= least_changes, "too little was tried");
}

/// One request that fails in one way.
#[derive(Debug, Clone, Copy)]
struct Case {
    nth: usize,
    fate: Fate,
    sender: Sender,
}

impl Case {
    /// `false` if it was done before anything failed.
    async fn run(self, world: &World, proxy: &RequestLoss, operation: Operation) -> bool {
        let when = format!("{operation:?}, {self:?}");
        world.clear().await;
        let given = operation.given(world).await;
        world.storage.forget_calls();
        // Fresh connections, so that each time there are the same requests.
        let database = Database::open(&DatabaseConfig::new(proxy.url())).unwrap();
        let service = world.service_on(&database);
        proxy.fail(self.nth, self.fate, self.sender);
        let outcome = {
            let act = operation.act(&service, &given);
            tokio::select! {
                result = act => Outcome::from(result),
                () = self.crash(proxy) => Outcome::Dropped,
                never = self.land_meanwhile(proxy) => never,
            }
        };
        let has_failed = proxy.has_failed();
        world.assert_named(&given.nameless, &when).await;
        world.assert_whole(&when).await;
        self.assert_typed(&outcome, proxy.is_commit(), &when);
        assert_eq!(in_use(&database).await, 0, "{when}: a connection is still out");
        drop((service, database));

        let is_late = has_failed && self.fate == Fate::Late;
        if is_late && proxy.is_commit() {
            // Until then its locks are held, and others wait for it.
            world.sweep_until_nothing_is_due(&when).await;
            proxy.land().await;
            world.assert_named(&given.nameless, &when).await;
        }
        world.settle_but_for_the_late(&when).await;
        afterwards(world, operation, &given, &outcome, &when, async || {
            if is_late {
                proxy.land().await;
            }
        })
        .await;
        has_failed
    }

    /// The process that waits for a reply dies.
    async fn crash(self, proxy: &RequestLoss) {
        if self.sender == Sender::SeesTheEnd {
            std::future::pending::<()>().await;
        }
        proxy.failed().await;
    }

    /// A COMMIT that is late lands while its sender looks what became of it: the locks of its transaction are in the way
    /// of all that the sender can try.
    async fn land_meanwhile(self, proxy: &RequestLoss) -> Outcome {
        if self.fate == Fate::Late && self.sender == Sender::SeesTheEnd {
            proxy.failed().await;
            if proxy.is_commit() {
                tokio::time::sleep(Duration::from_millis(150)).await;
                proxy.land().await;
            }
        }
        std::future::pending().await
    }

    fn assert_typed(self, outcome: &Outcome, is_commit: bool, when: &str) {
        let Outcome::Failed(error) = outcome else { return };
        let code = error.code();
        // What a server says of a COMMIT is believed only where it surely means that nothing was committed.
        let may_be_unknown = !matches!(self.fate, Fate::Refused { .. }) || is_commit;
        let is_expected = code == "database_unavailable" || (may_be_unknown && code == "database_commit_unknown");
        assert!(is_expected, "{when}: {code}: {error:?}");
    }
}

/// How many connections are out, once what a dropped future has left running is over.
async fn in_use(database: &Database) -> usize {
    for _ in 0..400 {
        if database.pool_status().in_use == 0 {
            return 0;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    database.pool_status().in_use
}
