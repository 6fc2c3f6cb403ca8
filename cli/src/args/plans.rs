//! The command line of `skictl plans`.

use clap::{Args, Subcommand};

use super::access::PasswordArgs;
use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::named;
use super::scale::WaitArgs;

#[derive(Debug, Args)]
pub(crate) struct PlansArgs {
    #[command(flatten)]
    pub(crate) list: PlanListArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<PlansCommand>,
}

/// Options of the list of plans.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlanListArgs {
    /// Maximum number of plans, 1 to 500, newest first [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=500))]
    pub(crate) limit: Option<u64>,
    /// Only plans that are older than this one
    #[arg(long, value_name = "PLAN")]
    pub(crate) before: Option<String>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlansCommand {
    /// Show the newest plans (default)
    List(PlanListArgs),
    /// Show a plan, and its outcome or progress; with --wait, exit with its result
    Show {
        /// ID of the plan, see `skictl plans`
        #[arg(value_name = "PLAN", value_parser = named("the ID of a plan, see `skictl plans`"))]
        plan: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Apply a plan that was created with --dry-run, in the web console or by another user
    Apply {
        /// ID of the plan, see `skictl plans`
        #[arg(value_name = "PLAN", value_parser = named("the ID of a plan, see `skictl plans`"))]
        plan: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Cancel a plan: no further step begins, what is done stays done, and draining nodes resume work
    Cancel {
        /// ID of the plan, see `skictl plans`
        #[arg(value_name = "PLAN", value_parser = named("the ID of a plan, see `skictl plans`"))]
        plan: String,
    },
}
