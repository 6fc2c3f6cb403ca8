//! The command line of `skictl rehearse`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use skilift_core::stack::StackName;

use crate::config::listen;

/// What the files are for, for the end of the help.
pub(super) const FAULTS: &str = "\
Without --config no node runs on the instances, and a start fails after five minutes because no node sends heartbeats. \
docs/operations.md describes the scenario file; its faults and capacity are reloaded when it changes.";

#[derive(Debug, Subcommand)]
pub(crate) enum RehearseCommand {
    /// Serve a scripted EC2 on this machine, to try scaling and its failures without an AWS account
    #[command(after_help = FAULTS)]
    Ec2(RehearseEc2Args),
}

#[derive(Debug, Args)]
pub(crate) struct RehearseEc2Args {
    /// Listen address; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000", value_parser = listen::parse)]
    pub(crate) listen: SocketAddr,
    /// Scenario file (TOML): instances, timings, capacity and faults [default: 3 API and 6 worker instances, 2 of each running; broker, Redis and console; no faults]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) faults: Option<PathBuf>,
    /// Stack that the instances belong to
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    pub(crate) stack: StackName,
    /// Run a node for each running API and worker instance, with this configuration file; use a RabbitMQ and Redis that hold no production data
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}
