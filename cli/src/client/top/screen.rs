//! What `skictl top` knows and what the user chose.

use std::cmp::Ordering;
use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use skilift_console::view::nodes::NodeView;
use skilift_console::view::queue::{HistoryPoint, QueueView};

use crate::client::error::ClientError;

/// The answers of the console at one moment.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) queue: QueueView,
    pub(super) nodes: Vec<NodeView>,
    /// One point per second, oldest first.
    pub(super) history: Vec<HistoryPoint>,
}

/// A column by which nodes are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    State,
    Rides,
    Outstanding,
    P99,
    Cores,
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::Name,
        Self::State,
        Self::Rides,
        Self::Outstanding,
        Self::P99,
        Self::Cores,
    ];

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The order of two nodes: names and states upwards, figures downwards; what is not known comes last.
    fn order(self, one: &NodeView, other: &NodeView) -> Ordering {
        let down = |one: Option<f64>, other: Option<f64>| {
            let rank = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
            rank(other).total_cmp(&rank(one))
        };
        let by = match self {
            Self::Name => Ordering::Equal,
            Self::State => (one.state as u8).cmp(&(other.state as u8)).reverse(),
            Self::Rides => down(one.rides_per_s.value, other.rides_per_s.value),
            Self::Outstanding => other.outstanding().cmp(&one.outstanding()),
            Self::P99 => {
                let ms = |node: &NodeView| node.latency.p99.value.map(|ms| ms as f64);
                down(ms(one), ms(other))
            }
            Self::Cores => down(one.cpu_cores.value, other.cpu_cores.value),
        };
        by.then_with(|| one.id.cmp(&other.id))
    }
}

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    answer: Option<Answer>,
    answered_at: Option<Instant>,
    /// Why the last question was not answered.
    error: Option<ClientError>,
    sort: Sort,
    is_reversed: bool,
    /// The first node that is shown.
    offset: usize,
    /// How many nodes fit, as of the last drawing.
    pub(super) rows: usize,
    is_paused: bool,
    /// Whether colours are allowed.
    pub(super) colour: bool,
}

impl Screen {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            answer: None,
            answered_at: None,
            error: None,
            sort: Sort::Name,
            is_reversed: false,
            offset: 0,
            rows: 0,
            is_paused: false,
            colour,
        }
    }

    /// Takes an answer, or the reason why there is none: what was known stays, with its age.
    pub(super) fn take(&mut self, answer: Result<Answer, ClientError>) {
        match answer {
            Ok(answer) => {
                self.answer = Some(answer);
                self.answered_at = Some(Instant::now());
                self.error = None;
                self.sort_nodes();
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The error of the last question, if asking again does not help.
    pub(super) fn take_lasting_error(&mut self) -> Option<ClientError> {
        self.error.take_if(|error| !error.may_pass())
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Age of the answer, in milliseconds.
    pub(super) fn age_ms(&self) -> Option<u64> {
        let at = self.answered_at?;
        u64::try_from(at.elapsed().as_millis()).ok()
    }

    pub(super) fn error(&self) -> Option<&ClientError> {
        self.error.as_ref()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn sort(&self) -> (Sort, bool) {
        (self.sort, self.is_reversed)
    }

    /// The nodes that are shown: the number of the first one, and as many as fit.
    pub(super) fn shown(&mut self, rows: usize) -> (usize, &[NodeView]) {
        self.rows = rows;
        let nodes = self.answer.as_ref().map_or(&[][..], |answer| &answer.nodes);
        self.offset = self.offset.min(nodes.len().saturating_sub(rows));
        let end = (self.offset + rows).min(nodes.len());
        (self.offset, &nodes[self.offset..end])
    }

    fn sort_nodes(&mut self) {
        let (sort, is_reversed) = (self.sort, self.is_reversed);
        if let Some(answer) = &mut self.answer {
            answer.nodes.sort_by(|one, other| {
                let order = sort.order(one, other);
                if is_reversed { order.reverse() } else { order }
            });
        }
    }

    /// Does what a key stands for. Returns whether it is the end.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        let page = self.rows.max(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.is_reversed = false;
                self.sort_nodes();
            }
            KeyCode::Char('r') => {
                self.is_reversed = !self.is_reversed;
                self.sort_nodes();
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Up | KeyCode::Char('k') => self.offset = self.offset.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.offset += 1,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(page),
            KeyCode::PageDown => self.offset += page,
            KeyCode::Home | KeyCode::Char('g') => self.offset = 0,
            // The next drawing limits it.
            KeyCode::End | KeyCode::Char('G') => self.offset = usize::MAX / 2,
            _ => {}
        }
        false
    }
}
