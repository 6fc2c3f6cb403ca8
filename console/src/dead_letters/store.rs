//! The console's store of dead letters, newest last, by number and id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex as StdMutex, PoisonError};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};
use skilift_core::queue::DeadLetter;
use tokio::sync::{Mutex, MutexGuard};

use crate::state::{ConsoleState, number_key, read_number};
use crate::view::dead_letters::{DeadLetterState, DeadLetterView, DeadLettersView};

/// Maximum number of dead letters; beyond it the reader waits, and dead letters stay in their queue.
pub(crate) const MAX_LETTERS: u64 = 1_000_000;
/// The key of the one record of counts.
const COUNTS: &[u8] = b"counts";
/// Maximum dead letters read per query, when few of them match.
const MAX_READ: usize = 20_000;
/// Dead letters whose reasons are counted: the newest ones.
pub(crate) const REASONS_READ: usize = 1_000;
/// Dead letters per read.
const PAGE: usize = 500;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredDeadLetter {
    pub(crate) id: String,
    reason: String,
    line: Line,
    /// The message of its last failure, if known. After a crash the same dead letter arrives again, with the same message.
    died_in: Option<String>,
    at_ms: u64,
    replays: u64,
    pub(crate) replayed_at_ms: Option<u64>,
    pub(crate) state: DeadLetterState,
}

/// A line, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Text(String),
    /// Invalid UTF-8, as base64.
    Bytes(String),
}

/// Counts of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Dead letters that need attention.
    pub(crate) dead: u64,
    /// Dead letters that were replayed and not dead-lettered again.
    pub(crate) replayed: u64,
    /// Dead letters ever discarded.
    pub(crate) discarded: u64,
    /// The number of the newest dead letter.
    pub(crate) last: u64,
}

impl Counts {
    fn of_state(&mut self, state: DeadLetterState) -> &mut u64 {
        match state {
            DeadLetterState::Dead => &mut self.dead,
            DeadLetterState::Replayed => &mut self.replayed,
        }
    }
}

/// The dead letters of a plan.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    /// Those that existed when it was created.
    Through {
        /// Up to this number.
        last: u64,
        /// Only those whose reason contains it, ignoring case.
        reason: Option<String>,
    },
    /// These.
    Ids(Vec<String>),
}

/// The store.
pub(crate) struct DeadLetterStore {
    letters: Table<StoredDeadLetter>,
    numbers: Table<u64>,
    counts: Table<Counts>,
    /// The counts as stored, for readers.
    known: StdMutex<Counts>,
    write_lock: Mutex<WriteState>,
    /// Why no dead letters can be read from their queue now, if so.
    pub(super) hindrance: StdMutex<Option<String>>,
    /// Which console reads them from their queue.
    pub(super) holder: StdMutex<LeaseHolder>,
}

/// Which console reads the dead letters of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LeaseHolder {
    /// Unknown.
    #[default]
    Unsure,
    /// This console.
    Us,
    /// Another one, which stores what it reads.
    Another,
}

/// The write lock.
#[derive(Default)]
pub(super) struct WriteState {
    /// Dead letters that are being replayed, and whether they were dead-lettered again already.
    under_way: HashMap<String, bool>,
}

/// How many of the newest dead letters have a reason.
pub(crate) struct ReasonCount {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

impl DeadLetterStore {
    /// Opens the tables.
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let counts: Table<Counts> = state.table("letter-counts")?;
        Ok(Self {
            letters: state.table("letters")?,
            numbers: state.table("letter-numbers")?,
            known: StdMutex::new(counts.get(COUNTS)?.unwrap_or_default()),
            counts,
            write_lock: Mutex::default(),
            hindrance: StdMutex::default(),
            holder: StdMutex::default(),
        })
    }

