//! What every command has in common that asks a console.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ValueEnum, ValueHint};

use super::ranges;

/// Which console, and the form of the output. These stand on either side of a subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Console")]
pub(crate) struct ClientArgs {
    #[arg(long, global = true, help = "The console, as http://127.0.0.1:8081 or https://HOST", value_name = "URL", value_hint = ValueHint::Url, conflicts_with = "context")]
    pub(crate) server: Option<String>,
    /// File that holds the token to show
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// The console that goes by this name: see skictl context
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Form of what stands on stdout; csv for stats, audit and history
    #[arg(long, global = true, value_name = "FORM", default_value = "table")]
    pub(crate) output: Form,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Table,
    /// For programs: one object on one line
    Json,
    /// For spreadsheets
    Csv,
}

/// How often to look.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WatchArgs {
    /// Show it again and again, each second or as often as TIME says, 100ms to 1h, as --watch=5s
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        // What stands behind it may be a subcommand.
        require_equals = true,
        default_missing_value = "1s",
        value_parser = interval()
    )]
    pub(crate) watch: Option<Duration>,
}

/// An interval that neither hurries the console nor stands still.
fn interval() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    ranges::time(Duration::from_millis(100)..=Duration::from_secs(3600))
}

/// Adds how `--watch` takes its time to the error of who wrote it with a space.
pub(super) fn with_watch_hint(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let time = words.windows(2).find_map(|pair| {
        let time = pair[1].to_str()?;
        (pair[0] == "--watch" && interval()(time).is_ok()).then_some(time)
    });
    if let Some(time) = time
        && matches!(
            error.kind(),
            ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
        )
    {
        let tip = format!("write --watch={time}").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// How a change is agreed to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Consent")]
pub(crate) struct ConsentArgs {
    /// Show the plan and change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Apply a plan of moderate danger without asking
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Apply a severe plan without asking: the name that it wants to have typed, which the plan tells
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Apply although a guard refuses, where an admin may; the reason stands in the audit
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) override_reason: Option<String>,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    pub(crate) no_input: bool,
}
