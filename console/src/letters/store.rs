//! The letters that the console keeps, newest last, each under its number and known by its id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex as StdMutex, PoisonError};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Changes, Table};
use skilift_core::queue::DeadLetter;
use tokio::sync::{Mutex, MutexGuard};

use crate::state::{ConsoleState, number_key, read_number};
use crate::view::letters::{LetterState, LetterView, LettersView};

/// Most letters that are kept; with more the reader waits, and letters stay in their queue.
pub(crate) const MOST_LETTERS: u64 = 1_000_000;
/// The key of the one record of counts.
const COUNTS: &[u8] = b"counts";
/// Letters that are looked at for one answer at most, when few of them fit.
const MOST_READ: usize = 20_000;
/// Letters that are read at once.
const PAGE: usize = 500;

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) id: String,
    reason: String,
    line: Line,
    /// The message in which it died last, where it is known. The same letter comes again after a crash, and says the same.
    died_in: Option<String>,
    at_ms: u64,
    replays: u64,
    pub(crate) replayed_at_ms: Option<u64>,
    pub(crate) state: LetterState,
}

/// A line, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Text(String),
    /// What is not UTF-8, as base64.
    Bytes(String),
}

/// What there is in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Letters that wait for somebody to decide.
    pub(crate) dead: u64,
    /// Letters that were sent again and did not come back.
    pub(crate) replayed: u64,
    /// Letters that were ever thrown away while they were dead.
    pub(crate) discarded: u64,
    /// The number of the newest letter.
    pub(crate) last: u64,
}

impl Counts {
    fn of_state(&mut self, state: LetterState) -> &mut u64 {
        match state {
            LetterState::Dead => &mut self.dead,
            LetterState::Replayed => &mut self.replayed,
        }
    }
}

/// Which letters a plan is about.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// Those that had come when it was made: up to this number.
    Through(u64),
    /// These.
    Ids(Vec<String>),
}

/// The store.
pub(crate) struct Letters {
    letters: Table<Letter>,
    numbers: Table<u64>,
    counts: Table<Counts>,
    /// What stands in the folder, for who only looks.
    known: StdMutex<Counts>,
    pen: Mutex<Pen>,
    /// Why no letters are taken from their queue now, when something is in the way.
    pub(super) hindrance: StdMutex<Option<String>>,
    /// Who takes them from their queue.
    pub(super) holder: StdMutex<Holder>,
}

/// Who takes the dead letters of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Holder {
    /// It is not known.
    #[default]
    Unsure,
    /// This console.
    Us,
    /// Another one, which keeps what it took.
    Another,
}

/// Whoever holds it writes.
#[derive(Default)]
pub(super) struct Pen {
    /// Letters that are being sent again, and whether they have died again already.
    under_way: HashMap<String, bool>,
}

