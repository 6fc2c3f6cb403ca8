//! Logs on stderr: text on a terminal, else JSON; UTC times, one line per event, none per ride.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use anyhow::Context;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Log levels of libraries that report the same errors as we do. Only the threads of fjall fail without returning their
/// error, so its errors are logged.
const QUIET: [(&str, &str); 4] = [
    ("lapin", "off"),
    ("async_rs", "off"),
    ("fjall", "error"),
    ("lsm_tree", "off"),
];

/// Progress bars at the bottom of the terminal; log lines are printed above them.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Stderr, above the progress bars.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Log formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    // One object on each line.
    Json,
}

impl LogFormat {
    /// Text if stderr is a terminal, else JSON.
    pub(crate) fn of_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Starts logging with a filter such as `info` or `info,skilift_worker=debug`; a child process uses the format of its parent,
/// which relays its stderr.
pub(crate) fn start(filter: &str, of_parent: Option<LogFormat>) -> anyhow::Result<()> {
    let mut filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(filter)
        .with_context(|| {
            format!("invalid log filter {filter:?}; example: info or info,skilift_worker=debug")
        })?;
    let given = filter.to_string();
    for (library, level) in QUIET {
        if !given.contains(library) {
            filter = filter.add_directive(format!("{library}={level}").parse()?);
        }
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Errors of stderr are not reported: this would panic, but a node whose log reader is gone must still drain.
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
