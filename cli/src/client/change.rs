//! Changes: a plan is made and shown, agreed to, and applied.

use skilift_console::view::change::Change;
use skilift_console::view::plan::{
    ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView,
};

use super::ask;
use super::connection::{Console, Question};
use super::error::ClientError;
use super::follow::{Patience, Trail, UnderWay, lost_sight, plan_now, to_the_end};
use super::look::Look;
use super::plan::{outcome_page, plan_page};
use super::show::{print, refuse_csv};
use crate::args::access::PasswordArgs;
use crate::args::client::{ConsentArgs, Form};
use crate::exit::Exit;

/// How a change is made.
#[derive(Debug)]
pub(crate) struct Changing<'a> {
    /// Whom to ask.
    pub(crate) console: &'a Console,
    /// The form of what came of it.
    pub(crate) form: Form,
    /// How it is agreed to.
    pub(crate) consent: &'a ConsentArgs,
    /// How long it is waited for.
    pub(crate) patience: Patience,
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
            eprintln!("skictl: refused: nothing was changed");
            return Ok(Exit::of_refusals(standing));
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
        let under_way = UnderWay(Trail::of(plan));
        let applied = self
            .console
            .post(&Question::new(["plans", &plan.id, "apply"]), request)
            .await;
        let outcome = match applied {
            Ok(outcome) => self.wait_for(plan, Some(outcome)).await,
            // It may have arrived: what became of it is asked for, and nothing is sent twice.
            Err(ClientError::NoAnswer { .. }) => self.what_became_of(plan).await,
            Err(error) => Err(error),
        };
        std::mem::forget(under_way);
        Ok(outcome?)
    }

    async fn what_became_of(&self, plan: &PlanView) -> Result<OutcomeView, ClientError> {
        match plan_now(self.console, &plan.id).await {
            Ok(PlanView {
                outcome: Some(outcome),
                ..
            }) => self.wait_for(plan, Some(outcome)).await,
            // The console may be about to start anew, and then goes on.
            _ if matches!(plan.change, Change::Scale(_)) && self.patience != Patience::Begun => {
                self.wait_for(plan, None).await
            }
            _ => Err(lost_sight(plan)),
        }
    }

    async fn wait_for(
        &self,
        plan: &PlanView,
        known: Option<OutcomeView>,
    ) -> Result<OutcomeView, ClientError> {
        to_the_end(self.console, plan, known, self.patience).await
    }

    /// Waits for a plan that somebody applied, and ends as it does.
    pub(crate) async fn follow(&self, id: &str) -> anyhow::Result<Exit> {
        refuse_csv(self.form)?;
        let mut plan = plan_now(self.console, id).await?;
        if matches!(plan.state, PlanState::Planned | PlanState::Stale) {
            let why = format!("plan {id} was never applied: there is nothing to wait for");
            return Err(ClientError::Refused(why).into());
        }
        let known = plan.outcome.take();
        let under_way = UnderWay(Trail::of(&plan));
        let outcome = self.wait_for(&plan, known).await;
        std::mem::forget(under_way);
        self.print_outcome(plan, outcome?)
    }

    fn print_outcome(&self, mut plan: PlanView, outcome: OutcomeView) -> anyhow::Result<Exit> {
        let state = match outcome.result {
            OutcomeResult::Done | OutcomeResult::Already => PlanState::Applied,
            OutcomeResult::Partial | OutcomeResult::Failed => PlanState::Failed,
            OutcomeResult::Running => PlanState::Applying,
        };
        let goes_on = outcome.result == OutcomeResult::Running;
        let trail = goes_on.then(|| Trail::of(&plan));
        let exit = if goes_on && self.patience == Patience::Begun {
            // It was not to be waited for.
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
            // What was made is the data, so that it can be kept in a file.
            (_, Some(secret)) => {
                eprint!("{}", outcome_page(&plan, &outcome, Look::stderr()));
                print(&format!("{secret}\n"))?;
            }
            (_, None) => {
                print(&outcome_page(&plan, &outcome, Look::stdout()))?;
            }
        }
        if let Some(trail) = trail {
            let no_longer = match self.patience {
                Patience::Begun => "",
                Patience::End | Patience::Within(_) => ", and is not waited for any longer",
            };
            let plan = trail.plan();
            eprintln!("skictl: plan {plan} goes on{no_longer}: {trail}");
        }
        Ok(exit)
    }
}
