//! `make bench`: the table of figures, everything on one machine, on private RabbitMQ and Redis.
//!
//! - `part`: what can be measured alone. `setup`: servers, `skictl` processes and the ceiling. `preload`: a store as it is in
//!   mid-season.
//! - `wrk`: the client. `usage`: CPU time and memory of processes. `machine`: how busy this machine is.
//! - `load`: our own client beside wrk.
//! - `requests`: rates of POST and GET as shares of the ceiling, in interleaved rounds. `drain`: bulk ingest, and the
//!   worker from a full queue.
//! - `embedded`: the same questions of `skictl up` on a data directory of ten million rides.
//! - `operator`: a console, and `skictl` against it. `control`: what operating costs, and how fast it is. `fleet`: scaling. `pages`: the web console.
//! - `table`: medians with their ranges.

mod control;
mod drain;
mod embedded;
mod fleet;
mod load;
mod machine;
mod operator;
mod pages;
mod part;
mod preload;
mod requests;
mod setup;
mod table;
mod usage;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::machine::Busy;
use crate::part::Part;
use crate::setup::Programs;
use crate::table::Table;

/// Measures Skilift and prints a table. Each row is printed as soon as it is measured.
#[derive(Parser)]
struct Arguments {
    /// What to measure [default: everything].
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,

    /// Directory of an earlier version's programs: `requests` and `data-directory` measure it beside this version, in turns.
    #[arg(long, value_name = "DIRECTORY")]
    base: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(Arguments::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("bench: parts that failed: {failed}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures each part, and says how many failed.
async fn bench(arguments: Arguments) -> anyhow::Result<usize> {
    let this = Programs::beside_this_one()?;
    let base = arguments.base.map(Programs::in_directory).transpose()?;
    let mut table = Table::default();
    table.note(&format!("before: {}", Busy::observe().await?));
    let failed = part::measure(&arguments.parts, &this, base.as_ref(), &mut table).await;
    table.note(&format!("after: {}", Busy::observe().await?));
    Ok(failed)
}