impl Letters {
    /// Opens the tables.
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let counts: Table<Counts> = state.table("letter-counts")?;
        Ok(Self {
            letters: state.table("letters")?,
            numbers: state.table("letter-numbers")?,
            known: StdMutex::new(counts.get(COUNTS)?.unwrap_or_default()),
            counts,
            pen: Mutex::default(),
            hindrance: StdMutex::default(),
            holder: StdMutex::default(),
        })
    }

    /// What there is.
    pub(crate) fn counts(&self) -> Counts {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no letters are taken from their queue now, when something is in the way.
    #[must_use]
    pub(crate) fn hindrance(&self) -> Option<String> {
        let hindrance = self.hindrance.lock();
        hindrance.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who takes letters from their queue.
    pub(crate) fn holder(&self) -> Holder {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more there is room for.
    pub(super) fn room(&self) -> u64 {
        let counts = self.counts();
        MOST_LETTERS.saturating_sub(counts.dead + counts.replayed)
    }

    /// Nothing that was read changes while it is held.
    pub(super) async fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().await
    }

    /// The letter with an id, and its number.
    pub(super) fn find(&self, id: &str) -> Result<Option<(u64, Letter)>, DiskError> {
        // No key is empty.
        if id.is_empty() {
            return Ok(None);
        }
        let Some(number) = self.numbers.get(id.as_bytes())? else {
            return Ok(None);
        };
        let letter = self.letters.get(&number_key(number))?;
        Ok(letter.map(|letter| (number, letter)))
    }

    /// At most `limit` letters with numbers from `first` to `last`, oldest first.
    pub(super) fn between(
        &self,
        first: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Letter)>, DiskError> {
        let found = self
            .letters
            .range(number_key(first)..=number_key(last), limit)?;
        let numbered = found
            .into_iter()
            .map(|(key, letter)| (read_number(&key), letter));
        Ok(numbered.collect())
    }

    /// A letter, as it is shown.
    pub(crate) fn show(&self, id: &str) -> Result<Option<LetterView>, DiskError> {
        Ok(self.find(id)?.map(|(_, letter)| letter.view()))
    }

    /// Letters with numbers below `before`, newest first; with `reason`, those whose reason has it in it, however it is spelled.
    pub(crate) fn list(
        &self,
        mut before: u64,
        limit: usize,
        reason: Option<&str>,
    ) -> Result<LettersView, DiskError> {
        let counts = self.counts();
        let mut view = LettersView {
            total: counts.dead + counts.replayed,
            letters: Vec::new(),
            next: None,
        };
        let reason = reason.map(str::to_lowercase);
        let fits = |letter: &Letter| match &reason {
            Some(reason) => letter.reason.to_lowercase().contains(reason),
            None => true,
        };
        for _ in 0..MOST_READ / PAGE {
            let found = self.letters.range_back(..number_key(before), PAGE)?;
            let is_end = found.len() < PAGE;
            for (key, letter) in found {
                before = read_number(&key);
                if fits(&letter) {
                    // Told only now that there is another one.
                    if view.letters.len() == limit {
                        view.next = Some((before + 1).to_string());
                        return Ok(view);
                    }
                    view.letters.push(letter.view());
                }
            }
            if is_end {
                return Ok(view);
            }
        }
        view.next = Some(before.to_string());
        Ok(view)
    }

    /// Keeps letters. One that is here already and comes from the same message is the same one; from another message it died
    /// again.
    pub(crate) async fn keep(
        &self,
        state: &ConsoleState,
        arrived: Vec<DeadLetter>,
    ) -> Result<(), DiskError> {
        let mut pen = self.pen().await;
        let mut counts = self.counts();
        let mut kept = BTreeMap::<String, (u64, Letter)>::new();
        for new in arrived {
            let new = Letter::arrived(new);
            let found = match kept.remove(&new.id) {
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
                    if let Some(has_died) = pen.under_way.get_mut(&new.id) {
                        *has_died = true;
                    }
                    *counts.of_state(old.state) -= 1;
                    counts.dead += 1;
                    let again = Letter {
                        at_ms: old.at_ms,
                        replays: old.replays,
                        replayed_at_ms: old.replayed_at_ms,
                        ..new
                    };
                    (number, again)
                }
            };
            kept.insert(letter.id.clone(), (number, letter));
        }
        let mut changes = Changes::default();
        for (number, letter) in kept.values() {
            self.put(&mut changes, *number, letter);
        }
        self.write(state, "keep dead letters", changes, counts)
            .await
    }

    /// Those of the letters that are still there as they were read, and that nobody else is sending, are from now on being
    /// sent. It was perhaps long ago that they were read.
    pub(super) async fn begin_sending(
        &self,
        letters: &mut Vec<(u64, Letter)>,
    ) -> Result<(), DiskError> {
        let mut pen = self.pen().await;
        for (number, letter) in std::mem::take(letters) {
            let now = self.letters.get(&number_key(number))?;
            let is_as_read = now.is_some_and(|now| {
                (now.state, now.replays, &now.id) == (letter.state, letter.replays, &letter.id)
            });
            if is_as_read && !pen.under_way.contains_key(&letter.id) {
                pen.under_way.insert(letter.id.clone(), false);
                letters.push((number, letter));
            }
        }
        Ok(())
    }

    /// The letters were not sent, as far as is known.
    pub(super) async fn give_up_sending(&self, letters: &[(u64, Letter)]) {
        let mut pen = self.pen().await;
        for (_, letter) in letters {
            pen.under_way.remove(&letter.id);
        }
    }

    /// The letters were sent: those that have not died again meanwhile are not dead any more.
    pub(super) async fn were_sent(
        &self,
        state: &ConsoleState,
        letters: &[(u64, Letter)],
    ) -> Result<(), DiskError> {
        let mut pen = self.pen().await;
        let mut counts = self.counts();
        let mut changes = Changes::default();
        let now = epoch_ms();
        for (number, sent) in letters {
            let has_died = pen.under_way.remove(&sent.id).unwrap_or_default();
            // Thrown away meanwhile, and perhaps here again under another number.
            let Some(mut letter) = self.letters.get(&number_key(*number))? else {
                continue;
            };
            letter.replays += 1;
            letter.replayed_at_ms = Some(now);
            if !has_died {
                *counts.of_state(letter.state) -= 1;
                letter.state = LetterState::Replayed;
                counts.replayed += 1;
            }
            self.put(&mut changes, *number, &letter);
        }
        self.write(state, "note what was sent again", changes, counts)
            .await
    }

    /// Throws letters away. The pen is held since they were read.
    pub(super) async fn throw_away(
        &self,
        state: &ConsoleState,
        _pen: &MutexGuard<'_, Pen>,
        letters: &[(u64, Letter)],
    ) -> Result<(), DiskError> {
        let mut counts = self.counts();
        let mut changes = Changes::default();
        for (number, letter) in letters {
            *counts.of_state(letter.state) -= 1;
            // What was sent again is not thrown away: only the note of it goes.
            counts.discarded += u64::from(letter.state == LetterState::Dead);
            self.letters.remove(&mut changes, &number_key(*number));
            self.numbers.remove(&mut changes, letter.id.as_bytes());
        }
        self.write(state, "throw dead letters away", changes, counts)
            .await
    }

    fn put(&self, changes: &mut Changes, number: u64, letter: &Letter) {
        self.letters.put(changes, &number_key(number), letter);
        self.numbers.put(changes, letter.id.as_bytes(), &number);
    }

    async fn write(
        &self,
        state: &ConsoleState,
        doing: &'static str,
        mut changes: Changes,
        counts: Counts,
    ) -> Result<(), DiskError> {
        self.counts.put(&mut changes, COUNTS, &counts);
        // Before the write: it goes on when nobody waits for it any more, and when it fails the process ends.
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        state.commit(doing, changes, Vec::new()).await
    }
}

impl Letter {
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
            state: LetterState::Dead,
        }
    }

    /// The line, byte for byte.
    pub(super) fn line(&self) -> Vec<u8> {
        match &self.line {
            Line::Text(text) => text.as_bytes().to_vec(),
            // It was encoded here.
            Line::Bytes(text) => BASE64.decode(text.as_bytes()).unwrap_or_default(),
        }
    }

    fn view(self) -> LetterView {
        LetterView {
            line: String::from_utf8_lossy(&self.line()).into_owned(),
            id: self.id,
            reason: self.reason,
            at_ms: self.at_ms,
            replays: self.replays,
            replayed_at_ms: self.replayed_at_ms,
            state: self.state,
        }
    }
}
