//! Settling against a model, in both stores: any order of messages, redelivered and interrupted, counts each once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::message::MessageId;
use skilift_core::reconciliation::{Reconciliation, SettledRanges, Settlement};

use crate::apply::{InFolder, InRedis, TestStore};

/// An epoch that no double holds exactly.
const EPOCH: u64 = 0x01a0_0000_0000_0001;

/// A message: its channel and its sequence number.
type Number = (u16, u64);

/// One batch of messages.
#[derive(Debug, Clone)]
struct Step {
    messages: Vec<Number>,
    foreign: Option<(u32, u32)>,
    /// After how many turns of the loop the worker dies that settles it first.
    death: Option<u8>,
    /// Whether the store forgets what it may first.
    forget: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Long runs in order, and some numbers anywhere.
    let run = (0..3_u16, 1..60_u64, 1..20_u64);
    let run = run
        .prop_map(|(channel, first, count)| (first..first + count).map(|n| (channel, n)).collect());
    let some = prop::collection::vec((0..3_u16, 1..80_u64), 0..12);
    let messages = prop_oneof![run, some];
    let foreign = prop::option::weighted(0.3, (0..20_u32, 0..5_u32));
    let step = (messages, foreign, prop::option::of(0..12_u8), any::<bool>());
    let step = step.prop_map(|(messages, foreign, death, forget)| Step {
        messages,
        foreign,
        // A message of nobody's is counted each time it comes, and nobody knows whether it did when the worker died.
        death: death.filter(|_| foreign.is_none()),
        forget,
    });
    prop::collection::vec(step, 1..12)
}

/// What became of a message: the same whenever it comes.
fn settlement((channel, sequence): Number) -> Settlement {
    let message = MessageId {
        epoch: EPOCH,
        channel,
        sequence,
    };
    let rides = 1 + (sequence % 7) as u32;
    Settlement {
        message: Some(message),
        is_replay: sequence.is_multiple_of(11),
        rides,
        dead: u32::from(sequence.is_multiple_of(5)),
    }
}

/// The reconciliation of a list of all messages, each once.
fn model(messages: &BTreeSet<Number>, foreign: (u64, u64)) -> Reconciliation {
    let mut books = Reconciliation {
        foreign: foreign.0,
        dead: foreign.1,
        ..Reconciliation::default()
    };
    let mut epochs: BTreeMap<u16, SettledRanges> = BTreeMap::new();
    for &(channel, number) in messages {
        let of_message = settlement((channel, number));
        let rides = u64::from(of_message.rides);
        if of_message.is_replay {
            books.replayed += rides;
        } else {
            books.settled += rides;
        }
        books.dead += u64::from(of_message.dead);
        let book = epochs.entry(channel).or_insert_with(|| SettledRanges {
            epoch: EPOCH,
            channel,
            rides: 0,
            marked: Vec::new(),
        });
        book.rides += rides;
        match book.marked.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => book.marked.push((number, number)),
        }
    }
    books.epochs = epochs.into_values().collect();
    books
}

fn any_order_counts_each_message_once<S: TestStore>() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(S::start());
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let store = S::on(&server);
            let (mut messages, mut foreign) = (BTreeSet::new(), (0, 0));
            for step in steps {
                if step.forget {
                    store.forget().await;
                }
                let mut batch: Vec<Settlement> =
                    step.messages.iter().copied().map(settlement).collect();
                if let Some((rides, dead)) = step.foreign {
                    batch.push(Settlement {
                        message: None,
                        is_replay: false,
                        rides,
                        dead,
                    });
                    foreign = (foreign.0 + u64::from(rides), foreign.1 + u64::from(dead));
                }
                if let Some(turns) = step.death {
                    settle_and_die(&store, &batch, turns).await;
                }
                store.settle(&batch).await;
                messages.extend(step.messages);
                let mut books = store.reader().reconciliation().await.unwrap();
                books.own_queue = None;
                assert_eq!(books, model(&messages, foreign));
            }
        });
        Ok(())
    });
    outcome.unwrap();
}

