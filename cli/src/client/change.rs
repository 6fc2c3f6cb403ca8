//! Changes: a plan is made and shown, agreed to, and applied.

use std::time::Duration;

use skilift_console::view::change::{Change, LetterChoice};
use skilift_console::view::plan::{
    ActionView, ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView,
};

use super::ask;
use super::columns::Columns;
use super::connection::{ANSWER, Console, Question};
use super::error::ClientError;
use super::look::{Look, printable};
use super::page::{Page, Tone, or_dash, plain};
use super::show::{print, refuse_csv};
use crate::args::access::PasswordArgs;
use crate::args::client::{ConsentArgs, Form};
use crate::exit::Exit;

/// How often it is asked how far a change is that takes its time.
const PROGRESS: Duration = Duration::from_secs(1);

/// How a change is made.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    /// Whom to ask.
    pub(crate) console: &'a Console,
    /// The form of what came of it.
    pub(crate) form: Form,
    /// How it is agreed to.
    pub(crate) consent: &'a ConsentArgs,
}

impl Changing<'_> {
    /// Plans a change, shows the plan, has it agreed to, and applies it.
    pub(crate) async fn carry_out(&self, change: Change) -> anyhow::Result<Exit> {
        self.with_password(change, None).await
    }

    /// The same for a change that needs the password of `name`.
    pub(crate) async fn with_password(
        &self,
        change: Change,
        password: Option<(&str, PasswordArgs)>,
    ) -> anyhow::Result<Exit> {
        refuse_csv(self.form)?;
        let consent = self.consent;
        let can_ask = ask::can_ask(consent.no_input);
        if let Some((_, from)) = password
            && !from.password_stdin
            && !can_ask
            && !consent.dry_run
        {
            return Err(ClientError::Usage(
                "a password is needed and nobody can be asked for it: --password-stdin reads it"
                    .to_owned(),
            )
            .into());
        }
        let plan: PlanView = self
            .console
            .post(&Question::new(["plans"]), &change)
            .await?;
        let refused = plan
            .refusals
            .iter()
            .any(|refusal| !(refusal.can_override && consent.override_reason.is_some()));
        if consent.dry_run {
            self.print_plan(&plan)?;
            return Ok(if refused { Exit::Refused } else { Exit::Done });
        }
        if refused {
            self.print_plan(&plan)?;
            eprintln!("skictl: refused: nothing was changed");
            return Ok(Exit::Refused);
        }
        let confirm = self.agree(&plan, can_ask).await?;
        let password = match password {
            None => None,
            Some((_, from)) if from.password_stdin => Some(ask::first_line().await?),
            Some((name, _)) => Some(ask::new_password(name).await?),
        };
        let request = ApplyRequest {
            confirm,
            override_reason: consent.override_reason.clone(),
            password,
        };
        let outcome = self.apply(&plan, &request).await?;
        self.print_outcome(plan, outcome)
    }

    /// Shows a plan that goes no further: it is what was asked for.
    fn print_plan(&self, plan: &PlanView) -> anyhow::Result<()> {
        match self.form {
            Form::Json => print(&(serde_json::to_string(plan)? + "\n"))?,
            Form::Table | Form::Csv => print(&plan_page(plan, Look::stdout()))?,
        };
        Ok(())
    }

    /// Has a plan agreed to; gives back what was typed where a name is to be.
    async fn agree(&self, plan: &PlanView, can_ask: bool) -> Result<Option<String>, anyhow::Error> {
        let consent = self.consent;
        let refuse = |what: String| Err(ClientError::Refused(what).into());
        if plan.danger == Danger::None {
            return Ok(None);
        }
        // Shown before it is done, also to who agreed beforehand.
        eprint!("{}", plan_page(plan, Look::stderr()));
        match (plan.danger, &plan.confirm) {
            (Danger::Severe, Some(name)) => match &consent.confirm {
                Some(typed) if typed == name => Ok(Some(typed.clone())),
                Some(_) => refuse(format!("--confirm must be {name:?}: nothing was changed")),
                None if can_ask => {
                    let typed =
                        ask::line(format!("This is severe. Type {name} to apply it:")).await?;
                    if typed == *name {
                        Ok(Some(typed))
                    } else {
                        refuse("not confirmed: nothing was changed".to_owned())
                    }
                }
                None => refuse(format!(
                    "this is severe, and --yes does not cover it: --confirm {name:?} applies it. Nothing was changed"
                )),
            },
            // Who names something had another plan in mind.
            _ if consent.confirm.is_some() => refuse(
                "this plan is moderate and has no name to confirm: --yes applies it, without --confirm. Nothing was changed"
                    .to_owned(),
            ),
            _ if consent.yes => Ok(None),
            _ if can_ask => {
                let typed = ask::line("Apply it? [y/N]".to_owned()).await?;
                if matches!(typed.to_lowercase().as_str(), "y" | "yes") {
                    Ok(None)
                } else {
                    refuse("not confirmed: nothing was changed".to_owned())
                }
            }
            _ => refuse("nobody can be asked: --yes applies it. Nothing was changed".to_owned()),
        }
    }

    async fn apply(&self, plan: &PlanView, request: &ApplyRequest) -> anyhow::Result<OutcomeView> {
        let under_way = UnderWay(plan);
        let applied = self
            .console
            .post(&Question::new(["plans", &plan.id, "apply"]), request)
            .await;
        let outcome = match applied {
            Ok(outcome) => Ok(outcome),
            // It may have arrived: what became of it is asked for, and nothing is sent twice.
            Err(ClientError::NoAnswer { .. }) => self.what_became_of(plan).await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(outcome) => self.wait_for(plan, outcome).await,
            Err(error) => Err(error),
        };
        std::mem::forget(under_way);
        Ok(outcome?)
    }

    /// Waits for the end of what goes on, and says meanwhile how far it is.
    async fn wait_for(
        &self,
        plan: &PlanView,
        mut outcome: OutcomeView,
    ) -> Result<OutcomeView, ClientError> {
        let mut told_last = Vec::new();
        while outcome.result == OutcomeResult::Running {
            let told: Vec<String> = outcome
                .steps
                .iter()
                .filter_map(|step| step.message.as_deref().map(printable))
                .collect();
            if told != told_last {
                for told in &told {
                    eprintln!("skictl: {told}");
                }
                told_last = told;
            }
            tokio::time::sleep(PROGRESS).await;
            outcome = self.what_became_of(plan).await?;
        }
        Ok(outcome)
    }

    async fn what_became_of(&self, plan: &PlanView) -> Result<OutcomeView, ClientError> {
        let found: Result<PlanView, ClientError> =
            self.console.view(&Question::new(["plans", &plan.id])).await;
        match found {
            Ok(PlanView {
                outcome: Some(outcome),
                ..
            }) => Ok(outcome),
            _ => Err(ClientError::UnderWay {
                plan: plan.id.clone(),
                within: ANSWER,
                shows: what_shows(&plan.change),
            }),
        }
    }

    fn print_outcome(&self, mut plan: PlanView, outcome: OutcomeView) -> anyhow::Result<Exit> {
        let (exit, state) = match outcome.result {
            OutcomeResult::Done | OutcomeResult::Already => (Exit::Done, PlanState::Applied),
            OutcomeResult::Partial => (Exit::Partial, PlanState::Failed),
            OutcomeResult::Failed => (Exit::Failed, PlanState::Failed),
            OutcomeResult::Running => (Exit::TimedOut, PlanState::Applying),
        };
        match (self.form, &outcome.secret) {
            (Form::Json, _) => {
                plan.state = state;
                plan.outcome = Some(outcome);
                print(&(serde_json::to_string(&plan)? + "\n"))?;
            }
            // What was made is the data, so that it can be kept in a file.
            (_, Some(secret)) => {
                eprint!("{}", outcome_page(&plan, &outcome, Look::stderr()));
                print(&format!("{secret}\n"))?;
            }
            (_, None) => {
                print(&outcome_page(&plan, &outcome, Look::stdout()))?;
            }
        }
        Ok(exit)
    }
}

