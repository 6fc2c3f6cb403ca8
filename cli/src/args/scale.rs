//! The command line of `skictl scale`, and the options of commands that wait for instances.

use std::time::Duration;

use clap::Args;
use skilift_console::view::change::{Change, Count, RoleCount, Scale, ScaledRole};
use skilift_core::control::setting;

use super::client::{ClientArgs, ConsentArgs};
use super::ranges;

/// Minimum similarity of a word to a role for a suggestion, as for clap's flags.
const SIMILAR: f64 = 0.7;
/// Roles of a stack that cannot be scaled.
const FIXED: [&str; 3] = ["broker", "redis", "console"];

/// Error message when the command line names no change.
const NOTHING: &str = "\
no change given: set the number of instances of a role (worker=4, api=+1, worker=-2) or the settings of their nodes \
(--threads, --prefetch, --batch, --channels)";

#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// Number of instances of a role, absolute or relative: worker=4, api=+1, worker=-2
    #[arg(value_name = "ROLE=N", value_parser = role_count)]
    pub(crate) roles: Vec<RoleCount>,
    /// Threads of each worker, each one AMQP channel and one Redis connection, 1 to 256
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::THREADS))]
    pub(crate) threads: Option<u32>,
    /// Maximum unacknowledged rides of a thread, 1 to 1000000
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::PREFETCH))]
    pub(crate) prefetch: Option<u32>,
    /// Maximum rides in a worker's batch, 1 to 100000
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::BATCH))]
    pub(crate) batch: Option<u32>,
    /// Publisher channels of each API node, each one AMQP channel, 1 to 64
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::CHANNELS))]
    pub(crate) channels: Option<u32>,
    /// Fail unless exactly N instances of the role are running or starting now, 0 to 256
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::WORKER_MIN))]
    pub(crate) expect_running: Option<u32>,
    #[command(flatten)]
    pub(crate) drain: DrainArgs,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

impl ScaleArgs {
    /// The requested change, or the usage error.
    pub(crate) fn change(&self) -> Result<Change, String> {
        let counts = &self.roles;
        let settings = [self.threads, self.prefetch, self.batch, self.channels];
        if counts.is_empty() && settings.iter().all(Option::is_none) {
            return Err(NOTHING.to_owned());
        }
        for role in [ScaledRole::Api, ScaledRole::Worker] {
            if counts.iter().filter(|count| count.role == role).count() > 1 {
                return Err(format!("{role} is given twice; give it once"));
            }
        }
        if self.expect_running.is_some() && counts.len() != 1 {
            return Err("--expect-running applies to one role: name exactly one role".to_owned());
        }
        if counts.is_empty() && self.drain != DrainArgs::default() {
            return Err(
                "--allow-zero, --drain-timeout and --stop-anyway apply to instances that are stopped: name a role".to_owned(),
            );
        }
        self.wait.check()?;
        Ok(Change::Scale(Scale {
            roles: counts.clone(),
            threads: self.threads,
            prefetch: self.prefetch,
            batch: self.batch,
            channels: self.channels,
            expect_running: self.expect_running,
            ..self.drain.scale()
        }))
    }
}

/// How instances are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Stopping")]
pub(crate) struct DrainArgs {
    /// Allow stopping the last instance of a role; the plan then requires its name as confirmation
    #[arg(long)]
    allow_zero: bool,
    /// Maximum time for a node to drain before its instance is stopped, 1s to 1h [default: 2m]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::drain_s)]
    drain_timeout: Option<u32>,
    /// Stop an instance even if its node has not drained in time; otherwise the node resumes work
    #[arg(long)]
    stop_anyway: bool,
}

impl DrainArgs {
    /// A change with these options and without any role.
    pub(crate) fn scale(self) -> Scale {
        Scale {
            allow_zero: self.allow_zero,
            drain_timeout_s: self.drain_timeout,
            stop_anyway: self.stop_anyway,
            ..Scale::default()
        }
    }
}

