//! Dead letters when a console ends at the wrong moment: nothing is lost, nothing is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::queue::{
    DeadLetter, DeadLetterQueue, QueueError, RepublishError, RepublishedLetter,
};
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::harness::{TestConsole, TestControlChannel, config, database};
use crate::config::Seeds;

/// A dead-letter queue in memory.
#[derive(Default)]
struct TestDeadLetterQueue {
    waiting: Mutex<Vec<DeadLetter>>,
    taken: Mutex<usize>,
    sent: Mutex<Vec<String>>,
    /// Whether what was handed out stays, as when the console is killed before it releases it.
    keeps: bool,
    /// Letters that may be sent; then sending hangs.
    may_send: AtomicUsize,
}

#[async_trait]
impl DeadLetterQueue for TestDeadLetterQueue {
    async fn receive(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let waiting = self.waiting.lock().await;
        if waiting.is_empty() || *self.taken.lock().await > 0 {
            drop(waiting);
            std::future::pending::<()>().await;
            return Ok(Vec::new());
        }
        let taken: Vec<_> = waiting.iter().take(most).cloned().collect();
        *self.taken.lock().await = taken.len();
        Ok(taken)
    }

    async fn ack(&self) -> Result<(), QueueError> {
        if !self.keeps {
            let taken = std::mem::take(&mut *self.taken.lock().await);
            self.waiting.lock().await.drain(..taken);
        }
        Ok(())
    }

    async fn republish(&self, letters: &[RepublishedLetter]) -> Result<(), RepublishError> {
        for letter in letters {
            if self.may_send.load(Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            self.may_send.fetch_sub(1, Ordering::Relaxed);
            self.sent.lock().await.push(letter.id.clone());
        }
        Ok(())
    }

    fn confirmed(&self) -> Vec<LaneConfirmed> {
        Vec::new()
    }

    async fn close(&self) {}
}

fn letters(count: usize) -> Vec<DeadLetter> {
    let letter = |number| DeadLetter {
        id: format!("letter-{number}"),
        line: b"{}".to_vec(),
        reason: format!("reason {}", number % 2),
        message: None,
        line_number: 1,
    };
    (1..=count).map(letter).collect()
}

fn dead_letter_queue(count: usize, keeps: bool, may_send: usize) -> Arc<TestDeadLetterQueue> {
    Arc::new(TestDeadLetterQueue {
        waiting: Mutex::new(letters(count)),
        keeps,
        may_send: AtomicUsize::new(may_send),
        ..TestDeadLetterQueue::default()
    })
}

async fn console(
    folder: TempDir,
    control_channel: Arc<TestControlChannel>,
    dead_letter_queue: &Arc<TestDeadLetterQueue>,
) -> TestConsole {
    let database = Arc::new(database(folder.path()).await);
    let reader: Arc<dyn Reader> = Arc::new(EmbeddedReader::new(database));
    let config = config(folder.path(), false, Seeds::default());
    let letters = Arc::clone(dead_letter_queue) as Arc<dyn DeadLetterQueue>;
    TestConsole::over(folder, control_channel, config, (reader, letters)).await
}

#[tokio::test]
async fn letters_that_were_stored_and_not_released_are_there_once() {
    let (killed, after) = (
        dead_letter_queue(1200, true, 0),
        dead_letter_queue(1201, false, 0),
    );
    let first = console(tempfile::tempdir().unwrap(), Arc::default(), &killed).await;
    let counts = || first.console.dead_letters.counts();
    first
        .until("some are stored", async || counts().dead == 500)
        .await;
    let (folder, control_channel) = first.stop().await;
    let second = console(folder, control_channel, &after).await;
    let emptied = second.until("all are taken", async || {
        after.waiting.lock().await.is_empty()
    });
    emptied.await;
    let counts = second.console.dead_letters.counts();
    assert_eq!((counts.dead, counts.last), (1201, 1201));

    // Page by page, newest first, each once.
    let admin = second.local();
    for (filter, wanted) in [("", 1201), ("&reason=reason%201", 601)] {
        let (mut ids, mut before) = (Vec::new(), String::new());
        loop {
            let page = format!("/dead-letters?limit=97{filter}{before}");
            let page = second.get(&page, &admin).await;
            let some = page["dead_letters"].as_array().unwrap().clone();
            ids.extend(
                some.iter()
                    .map(|letter| letter["id"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        assert_eq!(ids.len(), wanted);
        assert_eq!(ids[0], "letter-1201");
        let number = |id: &String| id["letter-".len()..].parse::<u64>().unwrap();
        assert!(ids.is_sorted_by(|left, right| number(left) > number(right)));
    }
    second.stop().await;
}

#[tokio::test]
async fn a_replay_tells_how_far_it_is_and_goes_on_after_the_console_ended() {
    let first_queue = dead_letter_queue(40, false, 25);
    let first = console(tempfile::tempdir().unwrap(), Arc::default(), &first_queue).await;
    let counts = || first.console.dead_letters.counts();
    first
        .until("all are stored", async || counts().dead == 40)
        .await;
    let admin = first.local();
    let change = json!({"change": "replay", "dead_letters": "all", "per_s": 100});
    let plan = first.plan(&admin, change).await;
    assert_eq!(plan["change"]["dead_letters"], json!({"up_to": 40}));
    let answer = first.apply(&admin, &plan, json!({})).await.body;
    assert_eq!(answer["result"], "running", "{answer}");
    assert_eq!(answer["steps"][0]["message"], "sent 20");
    let path = format!("/plans/{}", plan["id"].as_str().unwrap());
    let seen = first.get(&path, &admin).await;
    assert_eq!(
        (&seen["state"], &seen["outcome"]["result"]),
        (&json!("applying"), &json!("running"))
    );
    let (folder, control_channel) = first.stop().await;

    let dead_letter_queue = dead_letter_queue(0, false, 1000);
    let second = console(folder, control_channel, &dead_letter_queue).await;
    let admin = second.local();
    let done = second.until("it is done", async || {
        second.get(&path, &admin).await["state"] == "applied"
    });
    done.await;
    // Nothing here counts what became of them.
    let done = second.get(&path, &admin).await;
    let unknown = "sent 20: outcome unknown: the workers' counts cannot be read";
    assert_eq!(done["outcome"]["steps"][0]["message"], unknown, "{done}");
    let mut sent = first_queue.sent.lock().await.clone();
    assert_eq!(sent.len(), 25);
    // Of the five that were on their way nothing was known: they are sent again, and no others are.
    assert_eq!(dead_letter_queue.sent.lock().await.len(), 20);
    sent.extend(dead_letter_queue.sent.lock().await.iter().cloned());
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), 40);
    let counts = second.console.dead_letters.counts();
    assert_eq!((counts.dead, counts.replayed), (0, 40));
    second.stop().await;
}
