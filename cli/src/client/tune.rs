//! `skictl tune`: starts, follows, stops and shows sweeps.
//!
//! - `spec`: the specification, from flags and a file. `render`: a sweep as a page and as CSV.

mod render;
mod spec;

use std::time::Duration;

use skilift_console::view::figures::{counted, span_s};
use skilift_console::view::tuning::{SweepList, SweepSpec, SweepState, SweepView};
use skilift_core::lifecycle::Signals;

use super::connection::ApiRequest;
use super::error::ClientError;
use super::figures::TerminalStyle;
use super::page::Page;
use super::show::{ShowCommand, print};
use super::{Client, block_on, prompt};
use crate::args::client::Form;
use crate::args::tune::{RunArgs, TuneArgs, TuneCommand};
use crate::exit::Exit;

/// How often a running sweep is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long the console may be away while a sweep is followed.
const AWAY: u32 = 60;
/// Time of a measurement besides warm-up and measuring, for the estimate before the start.
const BESIDES: Duration = Duration::from_secs(6);

/// Runs the command. A sweep is followed to its end; the first signal stops it, the second one ends only this process.
pub(crate) fn run(args: &TuneArgs) -> anyhow::Result<Exit> {
    block_on(async {
        let mut signals = Signals::install()?;
        let client = Client::new(&args.client)?;
        match &args.command {
            TuneCommand::Run(run) => start(&client, run, &mut signals).await,
            TuneCommand::Resume { sweep } => {
                let request = ApiRequest::new(["tuning", sweep, "resume"]);
                let sweep: SweepView = client.console.post(&request, &()).await?;
                follow(&client, sweep, &mut signals).await
            }
            TuneCommand::Stop { sweep } => or_signal(stop(&client, sweep), &mut signals).await,
            TuneCommand::List => or_signal(list(&client), &mut signals).await,
            TuneCommand::Show { sweep } => or_signal(show(&client, sweep), &mut signals).await,
        }
    })
}

/// A command to its end, or to the first signal.
async fn or_signal(
    command: impl Future<Output = anyhow::Result<Exit>>,
    signals: &mut Signals,
) -> anyhow::Result<Exit> {
    tokio::select! {
        outcome = command => outcome,
        _ = signals.next() => Ok(Exit::Interrupted),
    }
}

fn show_command(client: &Client) -> ShowCommand<'_> {
    ShowCommand {
        console: &client.console,
        form: client.form,
        watch: None,
    }
}

async fn list(client: &Client) -> anyhow::Result<Exit> {
    let request = || ApiRequest::new(["tuning"]);
    let page = |list: &SweepList, page: &mut Page| render::list(list, page);
    show_command(client).show(request, page, None).await
}

async fn show(client: &Client, id: &str) -> anyhow::Result<Exit> {
    let request = || ApiRequest::new(["tuning", id]);
    let page = |sweep: &SweepView, page: &mut Page| render::sweep(sweep, page);
    show_command(client)
        .show(request, page, Some(render::csv))
        .await
}

async fn stop(client: &Client, id: &str) -> anyhow::Result<Exit> {
    let request = ApiRequest::new(["tuning", id, "stop"]);
    let sweep: SweepView = client.console.post(&request, &()).await?;
    say!("skictl: {id} stops and restores settings and instances");
    print_sweep(client, &wait(client, sweep).await?)?;
    Ok(Exit::Done)
}

async fn start(client: &Client, args: &RunArgs, signals: &mut Signals) -> anyhow::Result<Exit> {
    let spec = spec::of(args)?;
    say!("skictl: {}", before(&spec));
    if !args.yes {
        if !prompt::can_prompt(false) {
            let why = "cannot prompt (stdin is not a terminal); use `--yes` to start. Nothing was changed";
            return Err(ClientError::Refused(why.to_owned()).into());
        }
        let typed = tokio::select! {
            typed = prompt::line("Start this sweep? [y/N]".to_owned()) => typed?,
            _ = signals.next() => return Ok(Exit::Interrupted),
        };
        if !matches!(typed.to_lowercase().as_str(), "y" | "yes") {
            let why = "not confirmed: nothing was changed".to_owned();
            return Err(ClientError::Refused(why).into());
        }
    }
    let sweep: SweepView = client
        .console
        .post(&ApiRequest::new(["tuning"]), &spec)
        .await?;
    follow(client, sweep, signals).await
}

