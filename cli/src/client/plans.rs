//! `skictl plans`: lists, shows, applies and cancels plans.

use skilift_console::view::change::Change;
use skilift_console::view::plan::{PlanList, PlanState, PlanView};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::error::ClientError;
use super::figures::{TerminalStyle, moment};
use super::follow::{Patience, plan_now};
use super::page::{Page, Style, plain};
use super::plan::{render_outcome, render_plan};
use super::show::{print, refuse_csv};
use crate::args::access::PasswordArgs;
use crate::args::client::{ConsentArgs, Form};
use crate::args::plans::{PlanListArgs, PlansArgs, PlansCommand};
use crate::args::scale::WaitArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &PlansArgs) -> anyhow::Result<Exit> {
    let outer = &args.list;
    if let Some(PlansCommand::List(inner)) = &args.command {
        return list(args, inner).await;
    }
    if args.command.is_some() && (outer.limit.is_some() || outer.before.is_some()) {
        let what = "--limit and --before apply only to the list of plans".to_owned();
        return Err(ClientError::Usage(what).into());
    }
    match &args.command {
        None | Some(PlansCommand::List(_)) => list(args, &PlanListArgs::default()).await,
        Some(PlansCommand::Show { plan, wait }) => show(args, plan, *wait).await,
        Some(PlansCommand::Apply {
            plan,
            password,
            wait,
            consent,
        }) => apply(args, plan, *password, *wait, consent).await,
        Some(PlansCommand::Cancel { plan }) => cancel(args, plan).await,
    }
}

async fn list(args: &PlansArgs, inner: &PlanListArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let outer = &args.list;
    let show_command = client.show_command(client.either(outer.watch, inner.watch));
    let request = || {
        ApiRequest::new(["plans"])
            .with_some("limit", inner.limit.or(outer.limit).as_ref())
            .with_some("before", inner.before.as_ref().or(outer.before.as_ref()))
    };
    show_command.show(request, render, None).await
}

fn render(list: &PlanList, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = list.plans.iter().map(|plan| {
        let style = match plan.state {
            PlanState::Planned if plan.is_refused => Style::Warning,
            PlanState::Planned | PlanState::Stale => Style::Plain,
            PlanState::Applying | PlanState::Cancelled => Style::Warning,
            PlanState::Applied => Style::Good,
            PlanState::Failed => Style::Alarm,
        };
        let steps = terminal_style.count(plan.steps as u64);
        let steps = match plan.steps_done {
            Some(done) => format!("{} of {steps}", terminal_style.count(done as u64)),
            None => steps,
        };
        [
            plain(&plan.id),
            plain(moment(plan.created_at_ms)),
            plain(&plan.created_by),
            plain(plan.danger.to_string()),
            (plan.word().to_owned(), style),
            plain(steps),
            plain(&plan.command),
        ]
    });
    page.table(
        &Columns {
            names: [
                "plan", "created", "by", "danger", "state", ">steps", "~command",
            ],
            optional_columns: &["danger", "steps"],
        },
        rows,
        "no plans",
    );
    if let Some(next) = &list.next {
        page.note(format!(
            "more plans available; use --before {next} for older ones"
        ));
    }
}

async fn show(args: &PlansArgs, id: &str, wait: WaitArgs) -> anyhow::Result<Exit> {
    wait.check().map_err(ClientError::Usage)?;
    let client = Client::new(&args.client)?;
    let consent = ConsentArgs::default();
    if wait.wait {
        let mut changing = client.change(args.list.watch, &consent)?;
        changing.patience = Patience::of_timeout(wait.timeout);
        return changing.follow(id).await;
    }
    let request = || ApiRequest::new(["plans", id]);
    client
        .show_command(args.list.watch)
        .show(request, render_either, None)
        .await
}

/// A plan, or its outcome.
fn render_either(plan: &PlanView, page: &mut Page) {
    match &plan.outcome {
        Some(outcome) => {
            render_applied(plan, page);
            render_outcome(plan, outcome, page);
        }
        None => {
            page.pair("state", plan.state.to_string());
            page.pair("expires", moment(plan.expires_at_ms));
            render_plan(plan, page);
        }
    }
}

/// Who applied a plan, and when.
fn render_applied(plan: &PlanView, page: &mut Page) {
    if let (Some(by), Some(at)) = (&plan.applied_by, plan.applied_at_ms) {
        page.pair("applied", format!("{} by {by}", moment(at)));
    }
    if let Some(at) = plan.ended_at_ms {
        page.pair("ended", moment(at));
    }
}

async fn apply(
    args: &PlansArgs,
    id: &str,
    password: PasswordArgs,
    wait: WaitArgs,
    consent: &ConsentArgs,
) -> anyhow::Result<Exit> {
    wait.check().map_err(ClientError::Usage)?;
    let client = Client::new(&args.client)?;
    let mut changing = client.change(args.list.watch, consent)?;
    changing.patience = wait.into();
    let plan = plan_now(&client.console, id).await?;
    let state = plan.state;
    if state != PlanState::Planned {
        let todo = match state {
            PlanState::Applied => {
                let why = format!("plan {id} has already been applied");
                return Err(ClientError::Refused(why).into());
            }
            PlanState::Applying => format!("wait for it with `skictl plans show {id} --wait`"),
            _ => "create a new plan".to_owned(),
        };
        let why = format!("plan {id} is {state} and cannot be applied; {todo}");
        return Err(ClientError::Refused(why).into());
    }
    let name = match &plan.change {
        Change::AddUser { name, .. } | Change::SetPassword { name, .. } => Some(name.clone()),
        _ => None,
    };
    let password = name.as_deref().map(|name| (name, password));
    changing.check_password(password)?;
    changing.carry_out_plan(plan, password).await
}

async fn cancel(args: &PlansArgs, id: &str) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    refuse_csv(client.form)?;
    client.change(args.list.watch, &ConsentArgs::default())?;
    let request = ApiRequest::new(["plans", id, "cancel"]);
    let plan: PlanView = client.console.post(&request, &()).await?;
    print(&match client.form {
        Form::Json => serde_json::to_string(&plan)? + "\n",
        Form::Table | Form::Csv => {
            let mut page = Page::new(TerminalStyle::stdout());
            render_either(&plan, &mut page);
            page.finish()
        }
    })?;
    if plan.state == PlanState::Applying {
        say!(
            "skictl: cancelling plan {id}: the step in progress is finished first; wait with `skictl plans show {id} --wait`"
        );
    }
    Ok(Exit::Done)
}
