//! What a change would do, and what it would write.

use skilift_core::control::Document;
use skilift_core::embedded::records::Changes;
use xxhash_rust::xxh3::xxh3_64;

use super::work::Work;
use crate::view::change::Change;
use crate::view::cost::CostChangeView;
use crate::view::plan::{ActionView, Danger, RefusalView};

/// What a change would do, worked out at one moment.
pub(crate) struct Prepared {
    pub(crate) actions: Vec<ActionView>,
    pub(crate) effects: Vec<String>,
    pub(crate) cost: Option<CostChangeView>,
    pub(crate) danger: Danger,
    pub(crate) confirm: Option<String>,
    pub(crate) refusals: Vec<RefusalView>,
    /// All that it stands on, in any words: the plan is stale when these are others.
    pub(crate) basis: String,
    /// The change with what it left open, as it was found.
    pub(crate) resolved: Option<Change>,
    /// Whether a password must come with the apply.
    pub(crate) needs_password: bool,
    pub(crate) effect: Effect,
}

/// What an apply writes and does.
#[derive(Default)]
pub(crate) struct Effect {
    /// Written together with the outcome, as a whole or not at all; together with the intent, where there is work to do.
    pub(crate) changes: Changes,
    /// What the nodes shall do then, where that changes. It is written with the rest.
    pub(crate) document: Option<Document>,
    /// The id of what is made.
    pub(crate) made: Option<String>,
    /// A secret that is made, to be shown once.
    pub(crate) secret: Option<String>,
    /// What takes its time.
    pub(crate) work: Option<Work>,
}

impl Prepared {
    /// A change of moderate danger that stands on `basis`.
    pub(crate) fn new(basis: impl Into<String>) -> Self {
        Self {
            actions: Vec::new(),
            effects: Vec::new(),
            cost: None,
            danger: Danger::Moderate,
            confirm: None,
            refusals: Vec::new(),
            basis: basis.into(),
            resolved: None,
            needs_password: false,
            effect: Effect::default(),
        }
    }

    /// A change that is so already.
    pub(crate) fn already(basis: impl Into<String>) -> Self {
        Self {
            danger: Danger::None,
            ..Self::new(basis)
        }
    }

    /// Adds an action.
    pub(crate) fn act(
        mut self,
        does: &str,
        to: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Self {
        self.actions.push(ActionView {
            does: does.to_owned(),
            to: to.into(),
            before,
            after,
            machine: None,
        });
        self
    }

    /// Adds what happens besides.
    pub(crate) fn effect(mut self, says: impl Into<String>) -> Self {
        self.effects.push(says.into());
        self
    }

    /// Makes it severe: `name` is to be typed.
    pub(crate) fn severe(mut self, name: impl Into<String>) -> Self {
        self.danger = Danger::Severe;
        self.confirm = Some(name.into());
        self
    }

    /// Adds a reason to refuse it.
    pub(crate) fn refuse(mut self, why: impl Into<String>, can_override: bool) -> Self {
        self.refusals.push(RefusalView {
            why: why.into(),
            can_override,
            code: None,
        });
        self
    }

    /// What it stands on and how dangerous it is, as a plan shows it.
    pub(crate) fn fingerprint(&self) -> String {
        let basis = format!("{:?} {}", self.danger, self.basis);
        format!("{:016x}", xxh3_64(basis.as_bytes()))
    }
}
