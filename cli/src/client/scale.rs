//! `skictl scale`: number of instances and settings of their nodes.

use super::Client;
use super::error::ClientError;
use crate::args::client::WatchArgs;
use crate::args::scale::ScaleArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &ScaleArgs) -> anyhow::Result<Exit> {
    // Usage errors are reported before the console is selected.
    let change = args.change().map_err(ClientError::Usage)?;
    let client = Client::new(&args.client)?;
    let mut changing = client.change(WatchArgs::default(), &args.consent)?;
    changing.patience = args.wait.into();
    changing.carry_out(change).await
}
