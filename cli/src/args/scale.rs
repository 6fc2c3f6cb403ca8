//! The command line of `skictl scale`, and of all that waits for machines.

use std::time::Duration;

use clap::Args;
use skilift_console::view::change::{Change, Count, RoleCount, Scale, ScaledRole};

use super::client::{ClientArgs, ConsentArgs};
use super::{ranges, settings};

/// How similar a word must be to a role to be the one that was meant, as for clap's flags.
const SIMILAR: f64 = 0.7;
/// Roles of a stack that are neither started nor stopped.
const FIXED: [&str; 3] = ["broker", "redis", "console"];

/// What there is to say, where nothing was said.
const NOTHING: &str = "\
say how many machines of a role shall run (worker=4, api=+1, worker=-2) or how their nodes shall work (--threads, --prefetch, \
--batch, --lanes); --follow PLAN waits for a plan under way";

#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// How many machines of a role shall run, so many more, or so many fewer: worker=4, api=+1, worker=-2
    #[arg(value_name = "ROLE=N", value_parser = role_count)]
    pub(crate) roles: Vec<RoleCount>,
    /// Threads of each worker, each one AMQP channel and one Redis connection, 1 to 256
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = settings::setting(ranges::THREADS, "threads"))]
    pub(crate) threads: Option<u32>,
    /// Rides that a thread may hold unacknowledged, 1 to 1000000
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = settings::setting(ranges::PREFETCH, "rides"))]
    pub(crate) prefetch: Option<u32>,
    /// Rides at which a worker's batch is full, 1 to 100000
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = settings::setting(ranges::BATCH, "rides"))]
    pub(crate) batch: Option<u32>,
    /// Publisher lanes of each API node, each one AMQP channel, 1 to 64
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = settings::setting(ranges::LANES, "lanes"))]
    pub(crate) lanes: Option<u32>,
    /// Only if so many machines of the one role run or start now, 0 to 256
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = settings::setting(ranges::MACHINES, "machines"))]
    pub(crate) expect_running: Option<u32>,
    #[command(flatten)]
    pub(crate) drain: DrainArgs,
    /// Wait for a plan that is under way, whoever applied it, and end as it does
    #[arg(
        long,
        value_name = "PLAN",
        value_parser = ranges::named("a plan's id, as skictl ec2 and skictl audit show it"),
        conflicts_with_all = [
            "roles", "threads", "prefetch", "batch", "lanes", "expect_running", "allow_zero", "drain_timeout", "stop_anyway",
            "wait", "dry_run", "yes", "confirm", "override_reason",
        ]
    )]
    pub(crate) follow: Option<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

impl ScaleArgs {
    /// What is asked for, or why it cannot be meant.
    pub(crate) fn change(&self) -> Result<Change, String> {
        let counts = &self.roles;
        let settings = [self.threads, self.prefetch, self.batch, self.lanes];
        if counts.is_empty() && settings.iter().all(Option::is_none) {
            return Err(NOTHING.to_owned());
        }
        for role in [ScaledRole::Api, ScaledRole::Worker] {
            if counts.iter().filter(|count| count.role == role).count() > 1 {
                return Err(format!("{role} is named twice: say once how many"));
            }
        }
        if self.expect_running.is_some() && counts.len() != 1 {
            return Err(
                "--expect-running counts the machines of one role: name that role and no other"
                    .to_owned(),
            );
        }
        if counts.is_empty() && self.drain != DrainArgs::default() {
            return Err(
                "--allow-zero, --drain-timeout and --stop-anyway are for machines that are stopped: name a role".to_owned(),
            );
        }
        self.wait.check(false)?;
        Ok(Change::Scale(Scale {
            roles: counts.clone(),
            threads: self.threads,
            prefetch: self.prefetch,
            batch: self.batch,
            lanes: self.lanes,
            expect_running: self.expect_running,
            ..self.drain.scale()
        }))
    }
}

