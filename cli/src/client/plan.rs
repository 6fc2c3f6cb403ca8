//! A plan, and what came of it, as pages.

use skilift_console::view::change::{Change, LetterChoice};
use skilift_console::view::cost::CostChangeView;
use skilift_console::view::plan::{
    ActionView, Danger, MachineView, OutcomeResult, OutcomeView, PlanView, StepCode, StepView,
};

use super::columns::Columns;
use super::look::Look;
use super::page::{Page, Tone, or_dash, plain};

/// Why a change changes nothing.
fn nothing_to_do(change: &Change) -> &'static str {
    match change {
        Change::Replay {
            letters: LetterChoice::All,
            ..
        } => "no dead letters: nothing to send again",
        Change::Discard {
            letters: LetterChoice::All,
        } => "no dead letters: nothing to throw away",
        _ => "nothing to do: it is so already",
    }
}

/// What would happen.
pub(super) fn plan_page(plan: &PlanView, look: Look) -> String {
    let mut page = Page::new(look);
    let (danger, tone) = match plan.danger {
        Danger::None => ("none: it is so already", Tone::Good),
        Danger::Moderate => ("moderate", Tone::Warning),
        Danger::Severe => ("severe", Tone::Alarm),
    };
    page.toned_pair("danger", danger, tone);
    page.pair("in the audit", format!("plan {}", plan.id));
    actions(&plan.actions, &mut page);
    if let Some(cost) = &plan.cost {
        cost_change(cost, &mut page);
    }
    for effect in &plan.effects {
        page.note(format!("effect: {effect}"));
    }
    for refusal in &plan.refusals {
        let how = if refusal.can_override {
            " (an admin may apply it all the same, with --override REASON)"
        } else {
            ""
        };
        page.line(&format!("refused: {}{how}", refusal.why), Tone::Alarm);
    }
    page.finish()
}

/// The actions, in their order; with what machines they are about where they are.
fn actions(actions: &[ActionView], page: &mut Page) {
    if actions.is_empty() {
        return;
    }
    if actions.iter().all(|action| action.machine.is_none()) {
        page.table(
            &Columns {
                names: ["action", "~on", "~before", "~after"],
                spare: &[],
            },
            actions.iter().map(action_cells),
            "",
        );
        return;
    }
    let rows = actions.iter().map(|action| {
        let [does, to, before, after] = action_cells(action);
        let of = |part: fn(&MachineView) -> &str| or_dash(action.machine.as_ref().map(part));
        let [role, kind, zone] = [
            of(|machine| &machine.role),
            of(|machine| &machine.instance_type),
            of(|machine| &machine.zone),
        ];
        [does, to, role, kind, zone, before, after]
    });
    page.table(
        &Columns {
            names: ["action", "~on", "role", "type", "zone", "~before", "~after"],
            spare: &[],
        },
        rows,
        "",
    );
}

fn action_cells(action: &ActionView) -> [(String, Tone); 4] {
    [
        plain(&action.does),
        plain(&action.to),
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
            "{before} an hour before, {after} after, by prices of {}",
            cost.prices_date
        ),
    );
    // Where nothing starts there is nothing to say.
    if cost.starts_usd.value != Some(0.0) || cost.starts_usd.unknown.is_some() {
        let starts = page.usd("cost of the starts", &cost.starts_usd);
        let text = match cost.starts_usd.value {
            Some(_) if cost.starts_usd.unknown.is_none() => {
                format!("at least {starts}: each is billed for a minute or more")
            }
            _ => starts,
        };
        page.pair("starts", text);
    }
}

/// What came of a plan, or how far it is.
pub(super) fn outcome_page(plan: &PlanView, outcome: &OutcomeView, look: Look) -> String {
    let mut page = Page::new(look);
    let (word, tone) = match outcome.result {
        OutcomeResult::Done => ("done", Tone::Good),
        OutcomeResult::Already => (nothing_to_do(&plan.change), Tone::Good),
        OutcomeResult::Partial => ("done in part", Tone::Alarm),
        OutcomeResult::Failed => ("failed", Tone::Alarm),
        OutcomeResult::Running => ("it goes on", Tone::Warning),
    };
    page.toned_pair("outcome", word, tone);
    page.pair("in the audit", format!("plan {}", plan.id));
    if let Some(made) = &outcome.made {
        page.pair("id", made);
    }
    if outcome.steps.is_empty() {
        return page.finish();
    }
    let is_running = outcome.result == OutcomeResult::Running;
    let cells = |step: &StepView| {
        let [does, to, before, after] = action_cells(&step.action);
        let (state, tone) = state(step, is_running);
        let state = (state.to_owned(), tone);
        [does, to, before, after, state, plain(message(step))]
    };
    if outcome
        .steps
        .iter()
        .all(|step| step.code.and_then(code_word).is_none())
    {
        page.table(
            &Columns {
                names: ["action", "~on", "~before", "~after", "", "~"],
                spare: &["before", "after"],
            },
            outcome.steps.iter().map(cells),
            "",
        );
        return page.finish();
    }
    let rows = outcome.steps.iter().map(|step| {
        let [does, to, before, after, state, message] = cells(step);
        let code = or_dash(step.code.and_then(code_word).as_deref());
        [does, to, before, after, state, code, message]
    });
    page.table(
        &Columns {
            names: ["action", "~on", "~before", "~after", "", "code", "~"],
            spare: &["before", "after", "code"],
        },
        rows,
        "",
    );
    page.finish()
}

/// How a step is, in a word or two.
fn state(step: &StepView, is_running: bool) -> (&'static str, Tone) {
    match step.code {
        _ if step.done => ("done", Tone::Good),
        Some(StepCode::Waiting) if is_running => ("waits", Tone::Plain),
        Some(StepCode::Waiting) => ("not done", Tone::Alarm),
        Some(StepCode::UnderWay) | None if is_running => ("under way", Tone::Warning),
        _ => ("failed", Tone::Alarm),
    }
}

fn message(step: &StepView) -> String {
    let mut said: Vec<String> = step.message.iter().cloned().collect();
    if let Some(instead) = &step.instead {
        said.push(format!("{instead} was started in its place"));
    }
    said.join("; ")
}

/// A code as JSON has it, where it says more than how the step is.
fn code_word(code: StepCode) -> Option<String> {
    if let StepCode::Done | StepCode::UnderWay | StepCode::Waiting = code {
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
        assert_eq!(code_word(StepCode::Done), None);
    }
}
