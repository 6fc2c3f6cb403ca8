//! `skictl scale`: how many machines run, and how their nodes work.

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
    // What cannot be meant is said before a console is looked for.
    let change = args.change().map_err(ClientError::Usage)?;
    let client = Client::new(&args.client)?;
    let mut changing = client.change(WatchArgs::default(), &args.consent)?;
    changing.patience = args.wait.into();
    changing.carry_out(change).await
}
