//! The options of `skictl load`, which are flags only: the command line describes the complete run.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum, ValueHint};
use skilift_core::ride::{Day, LiftId, Minute, ResortId, Season, SkierId};
use skilift_load::http::{HeaderName, HeaderValue};
use skilift_load::pace::Profile;
use skilift_load::target::Target;
use skilift_load::threshold::Threshold;
use skilift_load::workload::parse_range;

/// The exit codes, for the end of `--help`.
pub(super) const EXIT_CODES: &str = "\
Ranges are N (from 1 to N) or A-B. See docs/load.md for the meaning of each figure.

Exit codes:
  0    done
  1    no request could be sent, none succeeded, or the target stopped responding
  2    usage error: invalid command line
  8    a --fail-if condition is met
  130  interrupted";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("length").required(true).args(["rides", "duration", "profile"]))]
pub(crate) struct LoadArgs {
    /// URL of the server, for example http://HOST:PORT, optionally with a path prefix
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) target: Target,
    /// Stop after N rides
    #[arg(long, value_name = "N")]
    pub(crate) rides: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Requests per second over time, linear between the points; also sets the length of the run
    #[arg(long, value_name = "TIME:RATE,..", conflicts_with = "rate")]
    pub(crate) profile: Option<Profile>,
    /// Open loop: send R requests per second regardless of responses [default: closed loop, each thread waits for its response]
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Connections, each with one request at a time [default: 64; with a rate at most as many as needed for responses of 50 ms, 64 to 1024]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Share of reads (day verticals, season verticals and skiers of a resort day), 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) reads: f64,
    /// Rides per request, sent to the bulk endpoint [default: one ride, posted to its skier's day]
    #[arg(long, value_name = "N")]
    pub(crate) bulk: Option<u64>,
    /// Resort IDs
    #[arg(long, value_name = "RANGE", default_value = "10", value_parser = parse_range::<ResortId>)]
    pub(crate) resorts: RangeInclusive<ResortId>,
    /// Season
    #[arg(long, value_name = "YEAR", default_value = "2025")]
    pub(crate) season: Season,
    /// Days of the season
    #[arg(long, value_name = "RANGE", default_value = "3", value_parser = parse_range::<Day>)]
    pub(crate) days: RangeInclusive<Day>,
    /// Skier IDs
    #[arg(long, value_name = "RANGE", default_value = "100000", value_parser = parse_range::<SkierId>)]
    pub(crate) skiers: RangeInclusive<SkierId>,
    /// Lift IDs of each resort
    #[arg(long, value_name = "RANGE", default_value = "40", value_parser = parse_range::<LiftId>)]
    pub(crate) lifts: RangeInclusive<LiftId>,
    /// Minutes of each day
    #[arg(long, value_name = "RANGE", default_value = "360", value_parser = parse_range::<Minute>)]
    pub(crate) minutes: RangeInclusive<Minute>,
    /// Seed of the random generator, to repeat a previous run [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Open the circuit breaker (stop sending) when an interval has more than N rides and reads
    #[arg(long, value_name = "N", requires = "breaker_close")]
    pub(crate) breaker_open: Option<u64>,
    /// Close the circuit breaker (resume sending) when an interval has fewer than N rides and reads
    #[arg(long, value_name = "N", requires = "breaker_open")]
    pub(crate) breaker_close: Option<u64>,
    /// Counting interval of the circuit breaker
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration, requires = "breaker_open")]
    pub(crate) breaker_interval: Duration,
    /// File with an ingest key, which is sent with each request
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ingest_key_file: Option<PathBuf>,
    /// Header of each request, for example 'X-Request-Source: test'; repeatable
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(HeaderName, HeaderValue)>,
    /// Timeout of a request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Read every accepted ride afterwards, and count the lost, wrong, pending and foreign ones
    #[arg(long)]
    pub(crate) verify: bool,
    /// Stop the verification after this time without progress
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration, requires = "verify")]
    pub(crate) verify_timeout: Duration,
    /// Exit with 8 if this condition is met, for example "p99>50ms", "lost>0" or "errors>=1%"; repeatable
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<Threshold>,
    /// Write plots, a CSV file and a JSON file of the run to this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) report: Option<PathBuf>,
    /// Run as a child of a console: end like after Ctrl-C when stdin closes
    #[arg(long, hide = true)]
    pub(crate) stop_at_eof: bool,
    /// Output format of the summary
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,
}

/// Parses `Name: value`.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("expected NAME: VALUE, for example 'X-Request-Source: test'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|error| format!("invalid name: {error}"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|error| format!("invalid value: {error}"))?;
    Ok((name, value))
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}
