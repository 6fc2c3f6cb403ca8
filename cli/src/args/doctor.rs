//! `skictl doctor`: looks at what a deployment stands on.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use serde::Serialize;

use super::{CommonArgs, ManagementArgs, PublicArgs};

pub(crate) const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0    all is well, though there may be warnings
  2    usage: the command line or the configuration cannot be meant
  4    something must be mended first";

#[derive(Debug, Args, Serialize)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(flatten)]
    public: PublicArgs,
    /// Address of the console's admin API [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    console_listen: Option<SocketAddr>,
    /// Folder for all data [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    management: ManagementArgs,
    /// Form of what stands on stdout
    #[arg(long, value_name = "FORM", default_value = "table")]
    #[serde(skip)]
    pub(crate) output: ReportForm,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// For people
    Table,
    /// For programs: one object on one line
    Json,
}
