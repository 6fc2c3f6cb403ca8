//! Dead letters on both engines, with a worker: dead, listed, sent again, dead again or stored, thrown away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skilift_core::control::{DesiredState, WorkerSettings};
use skilift_core::engine::{Embedded, Engine, RabbitRedis};
use skilift_core::lifecycle::Lifecycle;
use skilift_core::message::MessageId;
use skilift_core::queue::embedded::{EmbeddedDeadLetterQueue, EmbeddedQueue};
use skilift_core::queue::rabbit::{Broker, RabbitDeadLetterQueue};
use skilift_core::queue::{DeadLetter, DeadLetterQueue, RepublishedLetter};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_servers::{shared_amqp_url, shared_redis_url};
use tempfile::TempDir;

use super::harness::{TestConsole, WORKER, config, database};
use crate::config::Seeds;
use crate::dead_letters::LeaseHolder;

const RIDE: &str = r#"{"resortID":1,"seasonID":"2025","dayID":2,"skierID":7,"time":3,"liftID":4}"#;
const POISON: &str = "this is no ride";

/// A console, a worker, and what they stand on.
struct Ground {
    console: TestConsole,
    reader: Arc<dyn Reader>,
    /// Another way to send letters, which puts poison into the queue of rides.
    poisoner: Arc<dyn DeadLetterQueue>,
    worker: Lifecycle,
    /// The token of an admin. The next one that is made ends it.
    admin: String,
}

impl Ground {
    async fn new<E: Engine>(
        folder: TempDir,
        engine: E,
        reader: Arc<dyn Reader>,
        dead_letter_queue: Arc<dyn DeadLetterQueue>,
        poisoner: Arc<dyn DeadLetterQueue>,
    ) -> Self {
        let worker = Lifecycle::new();
        let settings = WorkerSettings {
            threads: 1,
            linger_ms: 1,
            ..WORKER
        };
        let working =
            skilift_worker::start(settings, DesiredState::none(), Arc::new(engine), &worker);
        working.await.unwrap();
        let config = config(folder.path(), false, Seeds::default());
        let store = (Arc::clone(&reader), dead_letter_queue);
        let console = TestConsole::over(folder, Arc::default(), config, store).await;
        Self {
            admin: console.local(),
            console,
            reader,
            poisoner,
            worker,
        }
    }

    /// Waits until the newest letters are so, and the books agree.
    async fn until_listed(&self, wanted: &[(&str, &str, u64)]) -> Value {
        let seen = std::cell::RefCell::new(Value::Null);
        let says = format!("letters are {wanted:?}");
        let listing = self.console.until(&says, async || {
            let listed = self.console.get("/dead-letters", &self.admin).await;
            let letters = listed["dead_letters"].as_array().unwrap();
            let has = letters.iter().map(|letter| {
                let text = |name: &str| letter[name].as_str().unwrap();
                (
                    text("id"),
                    text("state"),
                    letter["replays"].as_u64().unwrap(),
                )
            });
            let has: Vec<_> = has.collect();
            let holds = has == wanted;
            *seen.borrow_mut() = listed.clone();
            holds
        });
        listing.await;
        seen.into_inner()
    }

    /// Waits until as many rides are applied and lines dead, with nothing left over.
    async fn until_booked(&self, applied: u64, dead: u64, replayed: u64) {
        let booked = self.console.until("the books agree", async || {
            let Ok(books) = self.reader.reconciliation().await else {
                return false;
            };
            (books.applied, books.dead, books.replayed) == (applied, dead, replayed)
        });
        booked.await;
        let books = self.reader.reconciliation().await.unwrap();
        let taken = books.settled + books.replayed + books.foreign;
        assert_eq!(
            i64::try_from(taken).unwrap(),
            i64::try_from(books.applied + books.dead).unwrap() + books.duplicate()
        );
        // Whatever the console sent is marked, and nothing that it did not.
        for epoch in self.console.console.sources.dead_letter_queue.confirmed() {
            let is_it = |book: &&skilift_core::reconciliation::SettledRanges| {
                (book.epoch, book.channel) == (epoch.epoch, epoch.channel)
            };
            let book = books.epochs.iter().find(is_it).unwrap();
            assert!(book.is_whole(epoch.high_watermark), "{book:?} {epoch:?}");
            assert_eq!(book.rides, epoch.rides);
        }
    }
}

