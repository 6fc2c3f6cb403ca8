//! The options of `skictl load`. They are flags alone: a run is described where it is started.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum, ValueHint};
use skilift_core::ride::{Day, LiftId, Minute, ResortId, Season, SkierId};
use skilift_load::pace::Profile;
use skilift_load::target::Target;
use skilift_load::threshold::Threshold;
use skilift_load::workload::parse_range;

/// What the exit code says, for the end of `--help`.
pub(super) const EXIT_CODES: &str = "\
Ranges are N (from 1 to N) or A-B. See docs/load.md for what each figure means.

Exit codes:
  0    done
  1    nothing could be sent, nothing succeeded, or the target stopped answering
  2    usage: the command line cannot be meant
  8    a --fail-if condition holds
  130  interrupted";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("length").required(true).args(["rides", "duration", "profile"]))]
pub(crate) struct LoadArgs {
    /// The server, as http://HOST:PORT, a path prefix allowed
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) target: Target,
    /// End when so many rides are sent
    #[arg(long, value_name = "N")]
    pub(crate) rides: Option<u64>,
    /// End after so long
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Requests a second over time, linear between the points; sets the length, too
    #[arg(long, value_name = "TIME:RATE,..", conflicts_with = "rate")]
    pub(crate) profile: Option<Profile>,
    /// Open loop: send so many requests a second, whatever the server does [default: closed loop, each thread waits for its answer]
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Connections, each with one request at a time [default: 64; with a rate at most as many as answers of 50 ms need, 64 to 1024]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Share of requests that read: day verticals, season verticals and skiers of a resort day, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) reads: f64,
    /// Rides in a request, as lines of the bulk endpoint [default: one ride, posted to its skier's day]
    #[arg(long, value_name = "N")]
    pub(crate) bulk: Option<u64>,
    /// Resorts
    #[arg(long, value_name = "RANGE", default_value = "10", value_parser = parse_range::<ResortId>)]
    pub(crate) resorts: RangeInclusive<ResortId>,
    /// Season
    #[arg(long, value_name = "YEAR", default_value = "2025")]
    pub(crate) season: Season,
    /// Days of the season
    #[arg(long, value_name = "RANGE", default_value = "3", value_parser = parse_range::<Day>)]
    pub(crate) days: RangeInclusive<Day>,
    /// Skiers
    #[arg(long, value_name = "RANGE", default_value = "100000", value_parser = parse_range::<SkierId>)]
    pub(crate) skiers: RangeInclusive<SkierId>,
    /// Lifts of each resort
    #[arg(long, value_name = "RANGE", default_value = "40", value_parser = parse_range::<LiftId>)]
    pub(crate) lifts: RangeInclusive<LiftId>,
    /// Minutes of each day
    #[arg(long, value_name = "RANGE", default_value = "360", value_parser = parse_range::<Minute>)]
    pub(crate) minutes: RangeInclusive<Minute>,
    /// Repeat the run that printed this seed [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Stop sending when an interval counts more rides and reads than this
    #[arg(long, value_name = "N", requires = "breaker_close")]
    pub(crate) breaker_open: Option<u64>,
    /// Send again when an interval counted fewer than this
    #[arg(long, value_name = "N", requires = "breaker_open")]
    pub(crate) breaker_close: Option<u64>,
    /// The interval in which the breaker counts
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration, requires = "breaker_open")]
    pub(crate) breaker_interval: Duration,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Ask for every accepted ride afterwards: count those that are lost, wrong, pending or foreign
    #[arg(long)]
    pub(crate) verify: bool,
    /// How long to go on asking without progress
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration, requires = "verify")]
    pub(crate) verify_timeout: Duration,
    /// Exit with 8 when this holds, as "p99>50ms", "lost>0" or "errors>=1%"; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<Threshold>,
    /// Write plots, a CSV and JSON of the run into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) report: Option<PathBuf>,
    /// Form of the summary on stdout
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}