/// What a sweep is about to do, in a sentence.
fn before(spec: &SweepSpec) -> String {
    let of = |values: &Vec<u32>| values.len().max(1) as u64;
    let space = &spec.space;
    let points = of(&space.api)
        * of(&space.workers)
        * of(&space.threads)
        * of(&space.batch)
        * space.worker_types.len().max(1) as u64;
    // And what runs now.
    let runs = (points + 1) * u64::from(spec.repeats);
    let each = u64::from(spec.warm_up_s + spec.measure_s) + BESIDES.as_secs();
    let end = match spec.apply {
        true => "applies the recommendation",
        false => "restores settings and instances",
    };
    let each_time = match spec.repeats {
        1 => "once".to_owned(),
        many => format!("{many} times or until it is decided"),
    };
    format!(
        "measures up to {} and what runs now under load, each {each_time}, for about {}, and then {end}",
        counted(points, "point", "points"),
        span_s((runs * each) as f64),
    )
}

/// Follows a sweep to its end, and prints its report.
async fn follow(client: &Client, sweep: SweepView, signals: &mut Signals) -> anyhow::Result<Exit> {
    let id = sweep.id.clone();
    say!("skictl: sweep {id} is running; Ctrl-C stops it");
    let mut following = std::pin::pin!(wait(client, sweep));
    let mut is_interrupted = false;
    let ended = loop {
        tokio::select! {
            ended = &mut following => break ended?,
            name = signals.next() => {
                if is_interrupted {
                    say!("skictl: {name} again: {id} restores settings and instances on the console; see `skictl tune show {id}`");
                    return Ok(Exit::Interrupted);
                }
                is_interrupted = true;
                say!("skictl: {name}: {id} stops and restores settings and instances; a second signal does not wait for that");
                let request = ApiRequest::new(["tuning", &id, "stop"]);
                let stopped: Result<SweepView, _> = client.console.post(&request, &()).await;
                if let Err(error) = stopped {
                    say!("skictl: {error}");
                }
            }
        }
    };
    print_sweep(client, &ended)?;
    if is_interrupted {
        say!("skictl: resume it with `skictl tune resume {id}`");
        return Ok(Exit::Interrupted);
    }
    Ok(match ended.state {
        SweepState::Failed => Exit::Failed,
        SweepState::Stopped | SweepState::Running => Exit::Partial,
        SweepState::Finished if ended.recommendation.is_some() => Exit::Done,
        SweepState::Finished => Exit::Threshold,
    })
}

/// Waits for the end of a sweep, and prints each measurement to stderr.
async fn wait(client: &Client, mut sweep: SweepView) -> anyhow::Result<SweepView> {
    let (mut printed, mut away) = (render::runs(&sweep).len(), 0);
    while sweep.state == SweepState::Running {
        tokio::time::sleep(EVERY).await;
        let request = ApiRequest::new(["tuning", &sweep.id]);
        match client.console.view(&request).await {
            Ok(seen) => (sweep, away) = (seen, 0),
            Err(error) if error.may_pass() && away < AWAY => {
                if away == 0 {
                    say!("skictl: {error}; retrying");
                }
                away += 1;
            }
            Err(error) => return Err(error.into()),
        }
        let runs = render::runs(&sweep);
        for line in runs.get(printed..).unwrap_or_default() {
            say!("skictl: {line}");
        }
        printed = printed.max(runs.len());
    }
    Ok(sweep)
}

fn print_sweep(client: &Client, sweep: &SweepView) -> anyhow::Result<()> {
    let text = match client.form {
        Form::Json => serde_json::to_string(sweep)? + "\n",
        Form::Csv => render::csv(sweep)?,
        Form::Table => {
            let mut page = Page::new(TerminalStyle::stdout());
            render::sweep(sweep, &mut page);
            page.finish()
        }
    };
    print(&text)?;
    Ok(())
}
