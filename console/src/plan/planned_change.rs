//! What a change would do and write.

use skilift_core::control::Document;
use skilift_core::embedded::records::WriteBatch;
use xxhash_rust::xxh3::xxh3_64;

use super::job_runner::Job;
use crate::view::change::Change;
use crate::view::cost::CostChangeView;
use crate::view::plan::{ActionView, Danger, RefusalView};

/// What a change would do, computed at one moment.
pub(crate) struct PlannedChange {
    pub(crate) actions: Vec<ActionView>,
    pub(crate) effects: Vec<String>,
    pub(crate) cost: Option<CostChangeView>,
    pub(crate) danger: Danger,
    pub(crate) confirm: Option<String>,
    pub(crate) refusals: Vec<RefusalView>,
    /// The state that it depends on, as text: the plan is stale when this text differs.
    pub(crate) basis: String,
    /// The change with its open choices resolved.
    pub(crate) resolved: Option<Change>,
    /// Whether the apply must contain a password.
    pub(crate) needs_password: bool,
    pub(crate) mutation: Mutation,
}

/// What an apply writes and does.
#[derive(Default)]
pub(crate) struct Mutation {
    /// Written atomically together with the outcome; if there is work to do, together with the intent.
    pub(crate) changes: WriteBatch,
    /// The new desired state of the nodes, if it changes. Written with the rest.
    pub(crate) document: Option<Document>,
    /// The id of the created item.
    pub(crate) made: Option<String>,
    /// A created secret, shown once.
    pub(crate) secret: Option<String>,
    /// Long-running work.
    pub(crate) job: Option<Job>,
}

impl PlannedChange {
    /// A change of moderate danger that depends on `basis`.
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
            mutation: Mutation::default(),
        }
    }

    /// A change that is already in the requested state.
    pub(crate) fn already(basis: impl Into<String>) -> Self {
        Self {
            danger: Danger::None,
            ..Self::new(basis)
        }
    }

    /// Adds an action.
    pub(crate) fn with_action(
        mut self,
        does: &str,
        to: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Self {
        self.actions.push(ActionView {
            action: does.to_owned(),
            target: to.into(),
            before,
            after,
            instance: None,
        });
        self
    }

    /// Adds a side effect.
    pub(crate) fn with_effect(mut self, says: impl Into<String>) -> Self {
        self.effects.push(says.into());
        self
    }

    /// Makes it severe: `name` is the confirmation text.
    pub(crate) fn severe(mut self, name: impl Into<String>) -> Self {
        self.danger = Danger::Severe;
        self.confirm = Some(name.into());
        self
    }

    /// Adds a reason to refuse it.
    pub(crate) fn refuse(mut self, why: impl Into<String>, can_override: bool) -> Self {
        self.refusals.push(RefusalView {
            reason: why.into(),
            can_override,
            code: None,
        });
        self
    }

    /// Hash of the state it depends on and its danger, as shown in the plan.
    pub(crate) fn fingerprint(&self) -> String {
        let basis = format!("{:?} {}", self.danger, self.basis);
        format!("{:016x}", xxh3_64(basis.as_bytes()))
    }
}

/// Secrets of an apply that must not be stored in the plan.
#[derive(Default)]
pub(crate) struct ApplySecrets {
    /// The hash of the password that came with the apply.
    pub(crate) password: Option<String>,
}
