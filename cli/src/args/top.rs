//! The command line of `skictl top`.

use std::time::Duration;

use clap::Args;

use super::client::{ClientArgs, interval};

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// How often it is refreshed, 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval())]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// The keys, for the end of `--help`.
pub(super) const KEYS: &str = "\
Keys:
  q, Esc, Ctrl-C   quit
  s                sort the nodes by the next column
  r                reverse the order
  p, space         pause, and go on
  arrows, PgUp, PgDn, Home, End   scroll the nodes";
