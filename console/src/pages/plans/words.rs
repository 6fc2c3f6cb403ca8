//! What a plan does, in words.

use crate::pages::change_form::labels::with_labels;
use crate::pages::html::{Verdict, sentence};
use crate::view::change::Change;
use crate::view::figures::{counted, grouped, span};
use crate::view::plan::{ActionView, Danger, OutcomeResult, PlanState, PlanView};

/// Maximum characters of the name of a button.
const MAX_VERB: usize = 48;

/// What a plan does, as the title of its page.
pub(super) fn heading(plan: &PlanView) -> String {
    sentence(&what(plan)).trim_end_matches('.').to_owned()
}

/// The same within a sentence.
fn what(plan: &PlanView) -> String {
    let starts = |verb: &str| {
        let of = plan.actions.iter().filter(|of| of.action == verb);
        of.filter(|of| of.instance.is_some()).count() as u64
    };
    let (start, stop) = (starts("start"), starts("stop"));
    let instances = |count| counted(count, "instance", "instances");
    let mut text = match &*plan.actions {
        all if start == all.len() as u64 && start > 1 => format!("start {}", instances(start)),
        all if stop == all.len() as u64 && stop > 1 => format!("stop {}", instances(stop)),
        [] => format!("plan {}", plan.id),
        [one] => with_target(one),
        [first, ..] if plan.actions.iter().all(|of| of.action == first.action) => {
            format!("{}: {} actions", first.action, plan.actions.len())
        }
        all => mixed(all, start, stop),
    };
    if let [one] = &*plan.actions
        && let (Some(before), Some(after)) = (&one.before, &one.after)
    {
        text += &format!(": {before} → {after}");
    }
    text.chars().take(160).collect()
}

/// Different actions: the changes of settings by name, and how many instances start and stop.
fn mixed(actions: &[ActionView], start: u64, stop: u64) -> String {
    let counts_as_instance =
        |of: &&ActionView| of.instance.is_some() && matches!(&*of.action, "start" | "stop");
    let others = actions.iter().filter(|of| !counts_as_instance(of));
    let mut words: Vec<String> = others.map(with_target).collect();
    for (verb, count) in [("start", start), ("stop", stop)] {
        if count > 0 {
            words.push(format!(
                "{verb} {}",
                counted(count, "instance", "instances")
            ));
        }
    }
    words.join(", ")
}

fn with_target(action: &ActionView) -> String {
    format!("{} ({})", action.action, action.target)
}

/// The name of the button: a verb with its object.
pub(super) fn verb(plan: &PlanView) -> String {
    let text = match &*plan.actions {
        // "Set threads", and not "Set threads all workers".
        [one] if one.target.starts_with("all ") => one.action.clone(),
        [one] => format!("{} {}", one.action, one.target),
        _ => what(plan),
    };
    if text.chars().count() > MAX_VERB {
        return match plan.actions.len() {
            1 => "Apply".to_owned(),
            many => format!("Apply {many} actions"),
        };
    }
    sentence(&text).trim_end_matches('.').to_owned()
}

