//! `make bench`: the table of figures, everything on one machine, on private RabbitMQ and Redis.
//!
//! - `setup`: servers, `skictl` processes and the ceiling. `preload`: a store as it is in mid-season.
//! - `wrk`: the client. `usage`: CPU time and memory of processes.
//! - `load`: our own client beside wrk.
//! - `requests`: rates of POST and GET as shares of the ceiling, in interleaved rounds. `drain`: bulk ingest, and the
//!   worker from a full queue.
//! - `embedded`: the same questions of `skictl up` on a data folder of ten million rides.
//! - `control`: what operating costs, and how fast it is.
//! - `table`: medians with their ranges.

mod control;
mod drain;
mod embedded;
mod load;
mod preload;
mod requests;
mod setup;
mod table;
mod usage;
mod wrk;

use std::process::ExitCode;

use crate::setup::Setup;
use crate::table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    match bench().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> anyhow::Result<()> {
    let mut table = Table::default();
    let mut setup = Setup::start().await?;
    preload::preload(&setup, &mut table).await?;
    requests::measure(&mut setup, &mut table).await?;
    drain::measure(&mut setup, &mut table).await?;
    control::measure(&setup, &mut table).await?;
    embedded::measure(&setup, &mut table).await?;
    table.print();
    Ok(())
}