async fn from_dead_to_discarded(ground: Ground) {
    let console = &ground.console;
    let admin = ground.admin.clone();
    let poison = RepublishedLetter {
        id: "poison-1".to_owned(),
        line: POISON.into(),
    };
    ground.poisoner.republish(&[poison]).await.unwrap();
    let listed = ground.until_listed(&[("poison-1", "dead", 0)]).await;
    assert_eq!(listed["total"], 1);
    let shown = console.get("/dead-letters/poison-1", &admin).await;
    assert_eq!(shown["line"], POISON);
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains("not JSON"), "{reason}");
    assert_eq!(
        console.get("/dead-letters?reason=NOT%20json", &admin).await["dead_letters"][0]["id"],
        "poison-1"
    );
    assert_eq!(
        console.get("/dead-letters?reason=other", &admin).await["dead_letters"],
        json!([])
    );
    ground.until_booked(0, 1, 1).await;

    // It dies again, under the same id.
    let of = |reason: &str| json!({"reason": {"text": reason}});
    for (replays, which) in [(1, json!({"ids": ["poison-1"]})), (2, of("NOT json"))] {
        let change = json!({"change": "replay", "dead_letters": which});
        let outcome = console.change(&admin, change).await;
        assert_eq!(outcome["result"], "succeeded", "{outcome}");
        ground.until_listed(&[("poison-1", "dead", replays)]).await;
    }
    ground.until_booked(0, 3, 3).await;

    // Another one can be stored now.
    let odd = DeadLetter {
        id: "was-odd-1".to_owned(),
        line: RIDE.into(),
        reason: "its lift was closed".to_owned(),
        message: Some(MessageId {
            epoch: 1,
            channel: 0,
            sequence: 1,
        }),
        line_number: 1,
    };
    let (letters, state) = (&console.console.dead_letters, &console.console.state);
    letters.store(state, vec![odd]).await.unwrap();
    let both = [("was-odd-1", "dead", 0), ("poison-1", "dead", 2)];
    ground.until_listed(&both).await;
    let all = json!({"change": "replay", "dead_letters": "all", "per_s": 1000});
    let outcome = console.change(&admin, all).await;
    assert_eq!(outcome["result"], "succeeded", "{outcome}");
    let after = [("was-odd-1", "replayed", 1), ("poison-1", "dead", 3)];
    ground.until_listed(&after).await;
    ground.until_booked(1, 4, 5).await;

    // Sent once more it is in the ledger already.
    let again = json!({"change": "replay", "dead_letters": {"ids": ["was-odd-1"]}});
    console.change(&admin, again).await;
    ground.until_booked(1, 4, 6).await;
    assert_eq!(ground.reader.reconciliation().await.unwrap().duplicate(), 1);

    // Of a reason that no letter has, and of the one that the other has, which is not dead.
    for reason in ["other", "its lift"] {
        let none = json!({"change": "replay", "dead_letters": of(reason)});
        assert_eq!(console.change(&admin, none).await["result"], "unchanged");
    }
    // More than one is severe.
    let discard = console
        .plan(&admin, json!({"change": "discard", "dead_letters": "all"}))
        .await;
    assert_eq!(
        (&discard["danger"], &discard["confirm"]),
        (&json!("severe"), &json!("discard"))
    );
    let refused = console.apply(&admin, &discard, json!({})).await;
    assert_eq!(refused.code(), "refused");
    let one = json!({"change": "discard", "dead_letters": of("not JSON")});
    let one = console.plan(&admin, one).await;
    assert_eq!(
        one["command"],
        "skictl queue dead discard --reason 'not JSON'"
    );
    assert_eq!(one["danger"], "moderate");
    let outcome = console.apply(&admin, &one, json!({})).await;
    assert_eq!(outcome.body["steps"][0]["message"], "discarded 1");
    ground.until_listed(&[("was-odd-1", "replayed", 2)]).await;
    let rest = json!({"change": "discard", "dead_letters": "all"});
    console.change(&admin, rest).await;
    ground.until_listed(&[]).await;
    // What was sent again and stored was not thrown away.
    let counts = console.console.dead_letters.counts();
    assert_eq!((counts.dead, counts.replayed, counts.discarded), (0, 0, 1));
    let nothing = json!({"change": "replay", "dead_letters": "all"});
    assert_eq!(console.change(&admin, nothing).await["result"], "unchanged");
    ground.worker.drain();
    ground.console.stop().await;
}

