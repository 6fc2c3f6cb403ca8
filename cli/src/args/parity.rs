//! What `skictl` can do, the web console can do, and the other way round.

use skilift_console::view::access::UserRole;
use skilift_console::view::alarm::AlarmCode;
use skilift_console::view::change::{
    Change, Count, DeadLetterSelection, RoleCount, Scale, ScaledRole, SeasonDays,
};
use skilift_console::view::settings::Section;

use clap::CommandFactory;

use super::Cli;
use super::examples::tests::leaves;

/// Every command, and the page that does the same; or why only a terminal can.
const COMMANDS: [(&str, Result<&str, &str>); 74] = [
    ("up", Err("starts the console")),
    ("serve api", Err("starts a node")),
    ("serve worker", Err("starts a node")),
    ("serve console", Err("starts the console")),
    ("doctor", Ok("/doctor")),
    (
        "load",
        Err("loads another server, from where the clients are"),
    ),
    ("rehearse ec2", Err("serves a scripted EC2 API")),
    ("status show", Ok("/")),
    ("status acknowledge", Ok("/")),
    ("top", Ok("/")),
    ("queue status", Ok("/queue")),
    ("queue history", Ok("/queue/history.csv")),
    ("queue pause", Ok("/queue")),
    ("queue resume", Ok("/queue")),
    ("queue dead list", Ok("/dead-letters")),
    ("queue dead show", Ok("/dead-letters/{id}")),
    ("queue dead replay", Ok("/dead-letters")),
    ("queue dead discard", Ok("/dead-letters")),
    ("nodes list", Ok("/nodes")),
    ("nodes show", Ok("/nodes/{id}")),
    ("nodes drain", Ok("/nodes/{id}")),
    ("nodes undrain", Ok("/nodes/{id}")),
    ("nodes forget", Ok("/nodes/{id}")),
    ("settings show", Ok("/settings")),
    ("settings set worker", Ok("/settings")),
    ("settings set api", Ok("/settings")),
    ("settings set ingest", Ok("/settings")),
    ("settings set fleet", Ok("/settings")),
    ("settings history", Ok("/settings")),
    ("settings rollback", Ok("/settings")),
    ("scale", Ok("/fleet")),
    ("ec2 list", Ok("/fleet")),
    ("ec2 start", Ok("/fleet")),
    ("ec2 stop", Ok("/fleet")),
    ("cost", Ok("/fleet")),
    ("tune run", Ok("/tuning")),
    ("tune resume", Ok("/tuning/{id}/resume")),
    ("tune stop", Ok("/tuning/{id}/stop")),
    ("tune list", Ok("/tuning")),
    ("capacity", Ok("/capacity")),
    ("tune show", Ok("/tuning/{id}")),
    ("plans list", Ok("/plans")),
    ("plans show", Ok("/plans/{id}")),
    ("plans apply", Ok("/plans/{id}/apply")),
    ("plans cancel", Ok("/plans/{id}/cancel")),
    ("audit", Ok("/audit")),
    ("export", Err("writes secrets to a file of its user")),
    ("import", Err("makes a console's directory")),
    ("users list", Ok("/access")),
    ("users add", Ok("/access")),
    ("users password", Ok("/access")),
    ("users role", Ok("/access")),
    ("users remove", Ok("/access")),
    ("tokens list", Ok("/access")),
    ("tokens add", Ok("/access")),
    ("tokens revoke", Ok("/access")),
    ("keys list", Ok("/access")),
    ("keys add", Ok("/access")),
    ("keys revoke", Ok("/access")),
    ("stats resorts", Ok("/rides")),
    ("stats seasons", Ok("/rides")),
    ("stats days", Ok("/rides")),
    ("stats skier", Ok("/rides/skiers/{skier}")),
    (
        "stats resort",
        Ok("/rides/resorts/{resort}/seasons/{season}/days/{day}"),
    ),
    (
        "stats lifts",
        Ok("/rides/resorts/{resort}/seasons/{season}/days/{day}"),
    ),
    (
        "stats hours",
        Ok("/rides/resorts/{resort}/seasons/{season}/days/{day}"),
    ),
    (
        "stats top",
        Ok("/rides/resorts/{resort}/seasons/{season}/days/{day}"),
    ),
    (
        "repair",
        Ok("/rides/resorts/{resort}/seasons/{season}/days/{day}"),
    ),
    ("archive list", Ok("/rides")),
    ("archive run", Ok("/rides")),
    ("archive restore", Ok("/rides")),
    ("login", Ok("/login")),
    ("logout", Ok("/logout")),
    ("whoami", Ok("/access")),
];
/// Commands about `skictl` itself.
const LOCAL: [&str; 4] = ["completions", "man", "context", "config"];

