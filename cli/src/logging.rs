//! Logs: stderr, text on a terminal, else JSON, times in UTC, one line per event and none per ride.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The client library reports the same troubles as we do, in words for its developers.
const QUIET: [&str; 2] = ["lapin=off", "async_rs=off"];

/// Starts logging, by a filter such as `info` or `info,skilift_worker=debug`.
pub(crate) fn start(filter: &str) -> anyhow::Result<()> {
    let mut filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(filter)
        .with_context(|| format!("the log filter {filter:?} cannot be used; one looks like info or info,skilift_worker=debug"))?;
    if !filter.to_string().contains("lapin") {
        for directive in QUIET {
            filter = filter.add_directive(directive.parse()?);
        }
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if io::stderr().is_terminal() {
        lines.with_target(false).init();
    } else {
        lines.json().init();
    }
    Ok(())
}