/// How long a command waits for the operation that it started.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WaitArgs {
    /// Wait until the operation ends, and show the progress of each instance
    #[arg(long)]
    pub(crate) wait: bool,
    /// Maximum time to wait, 1s to 24h; after it the operation continues, and the exit code is 7
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::from_secs(1)..=Duration::from_secs(86_400)))]
    pub(crate) timeout: Option<Duration>,
}

impl WaitArgs {
    /// Rejects a timeout when the command does not wait.
    pub(crate) fn check(self) -> Result<(), String> {
        if self.timeout.is_some() && !self.wait {
            return Err("--timeout requires --wait".to_owned());
        }
        Ok(())
    }
}

/// Parses `worker=4`, `api=+1`, `worker=-2`.
fn role_count(text: &str) -> Result<RoleCount, String> {
    let Some((role, count)) = text.split_once('=') else {
        return Err(
            "expected ROLE=N, ROLE=+N or ROLE=-N, for example worker=4, api=+1 or worker=-2"
                .to_owned(),
        );
    };
    Ok(RoleCount {
        role: scaled_role(role)?,
        count: self::count(count)?,
    })
}

/// Parses the name of a role that can be scaled.
fn scaled_role(name: &str) -> Result<ScaledRole, String> {
    let roles = [ScaledRole::Api, ScaledRole::Worker];
    if let Some(role) = roles.into_iter().find(|role| role.to_string() == name) {
        return Ok(role);
    }
    if FIXED.contains(&name) {
        return Err(format!(
            "{name} cannot be scaled; roles that can be scaled: api and worker"
        ));
    }
    let similar = roles
        .into_iter()
        .map(|role| (strsim::jaro(&name.to_lowercase(), &role.to_string()), role))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    let hint = similar.map_or_else(
        || "the roles are api and worker".to_owned(),
        |(_, role)| format!("did you mean {role}?"),
    );
    Err(format!("unknown role {name:?}: {hint}"))
}

fn count(text: &str) -> Result<Count, String> {
    let number = |digits: &str| {
        // A second sign is not a digit.
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("expected a number after `=`: 4, +1 or -2".to_owned());
        }
        ranges::setting::<u32>(&setting::WORKER_MIN)(digits)
    };
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return number(text).map(Count::To),
    };
    match number(digits)? {
        0 => Err(format!(
            "{text} changes nothing: give a number other than 0"
        )),
        // The range fits into 31 bits.
        by => Ok(Count::By(sign * by as i32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_absolute_or_relative() {
        let (api, worker) = (ScaledRole::Api, ScaledRole::Worker);
        for (text, role, count) in [
            ("worker=4", worker, Count::To(4)),
            ("worker=0", worker, Count::To(0)),
            ("api=256", api, Count::To(256)),
            ("api=+1", api, Count::By(1)),
            ("worker=-2", worker, Count::By(-2)),
        ] {
            assert_eq!(role_count(text), Ok(RoleCount { role, count }), "{text}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_said() {
        for (text, says) in [
            ("worker", "expected ROLE=N, ROLE=+N or ROLE=-N"),
            ("4", "expected ROLE=N"),
            ("worker=", "expected a number after `=`"),
            ("worker=four", "expected a number after `=`"),
            ("worker=++1", "expected a number after `=`"),
            ("worker=+-1", "expected a number after `=`"),
            ("worker=+", "expected a number after `=`"),
            ("worker=1.5", "must be 0 to 256 instances"),
            ("worker=257", "must be 0 to 256 instances"),
            ("worker=-257", "must be 0 to 256 instances"),
            ("worker=99999999999999999999", "must be 0 to 256 instances"),
            ("worker=+0", "+0 changes nothing"),
            ("worker=-0", "-0 changes nothing"),
            ("workers=4", "did you mean worker?"),
            ("wroker=4", "did you mean worker?"),
            ("Worker=4", "did you mean worker?"),
            ("apis=4", "did you mean api?"),
            (
                "lift=4",
                "unknown role \"lift\": the roles are api and worker",
            ),
            ("=4", "unknown role \"\": the roles are"),
            ("broker=2", "broker cannot be scaled"),
            ("console=2", "console cannot be scaled"),
        ] {
            let error = role_count(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
