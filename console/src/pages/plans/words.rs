//! What a plan does, in words.

use crate::pages::html::{Verdict, counted, sentence};
use crate::view::change::Change;
use crate::view::plan::{ActionView, Danger, OutcomeResult, PlanState, PlanView};

/// What a plan does, as the title of its page.
pub(super) fn heading(plan: &PlanView) -> String {
    let starts = |verb: &str| {
        let of = plan.actions.iter().filter(|of| of.action == verb);
        of.filter(|of| of.instance.is_some()).count() as u64
    };
    let (start, stop) = (starts("start"), starts("stop"));
    let instances = |count| counted(count, "instance", "instances");
    let mut text = match &*plan.actions {
        all if start == all.len() as u64 && start > 1 => format!("start {}", instances(start)),
        all if stop == all.len() as u64 && stop > 1 => format!("stop {}", instances(stop)),
        [] => format!("Plan {}", plan.id),
        [one] => with_target(one),
        [first, ..] if plan.actions.iter().all(|of| of.action == first.action) => {
            format!("{}: {} actions", first.action, plan.actions.len())
        }
        [first, rest @ ..] => format!("{}, and {} more", with_target(first), rest.len()),
    };
    if let [one] = &*plan.actions
        && let (Some(before), Some(after)) = (&one.before, &one.after)
    {
        text += &format!(": {before} → {after}");
    }
    let text = sentence(&text);
    text.trim_end_matches('.').chars().take(160).collect()
}

fn with_target(action: &ActionView) -> String {
    format!("{} ({})", action.action, action.target)
}

/// The name of the button: a verb with its object.
pub(super) fn verb(plan: &PlanView) -> String {
    match &*plan.actions {
        [one] => sentence(&one.action).trim_end_matches('.').to_owned(),
        many => format!("Apply {} actions", many.len()),
    }
}

pub(super) fn verdict(plan: &PlanView, is_over: bool) -> (Verdict, String) {
    let effects = plan.effects.iter().map(|effect| sentence(effect));
    let effects = effects.collect::<Vec<_>>().join(" ");
    let result = plan.outcome.as_ref().map(|outcome| outcome.result);
    let failed = plan.refusals.iter().any(|refusal| !refusal.can_override);
    let (kind, message, facts) = match (plan.state, result) {
        (PlanState::Stale, _) => {
            let why = if is_over {
                "It has expired. Nothing was changed."
            } else {
                "The state that it depends on has changed since it was planned. Nothing was changed."
            };
            ("warn", "This plan is stale.".to_owned(), why.to_owned())
        }
        (PlanState::Applying, _) => ("busy", "The plan is being applied.".to_owned(), effects),
        (PlanState::Applied | PlanState::Failed, Some(OutcomeResult::Unchanged)) => (
            "ok",
            "Unchanged: it was already in that state.".to_owned(),
            String::new(),
        ),
        (PlanState::Applied, _) => ("ok", "Succeeded.".to_owned(), effects),
        (PlanState::Failed, Some(OutcomeResult::Partial)) => (
            "warn",
            "Partial: some actions failed.".to_owned(),
            "The steps below say which, and why.".to_owned(),
        ),
        (PlanState::Failed, _) => (
            "bad",
            "Failed.".to_owned(),
            "The steps below say why.".to_owned(),
        ),
        (PlanState::Planned, _) if plan.danger == Danger::None => (
            "ok",
            "Nothing to do: it is already in that state.".to_owned(),
            String::new(),
        ),
        (PlanState::Planned, _) if failed => {
            ("bad", "A guard refuses this plan.".to_owned(), effects)
        }
        (PlanState::Planned, _) if plan.danger == Danger::Severe => {
            ("warn", format!("Severe: {}.", heading(plan)), effects)
        }
        (PlanState::Planned, _) => {
            let facts = if effects.is_empty() {
                String::new()
            } else {
                effects
            };
            ("busy", format!("{}.", heading(plan)), facts)
        }
    };
    (Verdict { kind, message }, facts)
}

/// The page that shows what a change affects.
pub(super) fn area(change: &Change) -> (&'static str, &'static str) {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetIngest { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => ("/settings", "Settings"),
        Change::Scale(_) => ("/fleet", "Fleet"),
        Change::Drain { .. } | Change::Undrain { .. } => ("/nodes", "Nodes"),
        Change::Pause | Change::Resume => ("/queue", "Queue"),
        Change::Replay { .. } | Change::Discard { .. } => ("/dead-letters", "Dead letters"),
        Change::Acknowledge { .. } => ("/", "Overview"),
        Change::Repair { .. } => ("/rides", "Rides"),
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. }
        | Change::AddToken { .. }
        | Change::RevokeToken { .. }
        | Change::AddKey { .. }
        | Change::RevokeKey { .. } => ("/access", "Access"),
    }
}
