//! The command line of `skictl doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use serde::Serialize;

use super::store::{ArchiveArgs, StoreArgs};
use super::{CommonArgs, ManagementArgs, PublicArgs};
use crate::config::listen;

pub(crate) const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0    no failed check (warnings are possible)
  2    usage error: invalid command line or configuration
  4    a check failed: something must be fixed";

#[derive(Debug, Args, Serialize)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(flatten)]
    public: PublicArgs,
    /// Listen address of the console's admin API [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR", value_parser = listen::parse)]
    #[serde(skip_serializing_if = "Option::is_none")]
    console_listen: Option<SocketAddr>,
    /// Data directory [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    management: ManagementArgs,
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    #[serde(flatten)]
    archive: ArchiveArgs,
    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    #[serde(skip)]
    pub(crate) output: ReportForm,
}

/// Output formats of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    Table,
    // One object on one line.
    Json,
}
