//! Options of every command that queries a console.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ValueEnum, ValueHint};

use super::ranges;
use crate::client::completion;

/// Console and output format; these options are accepted before and after a subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Console")]
pub(crate) struct ClientArgs {
    #[arg(long, global = true, help = "URL of the console, for example http://127.0.0.1:8081 or https://HOST", value_name = "URL", value_hint = ValueHint::Url, conflicts_with = "context")]
    pub(crate) server: Option<String>,
    /// File with the access token
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// File with trusted certificates, as PEM
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Context with the console to use: see `skictl context`
    #[arg(long, global = true, value_name = "NAME", add = completion::context())]
    pub(crate) context: Option<String>,
    /// Output format: table, json, or csv (only stats, audit, history and sweeps)
    #[arg(
        long,
        short,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(crate) output: Form,
}

/// Moves options of the console that stand before the command behind it: `skictl --context alps queue` is
/// `skictl queue --context alps`.
pub(super) fn behind_the_command(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let options = ClientArgs::augment_args(clap::Command::new("skictl"));
    let is_option = |word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        options.get_arguments().any(|of| {
            let is_long = of
                .get_long()
                .is_some_and(|long| name == format!("--{long}"));
            is_long
                || of
                    .get_short()
                    .is_some_and(|short| name == format!("-{short}"))
        })
    };
    let mut words = words.into_iter();
    let mut ordered: Vec<OsString> = words.by_ref().take(1).collect();
    let mut moved = Vec::new();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str().filter(|text| is_option(text)) else {
            ordered.push(word);
            break;
        };
        // Each of them has a value.
        let value = if text.contains('=') {
            None
        } else {
            words.next()
        };
        moved.push(word);
        moved.extend(value);
    }
    ordered.extend(moved);
    ordered.extend(words);
    ordered
}

/// Replaces the options that a command inherits from its group, in its help, by a line that says where they are explained.
pub(super) fn refer_to_group(command: clap::Command, group: &str) -> clap::Command {
    if !command.get_arguments().any(clap::Arg::is_global_set) {
        return command;
    }
    let see = format!("Options for console and output: skictl {group} --help");
    let after = match command.get_after_help() {
        Some(after) => format!("{after}\n\n{see}"),
        None => see,
    };
    command
        .after_help(after)
        .mut_args(|arg| match arg.is_global_set() {
            true => arg.hide(true),
            false => arg,
        })
        .mut_subcommands(|below| refer_to_group(below, group))
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Table,
    // One object on one line.
    Json,
    Csv,
}

/// Refresh interval of a view.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WatchArgs {
    /// Refresh every second, or at the given interval (100ms to 1h), for example `--watch=5s`
    #[arg(
        long,
        short,
        value_name = "TIME",
        num_args = 0..=1,
        // The next argument may be a subcommand.
        require_equals = true,
        default_missing_value = "1s",
        value_parser = interval()
    )]
    pub(crate) watch: Option<Duration>,
}

/// A refresh interval from 100ms to 1h.
pub(super) fn interval() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    ranges::time(Duration::from_millis(100)..=Duration::from_secs(3600))
}

/// Adds a hint to the error when the value of `--watch` is separated by a space.
pub(super) fn with_watch_hint(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let time = words.windows(2).find_map(|pair| {
        let time = pair[1].to_str()?;
        ((pair[0] == "--watch" || pair[0] == "-w") && interval()(time).is_ok()).then_some(time)
    });
    if let Some(time) = time
        && matches!(
            error.kind(),
            ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
        )
    {
        let tip = format!("use --watch={time}").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Confirmation of a change.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Confirmation")]
pub(crate) struct ConsentArgs {
    /// Show the plan and change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Apply a plan of moderate danger without a prompt
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Apply a severe plan without a prompt; NAME is the confirmation text that the plan shows
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Override a guard (admins only); REASON is recorded in the audit log
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) override_reason: Option<String>,
    /// Never prompt, even on a terminal
    #[arg(long)]
    pub(crate) no_input: bool,
}