pub(super) fn verdict(plan: &PlanView, is_over: bool) -> (Verdict, String) {
    let effects = plan.effects.iter().map(|effect| sentence(effect));
    let effects = effects.collect::<Vec<_>>().join(" ");
    let result = plan.outcome.as_ref().map(|outcome| outcome.result);
    let failed = plan.refusals.iter().any(|refusal| !refusal.can_override);
    let (kind, message, facts) = match (plan.state, result) {
        (PlanState::Stale, _) => {
            let (message, why) = if is_over {
                ("This plan has expired.", "Nothing was changed.")
            } else {
                (
                    "This plan is stale.",
                    "The state that it depends on has changed since it was planned. Nothing was changed.",
                )
            };
            ("warn", message.to_owned(), why.to_owned())
        }
        (PlanState::Cancelled, None) => (
            "warn",
            "Cancelled before it was applied. Nothing was changed.".to_owned(),
            String::new(),
        ),
        (PlanState::Cancelled, Some(_)) => ("warn", "Cancelled.".to_owned(), steps_done(plan)),
        (PlanState::Applying, _) if plan.is_cancelling => (
            "busy",
            "Cancelling: no further step begins.".to_owned(),
            "A step that has begun is finished first.".to_owned(),
        ),
        (PlanState::Applying, _) => (
            "busy",
            "The plan is being applied.".to_owned(),
            format!("{} It continues if you close this page.", steps_done(plan)),
        ),
        (PlanState::Applied | PlanState::Failed, Some(OutcomeResult::Unchanged)) => (
            "ok",
            "Unchanged: it was already in that state.".to_owned(),
            String::new(),
        ),
        (PlanState::Applied, _) => match replayed(plan) {
            Some((kind, message)) => (kind, message, took(plan)),
            None => ("ok", "Succeeded.".to_owned(), took(plan)),
        },
        (PlanState::Failed, Some(OutcomeResult::Partial)) => (
            "warn",
            "Partial: some steps failed.".to_owned(),
            format!("{} {}", steps_done(plan), failed_step(plan)),
        ),
        (PlanState::Failed, _) => ("bad", "Failed.".to_owned(), failed_step(plan)),
        (PlanState::Planned, _) if plan.danger == Danger::None => (
            "ok",
            "Nothing to do: it is already in that state.".to_owned(),
            String::new(),
        ),
        (PlanState::Planned, _) if failed => {
            let mut refusals = plan.refusals.iter();
            let reason = refusals.find(|refusal| !refusal.can_override);
            let reason = reason.map_or("", |refusal| &refusal.reason);
            let facts = format!("{} Nothing was changed.", sentence(reason));
            ("bad", "A guard refuses this plan.".to_owned(), facts)
        }
        (PlanState::Planned, _) if plan.danger == Danger::Severe => {
            ("warn", format!("Severe: {}.", what(plan)), effects)
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

/// What became of replayed dead letters: only some of them may be stored.
fn replayed(plan: &PlanView) -> Option<(&'static str, String)> {
    let Change::Replay { .. } = plan.change else {
        return None;
    };
    let steps = plan.outcome.iter().flat_map(|outcome| &outcome.steps);
    let message = steps.last()?.message.as_deref()?;
    let is_all_stored = message.ends_with(" stored");
    Some((if is_all_stored { "ok" } else { "warn" }, sentence(message)))
}

/// How many steps succeeded.
fn steps_done(plan: &PlanView) -> String {
    let steps = plan.outcome.iter().flat_map(|outcome| &outcome.steps);
    let done = steps.clone().filter(|step| step.done).count() as u64;
    format!(
        "{} of {} done.",
        grouped(done),
        counted(steps.count() as u64, "step", "steps")
    )
}

/// The first step that failed, and why.
fn failed_step(plan: &PlanView) -> String {
    let mut steps = plan.outcome.iter().flat_map(|outcome| &outcome.steps);
    let Some(step) = steps.find(|step| !step.done) else {
        return "The steps below say why.".to_owned();
    };
    let why = step.message.as_deref().unwrap_or("it failed");
    let why = with_labels("", why);
    sentence(&format!(
        "{} {}: {why}",
        step.action.action, step.action.target
    ))
}

/// How long it took to apply a plan.
fn took(plan: &PlanView) -> String {
    let (Some(began), Some(ended)) = (plan.applied_at_ms, plan.ended_at_ms) else {
        return String::new();
    };
    match ended.saturating_sub(began) {
        0..1_000 => String::new(),
        took_ms => format!("It took {}.", span(took_ms)),
    }
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
        Change::Drain { .. } | Change::Undrain { .. } | Change::Forget { .. } => {
            ("/nodes", "Nodes")
        }
        Change::Pause { .. } | Change::Resume => ("/queue", "Queue"),
        Change::Replay { .. } | Change::Discard { .. } => ("/dead-letters", "Dead letters"),
        Change::Acknowledge { .. } => ("/", "Overview"),
        Change::Repair { .. } | Change::Archive(_) | Change::Restore(_) => ("/rides", "Rides"),
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
