//! Changes: creates a plan, shows it, asks for confirmation and applies it.

use skilift_console::view::change::Change;
use skilift_console::view::plan::{
    ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView,
};

use super::connection::{ApiRequest, Console};
use super::error::ClientError;
use super::figures::TerminalStyle;
use super::follow::{Patience, RunningPlanNotice, Trail, outcome_unknown, plan_now, to_the_end};
use super::plan::{outcome_page, plan_page};
use super::prompt;
use super::show::{print, refuse_csv};
use crate::args::access::PasswordArgs;
use crate::args::client::{ConsentArgs, Form};
use crate::exit::Exit;

/// Options of a change.
#[derive(Debug)]
pub(crate) struct ChangeCommand<'a> {
    /// The console.
    pub(crate) console: &'a Console,
    /// Output format of the outcome.
    pub(crate) form: Form,
    /// Confirmation options.
    pub(crate) consent: &'a ConsentArgs,
    /// How long to wait for the outcome.
    pub(crate) patience: Patience,
}

impl ChangeCommand<'_> {
    /// Plans a change, shows the plan, asks for confirmation and applies it.
    pub(crate) async fn carry_out(&self, change: Change) -> anyhow::Result<Exit> {
        self.with_password(change, None).await
    }

    /// The same for a change that requires the password of `name`.
    pub(crate) async fn with_password(
        &self,
        change: Change,
        password: Option<(&str, PasswordArgs)>,
    ) -> anyhow::Result<Exit> {
        self.check_password(password)?;
        let plan: PlanView = self
            .console
            .post(&ApiRequest::new(["plans"]), &change)
            .await?;
        self.carry_out_plan(plan, password).await
    }

    /// Rejects a change whose password cannot be asked for, and an output format that no change has.
    pub(crate) fn check_password(
        &self,
        password: Option<(&str, PasswordArgs)>,
    ) -> Result<(), ClientError> {
        refuse_csv(self.form)?;
        let consent = self.consent;
        if let Some((_, from)) = password
            && !from.password_stdin
            && !prompt::can_prompt(consent.no_input)
            && !consent.dry_run
        {
            return Err(ClientError::Usage(
                "password required, but cannot prompt (stdin is not a terminal); use `--password-stdin`"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Shows a plan, asks for confirmation and applies it.
    pub(crate) async fn carry_out_plan(
        &self,
        plan: PlanView,
        password: Option<(&str, PasswordArgs)>,
    ) -> anyhow::Result<Exit> {
        let consent = self.consent;
        let can_prompt = prompt::can_prompt(consent.no_input);
        let mut standing = plan
            .refusals
            .iter()
            .filter(|refusal| !(refusal.can_override && consent.override_reason.is_some()))
            .peekable();
        let refused = standing.peek().is_some();
        if consent.dry_run {
            self.print_plan(&plan)?;
            return Ok(if refused {
                Exit::of_refusals(standing)
            } else {
                Exit::Done
            });
        }
        if refused {
            self.print_plan(&plan)?;
            say!("skictl: refused: nothing was changed");
            return Ok(Exit::of_refusals(standing));
        }
        let confirm = self.agree(&plan, can_prompt).await?;
        let password = match password {
            None => None,
            Some((_, from)) if from.password_stdin => Some(prompt::first_line().await?),
            Some((name, _)) => Some(prompt::new_password(name).await?),
        };
        let request = ApplyRequest {
            confirm,
            override_reason: consent.override_reason.clone(),
            password,
        };
        let outcome = self.apply(&plan, &request).await?;
        self.print_outcome(plan, outcome)
    }

    /// Shows a plan that is not applied, and returns the exit code.
    fn print_plan(&self, plan: &PlanView) -> anyhow::Result<()> {
        match self.form {
            Form::Json => print(&(serde_json::to_string(plan)? + "\n"))?,
            Form::Table | Form::Csv => print(&plan_page(plan, TerminalStyle::stdout()))?,
        };
        Ok(())
    }

    /// Asks for confirmation of a plan; returns the confirmation text if the plan requires one.
    async fn agree(
        &self,
        plan: &PlanView,
        can_prompt: bool,
    ) -> Result<Option<String>, anyhow::Error> {
        let consent = self.consent;
        let refuse = |what: String| Err(ClientError::Refused(what).into());
        if plan.danger == Danger::None {
            return Ok(None);
        }
        // The plan is also shown if it was confirmed by a flag.
        say_inline!("{}", plan_page(plan, TerminalStyle::stderr()));
        match (plan.danger, &plan.confirm) {
            (Danger::Severe, Some(name)) => match &consent.confirm {
                Some(typed) if typed == name => Ok(Some(typed.clone())),
                Some(_) => refuse(format!("--confirm must be {name:?}: nothing was changed")),
                None if can_prompt => {
                    let typed =
                        prompt::line(format!("High-risk plan. Type {name} to apply it:")).await?;
                    if typed == *name {
                        Ok(Some(typed))
                    } else {
                        refuse("not confirmed: nothing was changed".to_owned())
                    }
                }
                None => refuse(format!(
                    "severe plan: `--yes` is not enough, pass `--confirm {name:?}`. Nothing was changed"
                )),
            },
            // A confirmation text was given for a different plan.
            _ if consent.confirm.is_some() => refuse(
                "moderate plan: `--confirm` is not accepted, pass `--yes`. Nothing was changed"
                    .to_owned(),
            ),
            _ if consent.yes => Ok(None),
            _ if can_prompt => {
                let typed = prompt::line("Apply this plan? [y/N]".to_owned()).await?;
                if matches!(typed.to_lowercase().as_str(), "y" | "yes") {
                    Ok(None)
                } else {
                    refuse("not confirmed: nothing was changed".to_owned())
                }
            }
            _ => refuse("cannot prompt (stdin is not a terminal); use `--yes` to apply. Nothing was changed".to_owned()),
        }
    }

    async fn apply(&self, plan: &PlanView, request: &ApplyRequest) -> anyhow::Result<OutcomeView> {
        let notice = RunningPlanNotice(Trail::of(plan));
        let applied = self
            .console
            .post(&ApiRequest::new(["plans", &plan.id, "apply"]), request)
            .await;
        let outcome = match applied {
            Ok(outcome) => self.wait_for(plan, Some(outcome)).await,
            // The console may have received the request: query the outcome instead of sending it again.
            Err(ClientError::NoAnswer { .. }) => self.outcome_of(plan).await,
            Err(error) => Err(error),
        };
        std::mem::forget(notice);
        Ok(outcome?)
    }

    async fn outcome_of(&self, plan: &PlanView) -> Result<OutcomeView, ClientError> {
        match plan_now(self.console, &plan.id).await {
            Ok(PlanView {
                outcome: Some(outcome),
                ..
            }) => self.wait_for(plan, Some(outcome)).await,
            // A console that restarts continues the plan.
            _ if matches!(plan.change, Change::Scale(_)) && self.patience != Patience::Begun => {
                self.wait_for(plan, None).await
            }
            _ => Err(outcome_unknown(plan)),
        }
    }

    async fn wait_for(
        &self,
        plan: &PlanView,
        known: Option<OutcomeView>,
    ) -> Result<OutcomeView, ClientError> {
        to_the_end(self.console, plan, known, self.patience).await
    }

    /// Waits for a running plan and returns its exit code.
    pub(crate) async fn follow(&self, id: &str) -> anyhow::Result<Exit> {
        refuse_csv(self.form)?;
        let mut plan = plan_now(self.console, id).await?;
        if plan.outcome.is_none() && plan.state != PlanState::Applying {
            let why = format!("plan {id} was never applied; nothing to wait for");
            return Err(ClientError::Refused(why).into());
        }
        let known = plan.outcome.take();
        let notice = RunningPlanNotice(Trail::of(&plan));
        let outcome = self.wait_for(&plan, known).await;
        std::mem::forget(notice);
        self.print_outcome(plan, outcome?)
    }

    fn print_outcome(&self, mut plan: PlanView, outcome: OutcomeView) -> anyhow::Result<Exit> {
        let state = OutcomeView::state(outcome.result, &outcome.steps);
        let goes_on = outcome.result == OutcomeResult::Running;
        let trail = goes_on.then(|| Trail::of(&plan));
        let exit = if goes_on && self.patience == Patience::Begun {
            // No wait was requested.
            Exit::Done
        } else {
            Exit::of_outcome(&outcome)
        };
        match (self.form, &outcome.secret) {
            (Form::Json, _) => {
                plan.state = state;
                plan.outcome = Some(outcome);
                print(&(serde_json::to_string(&plan)? + "\n"))?;
            }
            // The created secret goes to stdout alone, so that it can be redirected to a file.
            (_, Some(secret)) => {
                say_inline!("{}", outcome_page(&plan, &outcome, TerminalStyle::stderr()));
                print(&format!("{secret}\n"))?;
            }
            (_, None) => {
                print(&outcome_page(&plan, &outcome, TerminalStyle::stdout()))?;
            }
        }
        if let Some(trail) = trail {
            let timed_out = match self.patience {
                Patience::Begun => "",
                Patience::End | Patience::Within(_) => "timed out; ",
            };
            let plan = trail.plan();
            say!("skictl: {timed_out}plan {plan} is still running: {trail}");
        }
        Ok(exit)
    }
}
