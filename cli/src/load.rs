//! `skictl load`: runs a load test and prints the results.
//!
//! - `progress`: the progress bar on a terminal. `table`: the summary as a table.

mod progress;
mod table;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skilift_core::lifecycle::Signals;
use skilift_load::breaker::BreakerLimits;
use skilift_load::http::{AUTHORIZATION, HeaderMap, HeaderValue};
use skilift_load::plan::{LoadConfig, Schedule, Until};
use skilift_load::report;
use skilift_load::run::{self, LoadError, Outcome};
use skilift_load::summary::{Ended, Summary};
use skilift_load::workload::{Ranges, random_seed};
use tokio_util::sync::CancellationToken;

use self::progress::Bar;
use crate::args::load::{LoadArgs, Output};
use crate::client::tls;
use crate::exit::Exit;
use crate::process::raise_file_limit;

/// Maximum time without any response of the target.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// Runs the load test and prints the summary.
pub(crate) fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let config = config(args)?;
    let usage = check(args)
        .err()
        .or_else(|| config.check().err().map(Into::into));
    if let Some(error) = usage {
        say!("skictl: {error:#}");
        return Ok(Exit::Usage.into());
    }
    if let Some(folder) = &args.report {
        report::check_writable(folder)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(until_over(config, args.stop_at_eof));
    // After a second signal exit immediately.
    runtime.shutdown_background();
    let Some(outcome) = outcome? else {
        return Ok(Exit::Interrupted.into());
    };
    // Print the summary first, so that it is not lost if the report cannot be written.
    let printed = print(&outcome.summary, args.output);
    let code = judge(args, &outcome.summary);
    if let Some(folder) = &args.report {
        write_report(folder, args, &outcome)?;
    }
    printed?;
    Ok(code.into())
}

/// The headers of each request. A key is never shown.
fn headers(args: &LoadArgs) -> anyhow::Result<HeaderMap> {
    let mut headers: HeaderMap = args.header.iter().cloned().collect();
    if let Some(file) = &args.ingest_key_file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let key = format!("Bearer {}", text.trim());
        let mut key = HeaderValue::try_from(key)
            .with_context(|| format!("{} holds no ingest key", file.display()))?;
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
    }
    Ok(headers)
}

fn config(args: &LoadArgs) -> anyhow::Result<LoadConfig> {
    let until = match (args.rides, args.duration) {
        (Some(rides), _) => Until::Rides(rides),
        (None, duration) => Until::Time(duration.unwrap_or_default()),
    };
    let schedule = match (&args.profile, args.rate) {
        (Some(profile), _) => Schedule::Profile(profile.clone()),
        (None, Some(rate)) => Schedule::Rate(rate, until),
        (None, None) => Schedule::Closed(until),
    };
    let limits = |(open, close)| BreakerLimits {
        open,
        close,
        open_interval: args.breaker_interval,
        close_interval: args.breaker_interval,
    };
    Ok(LoadConfig {
        target: args.target.clone(),
        headers: headers(args)?,
        tls: match args.target.is_https() {
            true => Some(Arc::new(tls(true, None)?)),
            false => None,
        },
        schedule,
        connections: args.threads,
        ranges: Ranges {
            resorts: args.resorts.clone(),
            season: args.season,
            days: args.days.clone(),
            skiers: args.skiers.clone(),
            lifts: args.lifts.clone(),
            minutes: args.minutes.clone(),
        },
        seed: args.seed.unwrap_or_else(random_seed),
        reads: args.reads,
        bulk: args.bulk,
        breaker: args.breaker_open.zip(args.breaker_close).map(limits),
        timeout: args.timeout,
        verify: args.verify.then_some(args.verify_timeout),
        give_up_after: GIVE_UP_AFTER.max(args.timeout),
    })
}

/// Validates the arguments that the run does not know.
fn check(args: &LoadArgs) -> anyhow::Result<()> {
    for threshold in &args.fail_if {
        anyhow::ensure!(
            args.verify || !threshold.needs_verify(),
            "--fail-if {threshold:?} requires --verify",
            threshold = threshold.to_string()
        );
    }
    anyhow::ensure!(!args.timeout.is_zero(), "--timeout must be longer than 0s");
    Ok(())
}