    /// The counts.
    pub(crate) fn counts(&self) -> Counts {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no dead letters can be read from their queue now, if so.
    #[must_use]
    pub(crate) fn hindrance(&self) -> Option<String> {
        let hindrance = self.hindrance.lock();
        hindrance.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which console reads dead letters from their queue.
    pub(crate) fn holder(&self) -> LeaseHolder {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more can be stored.
    pub(super) fn room(&self) -> u64 {
        let counts = self.counts();
        MAX_LETTERS.saturating_sub(counts.dead + counts.replayed)
    }

    /// Takes the write lock: the store does not change while it is held.
    pub(super) async fn write_lock(&self) -> MutexGuard<'_, WriteState> {
        self.write_lock.lock().await
    }

    /// The dead letter with an id, and its number.
    pub(super) fn find(&self, id: &str) -> Result<Option<(u64, StoredDeadLetter)>, DiskError> {
        // Keys are never empty.
        if id.is_empty() {
            return Ok(None);
        }
        let Some(number) = self.numbers.get(id.as_bytes())? else {
            return Ok(None);
        };
        let letter = self.letters.get(&number_key(number))?;
        Ok(letter.map(|letter| (number, letter)))
    }

    /// The state of the dead letter with a number; `None` if it was discarded.
    pub(super) fn state(&self, number: u64) -> Result<Option<DeadLetterState>, DiskError> {
        Ok(self
            .letters
            .get(&number_key(number))?
            .map(|letter| letter.state))
    }

    /// At most `limit` dead letters with numbers from `first` to `last`, oldest first.
    pub(super) fn between(
        &self,
        first: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<(u64, StoredDeadLetter)>, DiskError> {
        let found = self
            .letters
            .range(number_key(first)..=number_key(last), limit)?;
        let numbered = found
            .into_iter()
            .map(|(key, letter)| (read_number(&key), letter));
        Ok(numbered.collect())
    }

    /// The view of a dead letter.
    pub(crate) fn show(&self, id: &str) -> Result<Option<DeadLetterView>, DiskError> {
        Ok(self.find(id)?.map(|(_, letter)| letter.view()))
    }

    /// Dead letters with numbers below `before`, newest first; with `reason`, those whose reason contains it, ignoring case; with
    /// `state`, those in that state.
    pub(crate) fn list(
        &self,
        mut before: u64,
        limit: usize,
        reason: Option<&str>,
        state: Option<DeadLetterState>,
    ) -> Result<DeadLettersView, DiskError> {
        let counts = self.counts();
        let mut view = DeadLettersView {
            total: counts.dead + counts.replayed,
            dead_letters: Vec::new(),
            next: None,
        };
        for _ in 0..MAX_READ / PAGE {
            let found = self.letters.range_back(..number_key(before), PAGE)?;
            let is_end = found.len() < PAGE;
            for (key, letter) in found {
                before = read_number(&key);
                if letter.has_reason(reason) && state.is_none_or(|state| letter.state == state) {
                    // `next` is set only if there is another one.
                    if view.dead_letters.len() == limit {
                        view.next = Some((before + 1).to_string());
                        return Ok(view);
                    }
                    view.dead_letters.push(letter.view());
                }
            }
            if is_end {
                return Ok(view);
            }
        }
        view.next = Some(before.to_string());
        Ok(view)
    }

    /// How many dead letters up to a number have a reason that contains a text; with `state` only those in that state.
    pub(crate) fn count_with_reason(
        &self,
        last: u64,
        reason: &str,
        state: Option<DeadLetterState>,
    ) -> Result<u64, DiskError> {
        let (mut first, mut count) = (1, 0);
        while first <= last {
            let page = self.between(first, last, PAGE)?;
            let Some((highest, _)) = page.last() else {
                break;
            };
            first = highest + 1;
            let counts = page.iter().filter(|(_, letter)| {
                letter.has_reason(Some(reason)) && state.is_none_or(|state| letter.state == state)
            });
            count += counts.count() as u64;
        }
        Ok(count)
    }

    /// The most frequent reasons of those among the newest dead letters that were not replayed, most frequent first.
    pub(crate) fn reasons(&self, limit: usize) -> Result<Vec<ReasonCount>, DiskError> {
        let newest = self.letters.range_back(.., REASONS_READ)?;
        let mut counts = HashMap::<String, u64>::new();
        let dead = |(_, letter): &(_, StoredDeadLetter)| letter.state == DeadLetterState::Dead;
        for (_, letter) in newest.into_iter().filter(dead) {
            *counts.entry(letter.reason).or_default() += 1;
        }
        let mut counts: Vec<ReasonCount> = counts
            .into_iter()
            .map(|(reason, count)| ReasonCount { reason, count })
            .collect();
        counts.sort_by(|one, other| {
            let by_count = other.count.cmp(&one.count);
            by_count.then_with(|| one.reason.cmp(&other.reason))
        });
        counts.truncate(limit);
        Ok(counts)
    }

    /// Stores dead letters. One with a known id from the same message is a redelivery; from another message it failed again.
    pub(crate) async fn store(
        &self,
        state: &ConsoleState,
        arrived: Vec<DeadLetter>,
    ) -> Result<(), DiskError> {
        let mut write_lock = self.write_lock().await;
        let mut counts = self.counts();
        let mut stored = BTreeMap::<String, (u64, StoredDeadLetter)>::new();
        for new in arrived {
            let new = StoredDeadLetter::arrived(new);
            let found = match stored.remove(&new.id) {
                Some(found) => Some(found),
                None => self.find(&new.id)?,
            };
            let (number, letter) = match found {
                None => {
                    counts.last += 1;
                    counts.dead += 1;
                    (counts.last, new)
                }
                Some((number, old)) if old.died_in.is_some() && old.died_in == new.died_in => {
                    (number, old)
                }
                Some((number, old)) => {
                    if let Some(has_died) = write_lock.under_way.get_mut(&new.id) {
                        *has_died = true;
                    }
                    *counts.of_state(old.state) -= 1;
                    counts.dead += 1;
                    let again = StoredDeadLetter {
                        at_ms: old.at_ms,
                        replays: old.replays,
                        replayed_at_ms: old.replayed_at_ms,
                        ..new
                    };
                    (number, again)
                }
            };
            stored.insert(letter.id.clone(), (number, letter));
        }
        let mut changes = WriteBatch::default();
        for (number, letter) in stored.values() {
            self.put(&mut changes, *number, letter);
        }
        self.write(state, "store dead letters", changes, counts)
            .await
    }

    /// Marks as being sent the dead letters that are still unchanged since they were read and are not being sent by another
    /// plan. They may have been read long ago.
    pub(super) async fn begin_sending(
        &self,
        letters: &mut Vec<(u64, StoredDeadLetter)>,
    ) -> Result<(), DiskError> {
        let mut write_lock = self.write_lock().await;
        for (number, letter) in std::mem::take(letters) {
            let now = self.letters.get(&number_key(number))?;
            let is_as_read = now.is_some_and(|now| {
                (now.state, now.replays, &now.id) == (letter.state, letter.replays, &letter.id)
            });
            if is_as_read && !write_lock.under_way.contains_key(&letter.id) {
                write_lock.under_way.insert(letter.id.clone(), false);
                letters.push((number, letter));
            }
        }
        Ok(())
    }

    /// Unmarks dead letters whose sending failed or is uncertain.
    pub(super) async fn give_up_sending(&self, letters: &[(u64, StoredDeadLetter)]) {
        let mut write_lock = self.write_lock().await;
        for (_, letter) in letters {
            write_lock.under_way.remove(&letter.id);
        }
    }

    /// Marks dead letters as replayed, except those that were dead-lettered again meanwhile.
    pub(super) async fn were_sent(
        &self,
        state: &ConsoleState,
        letters: &[(u64, StoredDeadLetter)],
    ) -> Result<(), DiskError> {
        let mut write_lock = self.write_lock().await;
        let mut counts = self.counts();
        let mut changes = WriteBatch::default();
        let now = epoch_ms();
        for (number, sent) in letters {
            let has_died = write_lock.under_way.remove(&sent.id).unwrap_or_default();
            // Discarded meanwhile, and perhaps stored again under another number.
            let Some(mut letter) = self.letters.get(&number_key(*number))? else {
                continue;
            };
            letter.replays += 1;
            letter.replayed_at_ms = Some(now);
            if !has_died {
                *counts.of_state(letter.state) -= 1;
                letter.state = DeadLetterState::Replayed;
                counts.replayed += 1;
            }
            self.put(&mut changes, *number, &letter);
        }
        self.write(state, "record replayed dead letters", changes, counts)
            .await
    }

    /// Discards dead letters. The write lock has been held since they were read.
    pub(super) async fn discard(
        &self,
        state: &ConsoleState,
        _write_lock: &MutexGuard<'_, WriteState>,
        letters: &[(u64, StoredDeadLetter)],
    ) -> Result<(), DiskError> {
        let mut counts = self.counts();
        let mut changes = WriteBatch::default();
        for (number, letter) in letters {
            *counts.of_state(letter.state) -= 1;
            // A replayed dead letter is not counted as discarded: only its record is removed.
            counts.discarded += u64::from(letter.state == DeadLetterState::Dead);
            self.letters.remove(&mut changes, &number_key(*number));
            self.numbers.remove(&mut changes, letter.id.as_bytes());
        }
        self.write(state, "discard dead letters", changes, counts)
            .await
    }

    fn put(&self, changes: &mut WriteBatch, number: u64, letter: &StoredDeadLetter) {
        self.letters.put(changes, &number_key(number), letter);
        self.numbers.put(changes, letter.id.as_bytes(), &number);
    }

    async fn write(
        &self,
        state: &ConsoleState,
        doing: &'static str,
        mut changes: WriteBatch,
        counts: Counts,
    ) -> Result<(), DiskError> {
        self.counts.put(&mut changes, COUNTS, &counts);
        // Set before the write: the write completes even if the caller is cancelled, and if it fails the process ends.
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        state.commit(doing, changes, Vec::new()).await
    }
}

impl StoredDeadLetter {
    /// Whether its reason contains a text, ignoring case; every one does without a text.
    pub(super) fn has_reason(&self, text: Option<&str>) -> bool {
        text.is_none_or(|text| self.reason.to_lowercase().contains(&text.to_lowercase()))
    }

    fn arrived(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            reason: letter.reason,
            line: match String::from_utf8(letter.line) {
                Ok(text) => Line::Text(text),
                Err(error) => Line::Bytes(BASE64.encode(error.as_bytes())),
            },
            died_in: letter.message.map(|message| message.to_string()),
            at_ms: epoch_ms(),
            replays: 0,
            replayed_at_ms: None,
            state: DeadLetterState::Dead,
        }
    }

    /// The line, byte for byte.
    pub(super) fn line(&self) -> Vec<u8> {
        match &self.line {
            Line::Text(text) => text.as_bytes().to_vec(),
            // It was encoded by this code.
            Line::Bytes(text) => BASE64.decode(text.as_bytes()).unwrap_or_default(),
        }
    }

    fn view(self) -> DeadLetterView {
        DeadLetterView {
            line: String::from_utf8_lossy(&self.line()).into_owned(),
            id: self.id,
            reason: self.reason,
            received_at_ms: self.at_ms,
            replays: self.replays,
            replayed_at_ms: self.replayed_at_ms,
            state: self.state,
        }
    }
}
