//! The command line of `skictl config`.

use clap::Subcommand;

use super::doctor::DoctorArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show each value of the configuration and where it comes from: a flag, a variable, the file, or the default
    Show(Box<DoctorArgs>),
}
