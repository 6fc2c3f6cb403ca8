//! What can be measured alone. A part that fails is a row of the table, and the others are measured all the same.

use clap::ValueEnum;

use crate::setup::{Programs, Setup};
use crate::table::Table;
use crate::{control, drain, embedded, fleet, requests};

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// POST and GET as shares of the ceiling, CPU per ride, memory.
    Requests,
    /// Bulk ingest, and a worker from a full queue.
    Bulk,
    /// What heartbeats and a console cost, and how fast `skictl` answers.
    Console,
    /// Scaling in under load, and a plan beside many instances.
    Fleet,
    /// `skictl up` on a data directory.
    DataDirectory,
}

/// Measures these parts, or all of them when none is named, and returns how many failed.
pub(crate) async fn measure(
    parts: &[Part],
    this: &Programs,
    base: Option<&Programs>,
    table: &mut Table,
) -> usize {
    let parts = if parts.is_empty() {
        Part::value_variants()
    } else {
        parts
    };
    let mut setup = None;
    let mut failed = 0;
    for &part in parts {
        if let Err(error) = part.measure(&mut setup, this, base, table).await {
            table.failed(part, &error);
            failed += 1;
            // The next part gets servers and processes of its own.
            setup = None;
        }
    }
    failed
}

impl Part {
    async fn measure(
        self,
        setup: &mut Option<Setup>,
        this: &Programs,
        base: Option<&Programs>,
        table: &mut Table,
    ) -> anyhow::Result<()> {
        let setup = match setup {
            Some(setup) => setup,
            None => setup.insert(Setup::start(this).await?),
        };
        match self {
            Self::Requests => {
                let base = match base {
                    Some(programs) => Some(Setup::start(programs).await?),
                    None => None,
                };
                requests::measure(setup, base.as_ref(), table).await
            }
            Self::Bulk => drain::measure(setup, table).await,
            Self::Console => control::measure(setup, table).await,
            Self::Fleet => fleet::measure(setup, table).await,
            Self::DataDirectory => embedded::measure(setup, base, table).await,
        }
    }
}
