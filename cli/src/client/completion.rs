//! Names that a shell completes: those of contexts, and of the nodes and users of the console that a command would query.
//!
//! Without an answer within a second there are none: who presses Tab does not wait, and reads no error.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::{ArgValueCompleter, CompletionCandidate};
use serde_json::Value;

use super::connection::{ApiRequest, Console};
use super::contexts::Contexts;
use super::server::Server;
use crate::args::client::{ClientArgs, Form};

/// How long the console may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Completes the name of a context.
pub(crate) fn context() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let contexts = Contexts::read().unwrap_or_default().contexts;
        starting_with(current, contexts.into_keys())
    })
}

/// Completes the name of a node.
pub(crate) fn node() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        starting_with(current, listed("nodes", "id").unwrap_or_default())
    })
}

/// Completes the name of a user.
pub(crate) fn user() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        starting_with(current, listed("users", "name").unwrap_or_default())
    })
}

fn starting_with(
    current: &OsStr,
    names: impl IntoIterator<Item = String>,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let names = names.into_iter();
    names
        .filter(|name| name.starts_with(&*current))
        .map(CompletionCandidate::new)
        .collect()
}

/// A field of everything in a list of the console.
fn listed(list: &str, field: &str) -> anyhow::Result<Vec<String>> {
    let args = ClientArgs {
        server: given("--server"),
        token_file: given("--token-file").map(Into::into),
        ca_file: given("--ca-file").map(Into::into),
        context: given("--context"),
        output: Form::Table,
    };
    let console = Console::new(&Server::choose(&args)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let request = ApiRequest::new([list]);
    let answer = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, console.get(&request)).await })??;
    let answer: Value = serde_json::from_str(&answer)?;
    let all = answer[list].as_array().into_iter().flatten();
    Ok(all
        .filter_map(|of| Some(of[field].as_str()?.to_owned()))
        .collect())
}

/// The value of an option on the command line so far.
fn given(option: &str) -> Option<String> {
    let mut words = std::env::args();
    while let Some(word) = words.next() {
        if word == option {
            return words.next();
        }
        let value = word.strip_prefix(option);
        if let Some(value) = value.and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}
