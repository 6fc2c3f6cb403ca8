//! Rendering of a plan and of its outcome.

use skilift_console::view::change::{Change, DeadLetterSelection};
use skilift_console::view::cost::CostChangeView;
use skilift_console::view::plan::{
    ActionView, Danger, MachineView, OutcomeResult, OutcomeView, PlanState, PlanView, StepCode,
    StepView,
};

use super::columns::Columns;
use super::figures::TerminalStyle;
use super::page::{Page, Style, or_dash, plain};

/// Message of a plan that changes nothing.
fn nothing_to_do(change: &Change) -> &'static str {
    match change {
        Change::Replay {
            dead_letters: DeadLetterSelection::All | DeadLetterSelection::Reason { .. },
            ..
        } => "no dead letters: nothing to replay",
        Change::Discard {
            dead_letters: DeadLetterSelection::All | DeadLetterSelection::Reason { .. },
        } => "no dead letters: nothing to discard",
        _ => "nothing to do: already in the requested state",
    }
}

/// Renders a plan.
pub(super) fn plan_page(plan: &PlanView, terminal_style: TerminalStyle) -> String {
    let mut page = Page::new(terminal_style);
    render_plan(plan, &mut page);
    page.finish()
}

/// See [`plan_page`].
pub(super) fn render_plan(plan: &PlanView, page: &mut Page) {
    let (danger, style) = match plan.danger {
        Danger::None => ("none: already in the requested state", Style::Good),
        Danger::Moderate => ("moderate", Style::Warning),
        Danger::Severe => ("severe", Style::Alarm),
    };
    let danger = match &plan.confirm {
        Some(name) => format!("{danger} (apply it with --confirm {name:?})"),
        None => danger.to_owned(),
    };
    page.styled_pair("danger", danger, style);
    page.pair("plan", &plan.id);
    actions(&plan.actions, page);
    if let Some(cost) = &plan.cost {
        cost_change(cost, page);
    }
    for effect in &plan.effects {
        page.note(format!("effect: {effect}"));
    }
    for refusal in &plan.refusals {
        let how = if refusal.can_override {
            " (an admin can override this with --override REASON)"
        } else {
            ""
        };
        page.line(&format!("refused: {}{how}", refusal.reason), Style::Alarm);
    }
}

/// Renders the actions in order, with the role, type and zone of their instances if they concern instances.
fn actions(actions: &[ActionView], page: &mut Page) {
    if actions.is_empty() {
        return;
    }
    if actions.iter().all(|action| action.instance.is_none()) {
        page.table(
            &Columns {
                names: ["action", "~target", "~before", "~after"],
                optional_columns: &[],
            },
            actions.iter().map(action_cells),
            "",
        );
        return;
    }
    let rows = actions.iter().map(|action| {
        let [does, to, before, after] = action_cells(action);
        let of = |part: fn(&MachineView) -> &str| or_dash(action.instance.as_ref().map(part));
        let [role, kind, zone] = [
            of(|machine| &machine.role),
            of(|machine| &machine.instance_type),
            of(|machine| &machine.zone),
        ];
        [does, to, role, kind, zone, before, after]
    });
    page.table(
        &Columns {
            names: [
                "action", "~target", "role", "type", "zone", "~before", "~after",
            ],
            optional_columns: &[],
        },
        rows,
        "",
    );
}

fn action_cells(action: &ActionView) -> [(String, Style); 4] {
    [
        plain(&action.action),
        plain(&action.target),
        or_dash(action.before.as_deref()),
        or_dash(action.after.as_deref()),
    ]
}

fn cost_change(cost: &CostChangeView, page: &mut Page) {
    let before = page.usd("cost before", &cost.before_usd_per_h);
    let after = page.usd("cost after", &cost.after_usd_per_h);
    page.pair(
        "cost",
        format!(
            "{before} per hour before, {after} per hour after (prices of {})",
            cost.prices_date
        ),
    );
    // Shown only if an instance starts.
    if cost.starts_usd.value != Some(0.0) || cost.starts_usd.error.is_some() {
        let starts = page.usd("cost of the starts", &cost.starts_usd);
        let text = match cost.starts_usd.value {
            Some(_) if cost.starts_usd.error.is_none() => {
                format!("at least {starts}: each instance is billed for at least one minute")
            }
            _ => starts,
        };
        page.pair("starts", text);
    }
}

