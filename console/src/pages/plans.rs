//! Plans: the only place where a change is applied.

pub(super) mod list;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, RawPathParams, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skilift_core::clock::epoch_ms;

use self::words::{area, heading, verb, verdict};
use super::change_form::ChangeForm;
use super::change_form::labels::with_labels;
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, sentence, state, time, usd};
use super::refused_form::{FormPages, RefusedForm};
use super::visitor::{Visitor, path};
use crate::access::Caller;
use crate::admin::status_of;
use crate::console::Console;
use crate::error::Error;
use crate::plan;
use crate::view::access::UserRole;
use crate::view::change::Change;
use crate::view::plan::{
    ActionView, ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView, StepCode,
    StepView,
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
    /// What cancelling does now, if that is possible.
    cancel: Option<&'static str>,
    /// The change as JSON, to plan it again.
    again: Option<String>,
    secret: Option<Secret>,
    created: Markup,
    expires: Markup,
    /// Who applied it, and when.
    applied: Option<(String, Markup)>,
    ended: Option<Markup>,
    /// The role that may apply it, unless it needs none because nothing is done.
    role_to_apply: Option<UserRole>,
    commands: Vec<(&'static str, String)>,
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
    State(pages): State<Arc<FormPages>>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let form = ChangeForm(fields);
    match make_plan(&pages.console, &visitor.caller, &form).await {
        Ok(plan) => Ok(shown(&plan.id)),
        Err(error) => {
            let again = pages.show_again(&visitor, &headers, form.0, &error).await;
            again.ok_or_else(|| error.into())
        }
    }
}

async fn make_plan(
    console: &Arc<Console>,
    caller: &Caller,
    form: &ChangeForm,
) -> Result<PlanView, Error> {
    plan::make(console, caller, form.change()?).await
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

/// `GET /plans/{id}/apply`, `GET /plans/{id}/cancel`: the address after a form was refused.
pub(super) async fn back(parts: RawPathParams) -> Response {
    shown(path(&parts, "id"))
}

/// `POST /plans/{id}/cancel`
pub(super) async fn cancel(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let id = path(&parts, "id");
    plan::cancel::cancel(&console, &visitor.caller, id).await?;
    Ok(shown(id))
}

/// The form of a plan.
#[derive(Deserialize)]
pub(super) struct ApplyFields {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    password: String,
    /// The password again, since it cannot be read while it is typed.
    #[serde(default)]
    again: String,
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
    let typed = vec![
        ("confirm".to_owned(), fields.confirm.clone()),
        ("override_reason".to_owned(), fields.override_reason.clone()),
    ];
    let passwords_differ = fields.password != fields.again;
    let given = |text: String| (!text.trim().is_empty()).then_some(text);
    let request = ApplyRequest {
        confirm: given(fields.confirm).map(|text| text.trim().to_owned()),
        override_reason: given(fields.override_reason),
        password: given(fields.password),
    };
    let applied = if passwords_differ {
        Err(Error::invalid("the two passwords differ"))
    } else {
        plan::apply::apply(&console, &visitor.caller, id, request).await
    };
    match applied {
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
            let refused = RefusedForm::new("apply", typed, &error);
            let visitor = Visitor {
                refused: Some(Arc::new(refused)),
                ..visitor
            };
            let mut page = PlanPage::new(&console, &visitor, plan, None);
            if page.apply.is_none() {
                return Err(error.into());
            }
            // Nothing is to replace what was typed.
            page.head.url = format!("/plans/{id}");
            page.head.is_live = false;
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
        let is_over = matches!(plan.state, PlanState::Planned | PlanState::Stale)
            && plan.expires_at_ms <= now;
        if is_over || (plan.state == PlanState::Planned && !plan::is_current(console, &plan)) {
            plan.state = PlanState::Stale;
        }
        for refusal in &mut plan.refusals {
            refusal.reason = sentence(&with_labels("", &refusal.reason));
        }
        let head = Head::new(console, visitor, "", heading(&plan)).live();
        let may_plan = head.may_change && visitor.caller.role >= plan::role_for(&plan.change);
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
            why_not: why_not.clone(),
            cancel: cancel_effect(console, &plan).filter(|_| may_plan),
            again: (may_plan && is_over_without_success(&plan)).then(|| again(&plan.change)),
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
            applied: plan
                .applied_at_ms
                .map(|at| (plan.applied_by.clone().unwrap_or_default(), time(at, now))),
            ended: plan.ended_at_ms.map(|at| time(at, now)),
            role_to_apply: (plan.danger != Danger::None)
                .then(|| plan::apply::role_to_apply(&plan, plan.danger)),
            commands: commands(&plan, why_not.is_none()),
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

/// Whether the plan has come to nothing, or not to all of it: the same change can be planned again.
fn is_over_without_success(plan: &PlanView) -> bool {
    let result = plan.outcome.as_ref().map(|outcome| outcome.result);
    match plan.state {
        PlanState::Stale | PlanState::Cancelled => true,
        PlanState::Failed => result != Some(OutcomeResult::Unchanged),
        PlanState::Planned | PlanState::Applying | PlanState::Applied => false,
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

/// What cancelling a plan does now; `None` if it has ended or cannot be cancelled.
fn cancel_effect(console: &Console, plan: &PlanView) -> Option<&'static str> {
    let is_running = plan.state == PlanState::Applying;
    (is_running && plan::cancel::is_possible(console, &plan.id)).then_some(
        "No further step begins. What is done stays done, and a step that has begun is finished first. A node that is draining resumes work.",
    )
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

/// The state of a plan.
pub(super) fn plan_state(of: PlanState) -> Markup {
    let (kind, icon) = match of {
        PlanState::Planned => ("idle", "wait"),
        PlanState::Applying => ("busy", "run"),
        PlanState::Applied => ("ok", "ok"),
        PlanState::Failed => ("bad", "bad"),
        PlanState::Stale => ("idle", "skip"),
        PlanState::Cancelled => ("warn", "skip"),
    };
    state(kind, of.word(), icon)
}

/// What can be done with the plan in a terminal: what it does, and the command.
fn commands(plan: &PlanView, may_apply: bool) -> Vec<(&'static str, String)> {
    let may_apply =
        may_apply && plan.danger != Danger::None && plan.refusals.iter().all(|of| of.can_override);
    let own = match plan.state {
        PlanState::Planned if may_apply => {
            let confirm = plan.confirm.as_ref();
            let confirm = confirm.map(|text| format!(" --confirm '{text}'"));
            let command = format!("skictl plans apply {}", plan.id);
            Some(("Apply this plan", command + &confirm.unwrap_or_default()))
        }
        PlanState::Applying => Some(("Follow it", format!("skictl plans show {} --wait", plan.id))),
        _ => None,
    };
    let same = ("Plan the same change", plan.command.clone());
    let same = Some(same).filter(|_| !plan.command.is_empty());
    own.into_iter().chain(same).collect()
}

fn progress(plan: &PlanView) -> Option<(usize, usize)> {
    let outcome = plan
        .outcome
        .as_ref()
        .filter(|_| plan.state == PlanState::Applying)?;
    let done = outcome.steps.iter().filter(|step| step.done).count();
    // A plan whose last step is done has ended, even if that is not yet recorded.
    Some((done, outcome.steps.len())).filter(|(done, all)| done < all)
}

fn step(of: &StepView, is_running: bool) -> Step {
    let (shown, is_failed) = match (of.done, of.code, is_running) {
        (true, ..) => (state("ok", "succeeded", "ok"), false),
        (false, Some(StepCode::Cancelled), _) => (state("warn", "cancelled", "skip"), false),
        (false, Some(StepCode::Waiting), true) => (state("idle", "waiting", "wait"), false),
        (false, None | Some(StepCode::UnderWay), true) => (state("busy", "running", "run"), false),
        (false, ..) => (state("bad", "failed", "bad"), true),
    };
    let mut message = of.message.as_deref().map(step_message).unwrap_or_default();
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

/// What a step says, in the words of the pages.
fn step_message(message: &str) -> String {
    sentence(&with_labels("", message))
}

fn cost(plan: &PlanView) -> Vec<(&'static str, String, String)> {
    let row = plan.cost.as_ref().map(|cost| {
        let (before, after) = (&cost.before_usd_per_h, &cost.after_usd_per_h);
        ("Cost, $ per hour", usd(before), usd(after))
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
