//! Logs: stderr, text on a terminal, else JSON, times in UTC, one line per event and none per ride.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use anyhow::Context;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// These libraries report the same troubles as we do, in words for their developers. Only fjall has threads of its own, of
/// whose failure we learn that there was one, and not why.
const QUIET: [(&str, &str); 4] = [
    ("lapin", "off"),
    ("async_rs", "off"),
    ("fjall", "error"),
    ("lsm_tree", "off"),
];

/// What stands at the foot of the terminal: lines of the log go above it.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Stderr, above the bars.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// How the lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogFormat {
    /// As text where somebody sees it.
    pub(crate) fn of_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Starts logging, by a filter such as `info` or `info,skilift_worker=debug`. A child process is told how its parent logs,
/// for its own stderr leads there.
pub(crate) fn start(filter: &str, of_parent: Option<LogFormat>) -> anyhow::Result<()> {
    let mut filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(filter)
        .with_context(|| format!("the log filter {filter:?} cannot be used; one looks like info or info,skilift_worker=debug"))?;
    let given = filter.to_string();
    for (library, level) in QUIET {
        if !given.contains(library) {
            filter = filter.add_directive(format!("{library}={level}").parse()?);
        }
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Who cannot write to stderr can complain nowhere: the attempt would panic, and a node whose reader has gone must drain.
        .log_internal_errors(false);
    match of_parent {
        Some(LogFormat::Text) => {
            let plain = lines.with_ansi(false).with_target(false);
            plain.with_writer(io::stderr).init();
        }
        None if LogFormat::of_stderr() == LogFormat::Text => {
            lines.with_writer(|| AboveBars).with_target(false).init();
        }
        _ => lines.with_writer(io::stderr).json().init(),
    }
    Ok(())
}
