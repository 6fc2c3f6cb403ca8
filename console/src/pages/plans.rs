//! Plans: the only place where a change is applied.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, RawPathParams, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skilift_core::clock::epoch_ms;

use super::change_form::ChangeForm;
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, cell, sentence, state, time};
use super::visitor::{Visitor, path};
use crate::console::Console;
use crate::error::Error;
use crate::plan;
use crate::view::access::UserRole;
use crate::view::change::Change;
use crate::view::plan::{
    ActionView, ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView, StepView,
};

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    head: Head,
    plan: PlanView,
    verdict: Verdict,
    facts: String,
    /// The page of what it changes.
    area: (&'static str, &'static str),
    progress: Option<(usize, usize)>,
    steps: Vec<Step>,
    actions: Vec<ActionView>,
    /// The cost: its name, before and after.
    cost: Vec<(&'static str, String, String)>,
    apply: Option<ApplyForm>,
    /// Why it cannot be applied here.
    why_not: Option<String>,
    /// The change as JSON, to plan it again.
    again: Option<String>,
    secret: Option<Secret>,
    created: Markup,
    expires: Markup,
}

/// The form that applies the plan.
struct ApplyForm {
    /// The text to type, if the plan is severe.
    confirm: Option<String>,
    takes_password: bool,
    /// Whether a reason is needed to override a guard.
    takes_reason: bool,
    /// What the button does.
    verb: String,
}

/// A step of a plan that was applied, or is being applied.
struct Step {
    action: ActionView,
    state: Markup,
    message: String,
    is_failed: bool,
}

/// A created secret, which is shown once.
struct Secret {
    what: &'static str,
    text: String,
}

/// `POST /plans`
pub(super) async fn make(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let change = ChangeForm(fields).change()?;
    let plan = plan::make(&console, &visitor.caller, change).await?;
    Ok(Redirect::to(&format!("/plans/{}", plan.id)).into_response())
}

/// `GET /plans/{id}`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let plan = find(&console, path(&parts, "id"))?;
    Ok(render(&PlanPage::new(&console, &visitor, plan, None)))
}

/// The form of a plan.
#[derive(Deserialize)]
pub(super) struct ApplyFields {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    override_reason: String,
}

/// `POST /plans/{id}/apply`
pub(super) async fn apply(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
    Form(fields): Form<ApplyFields>,
) -> Result<Response, PageError> {
    let id = path(&parts, "id");
    let given = |text: String| (!text.trim().is_empty()).then_some(text);
    let request = ApplyRequest {
        confirm: given(fields.confirm).map(|text| text.trim().to_owned()),
        override_reason: given(fields.override_reason),
        password: given(fields.password),
    };
    match plan::apply::apply(&console, &visitor.caller, id, request).await {
        // A secret is in this answer only.
        Ok(OutcomeView {
            secret: Some(secret),
            ..
        }) => {
            let plan = find(&console, id)?;
            let page = PlanPage::new(&console, &visitor, plan, Some(secret));
            Ok(render(&page))
        }
        Ok(_) => Ok(shown(id)),
        // The page of the plan says that it is stale, and plans it again.
        Err(error) => match find(&console, id) {
            Ok(plan) if plan.state == PlanState::Stale => Ok(shown(id)),
            _ => Err(error.into()),
        },
    }
}

fn shown(id: &str) -> Response {
    Redirect::to(&format!("/plans/{id}")).into_response()
}

fn find(console: &Console, id: &str) -> Result<PlanView, Error> {
    let found = plan::job::find(console, id)?;
    found.ok_or_else(|| Error::not_found(format!("plan {id:?} does not exist")))
}

