//! The `skictl` command of a change.

use std::fmt::Display;

use super::change::{Change, Count, DeadLetterSelection, Scale, SeasonDays};
use super::settings::Section;

/// A command line that is put together from words.
struct Line(String);

impl Line {
    fn new(command: &str) -> Self {
        Self(format!("skictl {command}"))
    }

    /// Adds a word, in quotes if a shell would split or change it.
    fn word(mut self, word: impl Display) -> Self {
        let word = word.to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/=+@%".contains(c);
        self.0.push(' ');
        if !word.is_empty() && word.chars().all(is_plain) {
            self.0 += &word;
        } else {
            self.0 += &format!("'{}'", word.replace('\'', r"'\''"));
        }
        self
    }

    /// Adds an option, if it has a value.
    fn option(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.word(format!("--{name}")).word(value),
            None => self,
        }
    }

    fn flag(self, name: &str, is_set: bool) -> Self {
        if is_set {
            self.word(format!("--{name}"))
        } else {
            self
        }
    }

    fn words(self, words: impl IntoIterator<Item = impl Display>) -> Self {
        words.into_iter().fold(self, Self::word)
    }
}

/// Adds days of a season.
fn of_days(line: Line, days: &SeasonDays) -> Line {
    let (first, last) = (days.first_day, days.last_day);
    let days_of = if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    };
    line.option("resort", Some(days.resort))
        .option("season", Some(&days.season))
        .option("days", Some(days_of))
}

impl Change {
    /// The `skictl` command that plans the same change.
    #[must_use]
    pub fn command(&self) -> String {
        let line = match self {
            Self::SetWorker {
                threads,
                prefetch,
                batch,
                linger_ms,
                if_version,
            } => Line::new("settings set worker")
                .option("threads", *threads)
                .option("prefetch", *prefetch)
                .option("batch", *batch)
                .option("linger", linger_ms.map(|ms| format!("{ms}ms")))
                .option("if-version", *if_version),
            Self::SetApi {
                channels,
                message_rides,
                max_in_flight,
                if_version,
            } => Line::new("settings set api")
                .option("channels", *channels)
                .option("message-rides", *message_rides)
                .option("max-in-flight", *max_in_flight)
                .option("if-version", *if_version),
            Self::SetIngest { keys, if_version } => Line::new("settings set ingest")
                .word(if *keys { "keys" } else { "open" })
                .option("if-version", *if_version),
            Self::SetFleet {
                worker_min,
                worker_max,
                api_min,
                api_max,
                if_version,
            } => Line::new("settings set fleet")
                .option("worker-min", *worker_min)
                .option("worker-max", *worker_max)
                .option("api-min", *api_min)
                .option("api-max", *api_max)
                .option("if-version", *if_version),
            Self::Scale(scale) => of_scale(scale),
            Self::Rollback { section, version } => Line::new("settings rollback")
                .word(match section {
                    Section::Worker => "worker",
                    Section::Api => "api",
                    Section::Ingest => "ingest",
                    Section::Fleet => "fleet",
                })
                .option("to", *version),
            Self::Pause { for_s } => {
                Line::new("queue pause").option("for", for_s.map(|s| format!("{s}s")))
            }
            Self::Resume => Line::new("queue resume"),
            Self::Drain { node } => Line::new("nodes drain").word(node),
            Self::Undrain { node } => Line::new("nodes undrain").word(node),
            Self::Forget { node } => Line::new("nodes forget").word(node),
            Self::Replay {
                dead_letters,
                per_s,
            } => selected(Line::new("queue dead replay"), dead_letters).option("rate", *per_s),
            Self::Discard { dead_letters } => {
                selected(Line::new("queue dead discard"), dead_letters)
            }
            Self::Acknowledge { alarm, reason } => Line::new("status acknowledge")
                .word(alarm)
                .option("reason", reason.as_ref()),
            Self::Repair {
                resort,
                season,
                day,
            } => Line::new("repair")
                .option("resort", Some(resort))
                .option("season", Some(season))
                .option("day", Some(day)),
            Self::Archive(days) => of_days(Line::new("archive run"), days),
            Self::Restore(days) => of_days(Line::new("archive restore"), days),
            Self::AddUser { name, role } => {
                Line::new("users add").word(name).option("role", Some(role))
            }
            Self::SetPassword { name } => Line::new("users password").word(name),
            Self::SetRole { name, role } => Line::new("users role").word(name).word(role),
            Self::RemoveUser { name } => Line::new("users remove").word(name),
            Self::AddToken {
                name,
                role,
                expires_in_s,
            } => Line::new("tokens add")
                .word(name)
                .option("role", Some(role))
                .option("expires-in", Some(format!("{expires_in_s}s"))),
            Self::RevokeToken { id } => Line::new("tokens revoke").word(id),
            Self::AddKey { name, resorts } => {
                let resorts = resorts.as_ref().map(|resorts| {
                    let resorts: Vec<String> = resorts.iter().map(ToString::to_string).collect();
                    resorts.join(",")
                });
                Line::new("keys add").word(name).option("resort", resorts)
            }
            Self::RevokeKey { id } => Line::new("keys revoke").word(id),
        };
        line.0
    }
}

fn selected(line: Line, letters: &DeadLetterSelection) -> Line {
    match letters {
        DeadLetterSelection::Ids(ids) => line.words(ids),
        DeadLetterSelection::Reason { text, .. } => line.option("reason", Some(text)),
        // A plan stores the number of the newest one, which a command cannot name.
        DeadLetterSelection::All | DeadLetterSelection::UpTo(_) => line.flag("all", true),
    }
}

fn of_scale(scale: &Scale) -> Line {
    let named = match (scale.start.is_empty(), scale.stop.is_empty()) {
        (false, true) if scale.roles.is_empty() => Some(Line::new("ec2 start").words(&scale.start)),
        (true, false) if scale.roles.is_empty() => Some(Line::new("ec2 stop").words(&scale.stop)),
        _ => None,
    };
    let line = named.unwrap_or_else(|| {
        Line::new("scale")
            .words(scale.roles.iter().map(|role| match role.count {
                Count::To(count) => format!("{}={count}", role.role),
                Count::By(count) => format!("{}={count:+}", role.role),
            }))
            .option("threads", scale.threads)
            .option("prefetch", scale.prefetch)
            .option("batch", scale.batch)
            .option("channels", scale.channels)
            .option("expect-running", scale.expect_running)
    });
    line.flag("allow-zero", scale.allow_zero)
        .option(
            "drain-timeout",
            scale.drain_timeout_s.map(|s| format!("{s}s")),
        )
        .flag("stop-anyway", scale.stop_anyway)
}