#[tokio::test]
async fn from_dead_to_discarded_on_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(database(folder.path()).await);
    let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
    let ground = Ground::new(
        folder,
        Embedded::new(Arc::clone(&database), Arc::clone(&queue)),
        Arc::new(EmbeddedReader::new(database)),
        Arc::new(EmbeddedDeadLetterQueue::new(Arc::clone(&queue))),
        Arc::new(EmbeddedDeadLetterQueue::new(queue)),
    );
    from_dead_to_discarded(ground.await).await;
}

/// A stack of its own on the shared servers.
fn servers() -> (StackName, Arc<Broker>, Store) {
    let stack = format!("letters-{:08x}", rand::random::<u32>());
    let stack: StackName = stack.parse().unwrap();
    let broker = Broker::new(ServiceUrl::amqp(&shared_amqp_url()).unwrap(), "test").unwrap();
    let redis = ServiceUrl::redis(&shared_redis_url()).unwrap();
    let store = Store::new(redis, &stack, 4, StoreDurability::Checked).unwrap();
    (stack, Arc::new(broker), store)
}

#[tokio::test]
async fn from_dead_to_discarded_on_rabbitmq_and_redis() {
    let (stack, broker, store) = servers();
    let reader = store.reader().unwrap();
    let ground = Ground::new(
        tempfile::tempdir().unwrap(),
        RabbitRedis::new(Arc::clone(&broker), store, stack.clone()),
        Arc::new(reader),
        Arc::new(RabbitDeadLetterQueue::new(&broker, stack.clone())),
        Arc::new(RabbitDeadLetterQueue::new(&broker, stack)),
    );
    from_dead_to_discarded(ground.await).await;
}

#[tokio::test]
async fn of_two_consoles_of_a_stack_one_takes_its_letters_and_the_other_takes_over() {
    let (stack, broker, store) = servers();
    let letter = |id: &str| DeadLetter {
        id: id.to_owned(),
        line: b"\xff\xfe".to_vec(),
        reason: "not UTF-8".to_owned(),
        message: None,
        line_number: 1,
    };
    let reader: Arc<dyn Reader> = Arc::new(store.reader().unwrap());
    let engine = RabbitRedis::new(Arc::clone(&broker), store, stack.clone());
    engine
        .publish_dead_letters(&mut vec![letter("one")])
        .await
        .unwrap();
    let start = async || {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), false, Seeds::default());
        let dead_letter_queue = Arc::new(RabbitDeadLetterQueue::new(&broker, stack.clone()));
        TestConsole::over(
            folder,
            Arc::default(),
            config,
            (Arc::clone(&reader), dead_letter_queue),
        )
        .await
    };
    let first = start().await;
    let count = |console: &TestConsole| console.console.dead_letters.counts().dead;
    first
        .until("it has the letter", async || count(&first) == 1)
        .await;
    let second = start().await;
    let told = second.until("it is told", async || {
        let why = second.console.dead_letters.hindrance();
        why.is_some_and(|why| why.contains("already has a reader"))
    });
    told.await;
    assert_eq!(second.console.dead_letters.holder(), LeaseHolder::Another);
    first
        .until("it waits for more", async || {
            first.console.dead_letters.holder() == LeaseHolder::Us
        })
        .await;
    engine
        .publish_dead_letters(&mut vec![letter("two")])
        .await
        .unwrap();
    // It is counted a moment before it is on the disk.
    first
        .until("it has both", async || {
            let letter = first.console.dead_letters.show("two");
            count(&first) == 2 && letter.unwrap().is_some()
        })
        .await;
    let shown = first.get("/dead-letters/two", &first.local()).await;
    assert_eq!(shown["line"], "\u{fffd}\u{fffd}");
    first.stop().await;
    engine
        .publish_dead_letters(&mut vec![letter("three")])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    second
        .until("it takes over", async || count(&second) == 1)
        .await;
    second.stop().await;
}