impl PlanPage {
    fn new(
        console: &Console,
        visitor: &Visitor,
        mut plan: PlanView,
        secret: Option<String>,
    ) -> Self {
        let now = epoch_ms();
        let is_over = plan.state == PlanState::Planned && plan.expires_at_ms <= now;
        if is_over {
            plan.state = PlanState::Stale;
        }
        let head = Head::new(console, visitor, "", heading(&plan)).live();
        let (verdict, facts) = verdict(&plan, is_over);
        let is_planned = plan.state == PlanState::Planned && plan.danger != Danger::None;
        let why_not = if is_planned {
            why_not(console, &plan, visitor.caller.role)
        } else {
            None
        };
        let steps = plan.outcome.iter().flat_map(|outcome| {
            let is_running = outcome.result == OutcomeResult::Running;
            outcome.steps.iter().map(move |of| step(of, is_running))
        });
        let steps: Vec<Step> = steps.collect();
        Self {
            head,
            verdict,
            facts,
            area: area(&plan.change),
            progress: progress(&plan),
            apply: (is_planned && why_not.is_none()).then(|| ApplyForm::of(&plan)),
            why_not,
            again: (plan.state == PlanState::Stale).then(|| again(&plan.change)),
            secret: secret.map(|text| Secret {
                what: match plan.change {
                    Change::AddKey { .. } => "Ingest key",
                    _ => "Token",
                },
                text,
            }),
            cost: cost(&plan),
            actions: if steps.is_empty() {
                plan.actions.clone()
            } else {
                Vec::new()
            },
            steps,
            created: time(plan.created_at_ms, now),
            expires: time(plan.expires_at_ms, now),
            plan,
        }
    }
}

impl ApplyForm {
    fn of(plan: &PlanView) -> Self {
        Self {
            confirm: plan.confirm.clone(),
            takes_password: matches!(
                plan.change,
                Change::AddUser { .. } | Change::SetPassword { .. }
            ),
            takes_reason: !plan.refusals.is_empty(),
            verb: verb(plan),
        }
    }
}

/// The change as JSON, whose version is not checked again.
fn again(change: &Change) -> String {
    let mut change = serde_json::to_value(change).unwrap_or_default();
    if let Some(fields) = change.as_object_mut() {
        fields.remove("if_version");
    }
    change.to_string()
}

/// What a plan does, as the title of its page.
fn heading(plan: &PlanView) -> String {
    let mut text = match &*plan.actions {
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
fn verb(plan: &PlanView) -> String {
    match &*plan.actions {
        [one] => sentence(&one.action).trim_end_matches('.').to_owned(),
        many => format!("Apply {} actions", many.len()),
    }
}

fn verdict(plan: &PlanView, is_over: bool) -> (Verdict, String) {
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
                "It can be reverted, and nothing is lost.".to_owned()
            } else {
                effects
            };
            ("busy", format!("{}.", heading(plan)), facts)
        }
    };
    (Verdict { kind, message }, facts)
}

/// Why the caller cannot apply a plan.
fn why_not(console: &Console, plan: &PlanView, role: UserRole) -> Option<String> {
    if console.config.read_only {
        return Some("This console is read-only.".to_owned());
    }
    let needed = plan::apply::role_to_apply(plan, plan.danger);
    if role < needed {
        return Some(format!(
            "It can be applied by the role {needed}; yours is {role}."
        ));
    }
    let refusal = plan
        .refusals
        .iter()
        .find(|refusal| !refusal.can_override || role < UserRole::Admin)?;
    Some(if refusal.can_override {
        "Only an admin can override the guard that refuses it.".to_owned()
    } else {
        "No role can override the guard that refuses it.".to_owned()
    })
}

fn progress(plan: &PlanView) -> Option<(usize, usize)> {
    let outcome = plan
        .outcome
        .as_ref()
        .filter(|_| plan.state == PlanState::Applying)?;
    let done = outcome.steps.iter().filter(|step| step.done).count();
    Some((done, outcome.steps.len()))
}

fn step(of: &StepView, is_running: bool) -> Step {
    let (shown, is_failed) = match (of.done, is_running) {
        (true, _) => (state("ok", "succeeded", "ok"), false),
        (false, true) => (state("busy", "running", "run"), false),
        (false, false) => (state("bad", "failed", "bad"), true),
    };
    let mut message = of.message.clone().unwrap_or_default();
    if let Some(instance) = &of.started_instead {
        message += &format!(" ({instance} was started in its place)");
    }
    Step {
        action: of.action.clone(),
        state: shown,
        message,
        is_failed,
    }
}

fn cost(plan: &PlanView) -> Vec<(&'static str, String, String)> {
    let row = plan.cost.as_ref().map(|cost| {
        let usd = |amount: f64| format!("{amount:.4}");
        let (before, after) = (&cost.before_usd_per_h, &cost.after_usd_per_h);
        ("Cost, $ per hour", cell(before, usd), cell(after, usd))
    });
    row.into_iter().collect()
}

/// The page that shows what a change affects.
fn area(change: &Change) -> (&'static str, &'static str) {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetIngest { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => ("/settings", "Settings"),
        Change::Scale(_) | Change::Drain { .. } | Change::Undrain { .. } => ("/nodes", "Nodes"),
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
