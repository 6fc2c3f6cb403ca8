//! `skictl scale`: number of instances and settings of their nodes.

use super::Client;
use super::error::ClientError;
use super::follow::Patience;
use crate::args::client::WatchArgs;
use crate::args::scale::ScaleArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &ScaleArgs) -> anyhow::Result<Exit> {
    if let Some(plan) = &args.follow {
        let client = Client::new(&args.client)?;
        let mut changing = client.change(WatchArgs::default(), &args.consent)?;
        changing.patience = Patience::of_timeout(args.wait.timeout);
        return changing.follow(plan).await;
    }
    // Usage errors are reported before the console is selected.
    let change = args.change().map_err(ClientError::Usage)?;
    let client = Client::new(&args.client)?;
    let mut changing = client.change(WatchArgs::default(), &args.consent)?;
    changing.patience = args.wait.into();
    changing.carry_out(change).await
}
