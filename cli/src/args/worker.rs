//! The command line of `skictl serve worker`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use skilift_core::control::setting;

use super::store::StoreArgs;
use super::{ChildArgs, CommonArgs, NodeArgs, ranges};

#[derive(Debug, Args, Serialize)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) tie: ChildArgs,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeArgs,
    /// Threads, each one AMQP channel and one Redis connection, 1 to 256 [default: 2]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::THREADS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u64>,
    /// Maximum unacknowledged rides of a thread, 1 to 1000000 [default: 4000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::PREFETCH))]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<u64>,
    /// Maximum rides in a batch, 1 to 100000 [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::BATCH))]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u64>,
    /// Maximum time that a batch waits for more rides, up to 10s [default: 25ms]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::ZERO..=ranges::LINGER))]
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde::option"
    )]
    linger: Option<Duration>,
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,
}
