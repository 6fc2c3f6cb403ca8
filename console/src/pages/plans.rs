//! Plans: the only place where a change is applied.

mod words;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, RawPathParams, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skilift_core::clock::epoch_ms;

use self::words::{area, heading, verb, verdict};
use super::change_form::ChangeForm;
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, cell, sentence, state, time};
use super::visitor::{Visitor, path};
use crate::admin::status_of;
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
    /// Why it was not applied.
    problem: Option<String>,
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
    /// The same as a regular expression of HTML.
    pattern: String,
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

/// `GET /plans/{id}/apply`: the address after a form was refused.
pub(super) async fn applied(parts: RawPathParams) -> Response {
    shown(path(&parts, "id"))
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
            let mut page = PlanPage::new(&console, &visitor, plan, Some(secret));
            // Its URL is that of the plan, and nothing is to replace the secret.
            page.head.url = format!("/plans/{id}");
            page.head.is_live = false;
            Ok(render(&page))
        }
        Ok(_) => Ok(shown(id)),
        // The page of the plan says that it is stale or was applied, or what is wrong with the form.
        Err(error) => {
            let plan = find(&console, id)?;
            if plan.state != PlanState::Planned {
                return Ok(shown(id));
            }
            let mut page = PlanPage::new(&console, &visitor, plan, None);
            if page.apply.is_none() {
                return Err(error.into());
            }
            page.head.url = format!("/plans/{id}");
            page.problem = Some(sentence(error.message()));
            Ok((status_of(error.code()), render(&page)).into_response())
        }
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
        console: &Arc<Console>,
        visitor: &Visitor,
        mut plan: PlanView,
        secret: Option<String>,
    ) -> Self {
        let now = epoch_ms();
        let is_over = plan.state == PlanState::Planned && plan.expires_at_ms <= now;
        if is_over || (plan.state == PlanState::Planned && !plan::is_current(console, &plan)) {
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
            problem: None,
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
            pattern: pattern(plan.confirm.as_deref().unwrap_or_default()),
            takes_password: matches!(
                plan.change,
                Change::AddUser { .. } | Change::SetPassword { .. }
            ),
            takes_reason: !plan.refusals.is_empty(),
            verb: verb(plan),
        }
    }
}

/// A regular expression of HTML for exactly this text: <https://html.spec.whatwg.org/#the-pattern-attribute>.
fn pattern(text: &str) -> String {
    let escaped = |c: char| match c {
        c if c.is_alphanumeric() || c == ' ' || c == '_' => c.to_string(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    };
    text.chars().map(escaped).collect()
}

/// The change as JSON, whose version is not checked again.
fn again(change: &Change) -> String {
    let mut change = serde_json::to_value(change).unwrap_or_default();
    if let Some(fields) = change.as_object_mut() {
        fields.remove("if_version");
    }
    change.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_exactly_the_text() {
        for (text, expected) in [
            ("skilift", "skilift"),
            ("discard 2", "discard 2"),
            ("a.b-c", r"a\u{2e}b\u{2d}c"),
        ] {
            assert_eq!(pattern(text), expected);
        }
    }
}