/// How machines are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Stopping")]
pub(crate) struct DrainArgs {
    /// Stop the last machine of a role, too; the plan then asks for its name
    #[arg(long)]
    allow_zero: bool,
    /// How long a node may take to finish what it has before its machine is stopped, 1s to 1h [default: 2m]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::drain_s)]
    drain_timeout: Option<u32>,
    /// Stop a machine although its node has not finished by then; otherwise that node goes on working
    #[arg(long)]
    stop_anyway: bool,
}

impl DrainArgs {
    /// A change that stops machines so, and names none.
    pub(crate) fn scale(self) -> Scale {
        Scale {
            allow_zero: self.allow_zero,
            drain_timeout_s: self.drain_timeout,
            stop_anyway: self.stop_anyway,
            ..Scale::default()
        }
    }
}

/// How long a command waits for what it began.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WaitArgs {
    /// Wait until it ends, and say meanwhile how far each machine is
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this, 1s to 24h; what is under way then goes on, and the exit code is 7
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::from_secs(1)..=Duration::from_secs(86_400)))]
    pub(crate) timeout: Option<Duration>,
}

impl WaitArgs {
    /// Refuses a timeout of what is not waited for.
    pub(crate) fn check(self, follows: bool) -> Result<(), String> {
        if self.timeout.is_some() && !self.wait && !follows {
            return Err("--timeout is for what is waited for: say --wait, too".to_owned());
        }
        Ok(())
    }
}

/// Reads `worker=4`, `api=+1`, `worker=-2`.
fn role_count(text: &str) -> Result<RoleCount, String> {
    let Some((role, count)) = text.split_once('=') else {
        return Err(
            "write ROLE=N, ROLE=+N or ROLE=-N, as worker=4, api=+1 or worker=-2".to_owned(),
        );
    };
    Ok(RoleCount {
        role: scaled_role(role)?,
        count: self::count(count)?,
    })
}

/// Reads the name of a role that can be scaled.
fn scaled_role(name: &str) -> Result<ScaledRole, String> {
    let roles = [ScaledRole::Api, ScaledRole::Worker];
    if let Some(role) = roles.into_iter().find(|role| role.to_string() == name) {
        return Ok(role);
    }
    if FIXED.contains(&name) {
        return Err(format!(
            "{name} is not scaled: the roles that are, are api and worker"
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
    Err(format!("there is no role {name:?} to scale: {hint}"))
}

fn count(text: &str) -> Result<Count, String> {
    let number = |digits: &str| {
        // A second sign is no digit.
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("behind = stands a number: 4, +1 or -2".to_owned());
        }
        ranges::count(ranges::MACHINES, "machines")(digits).map(|number| number as u32)
    };
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return number(text).map(Count::To),
    };
    match number(digits)? {
        0 => Err(format!(
            "{text} changes nothing: say how many more or fewer, or how many"
        )),
        // The range is far within 31 bits.
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
            ("worker", "write ROLE=N, ROLE=+N or ROLE=-N"),
            ("4", "write ROLE=N"),
            ("worker=", "behind = stands a number"),
            ("worker=four", "behind = stands a number"),
            ("worker=++1", "behind = stands a number"),
            ("worker=+-1", "behind = stands a number"),
            ("worker=+", "behind = stands a number"),
            ("worker=1.5", "it must be from 0 to 256 machines"),
            ("worker=257", "it must be from 0 to 256 machines"),
            ("worker=-257", "it must be from 0 to 256 machines"),
            ("worker=99999999999999999999", "from 0 to 256 machines"),
            ("worker=+0", "+0 changes nothing"),
            ("worker=-0", "-0 changes nothing"),
            ("workers=4", "did you mean worker?"),
            ("wroker=4", "did you mean worker?"),
            ("Worker=4", "did you mean worker?"),
            ("apis=4", "did you mean api?"),
            (
                "lift=4",
                "no role \"lift\" to scale: the roles are api and worker",
            ),
            ("=4", "no role \"\" to scale: the roles are"),
            ("broker=2", "broker is not scaled"),
            ("console=2", "console is not scaled"),
        ] {
            let error = role_count(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