/// Settles a batch and dies after some turns of the loop: what was sent is done all the same, what was not is not.
async fn settle_and_die(store: &impl TestStore, batch: &[Settlement], turns: u8) {
    let death = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = store.settle(batch) => {}
        () = death => {}
    }
}

async fn two_settle_at_once<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let numbers: Vec<Number> = (1..=3000).map(|n| ((n % 3) as u16, 1 + n / 3)).collect();
    let settle = |own: fn(u64) -> bool| {
        let of_one = numbers.iter().filter(move |(_, number)| own(*number));
        let batch: Vec<Settlement> = of_one.copied().map(settlement).collect();
        let store = &store;
        async move {
            for some in batch.chunks(20) {
                store.settle(some).await;
            }
        }
    };
    // Some come to both.
    tokio::join!(
        settle(|number| number % 2 == 0),
        settle(|number| number % 3 != 1)
    );
    let settled = numbers.iter().filter(|(_, n)| n % 2 == 0 || n % 3 != 1);
    let mut books = store.reader().reconciliation().await.unwrap();
    books.own_queue = None;
    assert_eq!(books, model(&settled.copied().collect(), (0, 0)));
}

async fn numbers_that_no_lane_reaches_are_foreign<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let message = |sequence| Settlement {
        message: Some(MessageId {
            epoch: EPOCH,
            channel: 0,
            sequence,
        }),
        is_replay: false,
        rides: 2,
        dead: 1,
    };
    let last = (1 << 53) - 1;
    let batch = [
        message(0),
        message(u64::MAX),
        message(last + 1),
        message(last),
        message(last - 1),
    ];
    store.settle(&batch).await;
    let books = store.reader().reconciliation().await.unwrap();
    assert_eq!((books.foreign, books.settled, books.dead), (6, 4, 5));
    assert_eq!(books.epochs[0].marked, [(last - 1, last)]);
}

async fn a_finished_life_is_forgotten_and_one_with_a_gap_is_not<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let batch: Vec<Settlement> = (1..=9)
        .flat_map(|n| (0..4).map(move |channel| (channel, n)))
        .filter(|&number| number != (1, 5))
        .map(settlement)
        .collect();
    store.settle(&batch).await;
    let before = store.reader().reconciliation().await.unwrap();
    let epoch = |channel, through, ended| LaneConfirmed {
        epoch: EPOCH,
        channel,
        high_watermark: through,
        rides: 0,
        ended,
    };
    // Whole; with a gap; with more confirmed than is settled; not at its end; unknown.
    let epochs = [
        epoch(0, 9, true),
        epoch(1, 9, true),
        epoch(2, 10, true),
        epoch(3, 9, false),
        epoch(7, 0, true),
    ];
    assert_eq!(store.reader().prune_epochs(&epochs).await.unwrap(), 2);
    // Of this one nothing behind the gap was confirmed.
    let rest = [epoch(1, 4, true)];
    assert_eq!(store.reader().prune_epochs(&rest).await.unwrap(), 1);
    let after = store.reader().reconciliation().await.unwrap();
    let epochs: Vec<u16> = after.epochs.iter().map(|book| book.channel).collect();
    assert_eq!(epochs, [2, 3]);
    assert_eq!(
        (after.settled, after.replayed),
        (before.settled, before.replayed)
    );
    assert_eq!(store.reader().prune_epochs(&[]).await.unwrap(), 0);
}

macro_rules! on_both_stores {
    ($($test:ident)+) => {
        mod in_redis {
            $(#[tokio::test] async fn $test() { super::$test::<super::InRedis>().await; })+

            #[test]
            fn any_order_counts_each_message_once() {
                super::any_order_counts_each_message_once::<super::InRedis>();
            }
        }
        mod in_a_data_folder {
            $(#[tokio::test] async fn $test() { super::$test::<super::InFolder>().await; })+

            #[test]
            fn any_order_counts_each_message_once() {
                super::any_order_counts_each_message_once::<super::InFolder>();
            }
        }
    };
}

on_both_stores! {
    two_settle_at_once
    numbers_that_no_lane_reaches_are_foreign
    a_finished_life_is_forgotten_and_one_with_a_gap_is_not
}