/// Runs to the end; `None` if a second signal ended the run immediately, or a first one before the first request.
async fn until_over(config: LoadConfig, stop_at_eof: bool) -> anyhow::Result<Option<Outcome>> {
    let mut signals = match stop_at_eof {
        true => Signals::install_in_child()?,
        false => Signals::install()?,
    };
    raise_file_limit();
    let stop = CancellationToken::new();
    let bar = Bar::new(config.seed);
    let mut running = std::pin::pin!(run::run(
        config,
        |progress| bar.show(progress),
        stop.clone()
    ));
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            name = signals.next() => {
                if stop.is_cancelled() {
                    say!("skictl: {name} again: ended at once");
                    return Ok(None);
                }
                bar.clear();
                say!("skictl: {name}: interrupted: waiting up to 5 s for requests in flight; a second signal ends at once");
                stop.cancel();
            }
        }
    };
    bar.clear();
    match outcome {
        Err(LoadError::Verify(_) | LoadError::Stopped) if stop.is_cancelled() => Ok(None),
        outcome => Ok(Some(outcome?)),
    }
}

fn print(summary: &Summary, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table::render(summary),
        Output::Json => serde_json::to_string_pretty(summary)? + "\n",
    };
    match io::stdout().write_all(text.as_bytes()) {
        // A closed pipe is not an error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(()),
    }
}

/// Prints the problems of a run to stderr, and returns its exit code.
fn judge(args: &LoadArgs, summary: &Summary) -> Exit {
    let broken: Vec<String> = args
        .fail_if
        .iter()
        .filter_map(|threshold| threshold.broken_by(summary))
        .collect();
    for condition in &broken {
        say!("skictl: --fail-if {condition}");
    }
    if summary.ended == Ended::Interrupted {
        say!("skictl: interrupted: the summary covers only a part of the run");
        return Exit::Interrupted;
    }
    if !broken.is_empty() {
        return Exit::Threshold;
    }
    if summary.ended == Ended::TargetLost {
        say!(
            "skictl: the target stopped responding and the run was aborted: {} requests were not sent",
            summary.requests.unsent
        );
        return Exit::Failed;
    }
    if summary.requests.succeeded == 0 {
        let why = summary.errors.first().map_or_else(
            || "no request was sent".to_owned(),
            |error| format!("{}: {}", error.kind, error.example),
        );
        say!("skictl: no request succeeded ({why})");
        return Exit::Failed;
    }
    Exit::Done
}

/// Writes the report of a run.
fn write_report(folder: &Path, args: &LoadArgs, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { summary, timeline } = outcome;
    let pace = match (args.rate, &args.profile) {
        (Some(rate), _) => format!("{rate} requests/s"),
        (None, Some(_)) => "a rate profile".to_owned(),
        (None, None) => "closed loop".to_owned(),
    };
    let breaker = args.breaker_open.zip(args.breaker_close);
    let run = report::Run {
        caption: format!(
            "{} rides sent, {} connections, {pace}",
            table::grouped(summary.rides.sent),
            summary.connections
        ),
        verdict: table::verdict(summary),
        text: table::render(summary),
        elapsed: Duration::try_from_secs_f64(summary.elapsed_s).unwrap_or_default(),
        breaker: breaker.map(|(open, close)| report::Breaker {
            open,
            close,
            interval: args.breaker_interval,
            bulk: args.bulk.is_some_and(|lines| lines > 1),
        }),
    };
    report::write(folder, &run, timeline, &parameters(args, summary), summary)?;
    Ok(())
}

/// The parameters of the run, for its report.
fn parameters(args: &LoadArgs, summary: &Summary) -> serde_json::Value {
    let range = |first: &dyn Display, last: &dyn Display| format!("{first}-{last}");
    serde_json::json!({
        "target": summary.target,
        "seed": summary.seed,
        "rides": args.rides,
        "duration_s": args.duration.map(|time| time.as_secs_f64()),
        "rate_per_s": args.rate,
        "profile": args.profile.as_ref().map(ToString::to_string),
        "threads": summary.connections,
        "reads_share": args.reads,
        "bulk_lines": args.bulk,
        "resorts": range(args.resorts.start(), args.resorts.end()),
        "season": args.season,
        "days": range(args.days.start(), args.days.end()),
        "skiers": range(args.skiers.start(), args.skiers.end()),
        "lifts": range(args.lifts.start(), args.lifts.end()),
        "minutes": range(args.minutes.start(), args.minutes.end()),
        "breaker_open": args.breaker_open,
        "breaker_close": args.breaker_close,
        "breaker_interval_s": args.breaker_open.map(|_| args.breaker_interval.as_secs_f64()),
        "timeout_s": args.timeout.as_secs_f64(),
        "verify": args.verify,
        "fail_if": args.fail_if.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