/// Renders the outcome or the progress of a plan.
pub(super) fn outcome_page(
    plan: &PlanView,
    outcome: &OutcomeView,
    terminal_style: TerminalStyle,
) -> String {
    let mut page = Page::new(terminal_style);
    render_outcome(plan, outcome, &mut page);
    page.finish()
}

/// See [`outcome_page`].
pub(super) fn render_outcome(plan: &PlanView, outcome: &OutcomeView, page: &mut Page) {
    let is_cancelled = OutcomeView::state(outcome.result, &outcome.steps) == PlanState::Cancelled;
    let (word, style) = match outcome.result {
        OutcomeResult::Partial | OutcomeResult::Failed if is_cancelled => {
            ("cancelled", Style::Warning)
        }
        OutcomeResult::Succeeded => ("succeeded", Style::Good),
        OutcomeResult::Unchanged => (nothing_to_do(&plan.change), Style::Good),
        OutcomeResult::Partial => ("partial", Style::Alarm),
        OutcomeResult::Failed => ("failed", Style::Alarm),
        OutcomeResult::Running if plan.is_cancelling => ("cancelling", Style::Warning),
        OutcomeResult::Running => ("running", Style::Warning),
    };
    page.styled_pair("outcome", word, style);
    page.pair("plan", &plan.id);
    if let Some(made) = &outcome.created_id {
        page.pair("id", made);
    }
    if outcome.steps.is_empty() {
        return;
    }
    let is_running = outcome.result == OutcomeResult::Running;
    let cells = |step: &StepView| {
        let [does, to, before, after] = action_cells(&step.action);
        let (state, style) = state(step, is_running);
        let state = (state.to_owned(), style);
        [does, to, before, after, state, plain(message(step))]
    };
    if outcome
        .steps
        .iter()
        .all(|step| step.code.and_then(code_word).is_none())
    {
        page.table(
            &Columns {
                names: ["action", "~target", "~before", "~after", "", "~"],
                optional_columns: &["before", "after"],
            },
            outcome.steps.iter().map(cells),
            "",
        );
        return;
    }
    let rows = outcome.steps.iter().map(|step| {
        let [does, to, before, after, state, message] = cells(step);
        let code = or_dash(step.code.and_then(code_word).as_deref());
        [does, to, before, after, state, code, message]
    });
    page.table(
        &Columns {
            names: ["action", "~target", "~before", "~after", "", "code", "~"],
            optional_columns: &["before", "after", "code"],
        },
        rows,
        "",
    );
}

/// State of a step.
fn state(step: &StepView, is_running: bool) -> (&'static str, Style) {
    match step.code {
        _ if step.done => ("done", Style::Good),
        Some(StepCode::Waiting) if is_running => ("waiting", Style::Plain),
        Some(StepCode::Waiting) => ("not started", Style::Alarm),
        Some(StepCode::Cancelled) => ("cancelled", Style::Warning),
        Some(StepCode::UnderWay) | None if is_running => ("running", Style::Warning),
        _ => ("failed", Style::Alarm),
    }
}

fn message(step: &StepView) -> String {
    let mut said: Vec<String> = step.message.iter().cloned().collect();
    if let Some(instead) = &step.started_instead {
        said.push(format!("{instead} was started instead"));
    }
    said.join("; ")
}

/// The serialised code, if it says more than the state of the step.
fn code_word(code: StepCode) -> Option<String> {
    if let StepCode::Succeeded | StepCode::UnderWay | StepCode::Waiting | StepCode::Cancelled = code
    {
        return None;
    }
    let word = serde_json::to_value(code).ok()?;
    word.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_say_more_than_the_status_are_the_words_of_the_wire() {
        let word = code_word(StepCode::NoCapacity);
        assert_eq!(word.as_deref(), Some("no_capacity"));
        assert_eq!(code_word(StepCode::Succeeded), None);
    }
}