/// Says, when a signal cuts an apply off, that it may go on without us.
struct UnderWay<'a>(&'a PlanView);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let (plan, shows) = (&self.0.id, what_shows(&self.0.change));
        eprintln!(
            "skictl: plan {plan} may go on without us: {shows} shows how things are, and skictl audit --action apply what comes of it"
        );
    }
}

/// The command that shows what a change changes.
fn what_shows(change: &Change) -> &'static str {
    match change {
        Change::SetWorker { .. } | Change::SetApi { .. } | Change::Rollback { .. } => {
            "skictl settings"
        }
        Change::Pause | Change::Resume => "skictl queue",
        Change::Drain { .. } | Change::Undrain { .. } => "skictl nodes",
        Change::Replay { .. } | Change::Discard { .. } => "skictl queue dead list",
        Change::Repair { .. } => "skictl stats resort",
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. } => "skictl users",
        Change::AddToken { .. } | Change::RevokeToken { .. } => "skictl tokens",
        Change::SetIngest { .. } | Change::AddKey { .. } | Change::RevokeKey { .. } => {
            "skictl keys"
        }
    }
}

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

fn plan_page(plan: &PlanView, look: Look) -> String {
    let mut page = Page::new(look);
    let (danger, tone) = match plan.danger {
        Danger::None => ("none: it is so already", Tone::Good),
        Danger::Moderate => ("moderate", Tone::Warning),
        Danger::Severe => ("severe", Tone::Alarm),
    };
    page.toned_pair("danger", danger, tone);
    page.pair("in the audit", format!("plan {}", plan.id));
    if !plan.actions.is_empty() {
        let rows = plan.actions.iter().map(|action| {
            let [does, to, before, after] = action_cells(action);
            [does, to, before, after]
        });
        page.table(
            &Columns {
                names: ["action", "~on", "~before", "~after"],
                spare: &[],
            },
            rows,
            "",
        );
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

fn action_cells(action: &ActionView) -> [(String, Tone); 4] {
    [
        plain(&action.does),
        plain(&action.to),
        or_dash(action.before.as_deref()),
        or_dash(action.after.as_deref()),
    ]
}

fn outcome_page(plan: &PlanView, outcome: &OutcomeView, look: Look) -> String {
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
    if !outcome.steps.is_empty() {
        let rows = outcome.steps.iter().map(|step| {
            let [does, to, before, after] = action_cells(&step.action);
            let done = if step.done {
                ("done".to_owned(), Tone::Good)
            } else {
                ("failed".to_owned(), Tone::Alarm)
            };
            let message = plain(step.message.as_deref().unwrap_or_default());
            [does, to, before, after, done, message]
        });
        page.table(
            &Columns {
                names: ["action", "~on", "~before", "~after", "", "~"],
                spare: &["before", "after"],
            },
            rows,
            "",
        );
    }
    page.finish()
}
