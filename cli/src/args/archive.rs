//! The command line of `skictl archive`.

use clap::{Args, Subcommand};
use skilift_console::view::change::SeasonDays;
use skilift_core::ride::{Day, ResortId, Season};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: ArchiveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// List the archived days and the state of their files
    List(WatchArgs),
    /// Move days from Redis to files; days that are archived already are checked against theirs
    Run {
        #[command(flatten)]
        days: SeasonDaysArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Move archived days back to Redis; their files stay
    Restore {
        #[command(flatten)]
        days: SeasonDaysArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SeasonDaysArgs {
    /// Resort ID, 1 to 65535
    #[arg(long, value_name = "N")]
    resort: ResortId,
    /// Season, 1900 to 2999
    #[arg(long, value_name = "YEAR")]
    season: Season,
    /// Day of the season, or the first and the last one, for example 1-120
    #[arg(long, value_name = "DAYS", value_parser = first_and_last)]
    days: (Day, Day),
}

impl SeasonDaysArgs {
    pub(crate) fn read(self) -> SeasonDays {
        SeasonDays {
            resort: self.resort.get().into(),
            season: self.season.to_string(),
            first_day: self.days.0.get().into(),
            last_day: self.days.1.get().into(),
        }
    }
}

/// Reads "12" or "1-120".
fn first_and_last(text: &str) -> Result<(Day, Day), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let day = |text: &str| text.parse::<Day>().map_err(|error| error.to_string());
    let (first, last) = (day(first)?, day(last)?);
    if first > last {
        return Err(format!("the first day, {first}, is after the last, {last}"));
    }
    Ok((first, last))
}