#[test]
fn each_command_has_a_page_or_a_reason() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "", &mut found);
    found.retain(|path| !LOCAL.iter().any(|local| path.starts_with(local)));
    found.sort_unstable();
    let mut listed: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
    let router = include_str!("../../../console/src/pages/router.rs");
    for (command, page) in COMMANDS {
        if let Ok(page) = page {
            assert!(
                router.contains(&format!("\"{page}\"")),
                "{command}: there is no page {page}"
            );
        }
    }
}

/// One of each change, and some with all their values.
fn changes() -> Vec<Change> {
    let text = str::to_owned;
    vec![
        Change::SetWorker {
            threads: Some(8),
            prefetch: Some(1),
            batch: Some(2),
            linger_ms: Some(0),
            if_version: Some(3),
        },
        Change::SetApi {
            channels: Some(2),
            message_rides: Some(3),
            max_in_flight: Some(4),
            if_version: None,
        },
        Change::SetIngest {
            keys: true,
            if_version: Some(1),
        },
        Change::SetIngest {
            keys: false,
            if_version: None,
        },
        Change::SetFleet {
            worker_min: Some(1),
            worker_max: Some(2),
            api_min: Some(0),
            api_max: Some(1),
            if_version: None,
        },
        Change::Scale(Scale {
            roles: vec![
                RoleCount {
                    role: ScaledRole::Worker,
                    count: Count::To(4),
                },
                RoleCount {
                    role: ScaledRole::Api,
                    count: Count::By(-1),
                },
            ],
            threads: Some(32),
            allow_zero: true,
            drain_timeout_s: Some(60),
            ..Scale::default()
        }),
        Change::Scale(Scale {
            start: vec![text("i-1"), text("i-2")],
            ..Scale::default()
        }),
        Change::Scale(Scale {
            stop: vec![text("i-1")],
            stop_anyway: true,
            ..Scale::default()
        }),
        Change::Rollback {
            section: Section::Worker,
            version: Some(2),
        },
        Change::Rollback {
            section: Section::Api,
            version: None,
        },
        Change::Acknowledge {
            alarm: AlarmCode::NodesLost,
            reason: None,
        },
        Change::Acknowledge {
            alarm: AlarmCode::Loss,
            reason: Some(text("resent")),
        },
        Change::Forget {
            node: text("worker-a-9464"),
        },
        Change::Pause { for_s: None },
        Change::Pause { for_s: Some(600) },
        Change::Resume,
        Change::Drain {
            node: text("worker-a-9464"),
        },
        Change::Undrain {
            node: text("worker-a-9464"),
        },
        Change::Replay {
            dead_letters: DeadLetterSelection::All,
            per_s: Some(2.5),
        },
        Change::Replay {
            dead_letters: DeadLetterSelection::Ids(vec![text("a"), text("b")]),
            per_s: None,
        },
        Change::Discard {
            dead_letters: DeadLetterSelection::UpTo(7),
        },
        Change::Discard {
            dead_letters: DeadLetterSelection::Reason {
                text: text("unreadable"),
                up_to: None,
            },
        },
        Change::Repair {
            resort: 4,
            season: text("2025"),
            day: 24,
        },
        Change::Archive(SeasonDays {
            resort: 4,
            season: text("2025"),
            first_day: 1,
            last_day: 120,
        }),
        Change::Restore(SeasonDays {
            resort: 4,
            season: text("2025"),
            first_day: 24,
            last_day: 24,
        }),
        Change::AddUser {
            name: text("anna"),
            role: UserRole::Admin,
        },
        Change::SetPassword { name: text("anna") },
        Change::SetRole {
            name: text("anna"),
            role: UserRole::Viewer,
        },
        Change::RemoveUser { name: text("anna") },
        Change::AddToken {
            name: text("ci"),
            role: UserRole::Operator,
            expires_in_s: 3600,
        },
        Change::RevokeToken { id: text("t1") },
        Change::AddKey {
            name: text("gate"),
            resorts: Some(vec![4, 19]),
        },
        Change::AddKey {
            name: text("gate"),
            resorts: None,
        },
        Change::RevokeKey { id: text("k1") },
    ]
}

#[test]
fn the_command_of_each_plan_is_understood() {
    for change in changes() {
        let command = change.command();
        let read = Cli::documented().try_get_matches_from(command.split(' '));
        assert!(read.is_ok(), "{command}: {}", read.unwrap_err());
    }
    // What a shell would change is in quotes.
    let drain = Change::Drain {
        node: "it's $HOME".to_owned(),
    };
    assert_eq!(drain.command(), r"skictl nodes drain 'it'\''s $HOME'");
}
