//! `skictl stats`: what is known of skiers and resorts.

use skilift_console::view::stats::{HourStats, LiftStats, ResortStats, SkierStats, TopStats};

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::span;
use super::page::{Page, or_dash, plain};
use super::show::csv_rows;
use crate::args::client::WatchArgs;
use crate::args::stats::{ResortDayArgs, StatsArgs, StatsCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let showing = |watch: WatchArgs| client.showing(watch);
    match &args.command {
        StatsCommand::Skier { skier, watch } => {
            let skier = skier.to_string();
            let ask = || Question::new(["stats", "skiers", &skier]);
            showing(*watch).show(ask, draw_skier, Some(skier_csv)).await
        }
        StatsCommand::Resort(at) => {
            let ask = || resort_day(at, []);
            showing(at.watch)
                .show(ask, draw_resort, Some(resort_csv))
                .await
        }
        StatsCommand::Lifts(at) => {
            let ask = || resort_day(at, ["lifts"]);
            showing(at.watch)
                .show(ask, draw_lifts, Some(lifts_csv))
                .await
        }
        StatsCommand::Hours(at) => {
            let ask = || resort_day(at, ["hours"]);
            showing(at.watch)
                .show(ask, draw_hours, Some(hours_csv))
                .await
        }
        StatsCommand::Top { at, limit } => {
            let ask = || resort_day(at, ["top"]).with("limit", limit);
            showing(at.watch).show(ask, draw_top, Some(top_csv)).await
        }
    }
}

fn resort_day<const N: usize>(at: &ResortDayArgs, what: [&str; N]) -> Question {
    let (resort, season, day) = (
        at.resort.to_string(),
        at.day.season.to_string(),
        at.day.day.to_string(),
    );
    Question::new([
        "stats", "resorts", &resort, "seasons", &season, "days", &day,
    ])
    .below(what)
}

fn freshness(behind_ms: Option<u64>, page: &mut Page) {
    match behind_ms {
        Some(0) => page.pair("fresh", "every accepted ride is in it"),
        Some(ms) => page.pair(
            "fresh",
            format!("rides of the last {} may be missing", span(ms)),
        ),
        None => {
            page.pair("fresh", "unknown");
            page.note("unknown: fresh: the age of the oldest ride that is not stored is not known");
        }
    }
}

fn draw_skier(skier: &SkierStats, page: &mut Page) {
    let look = page.look;
    page.pair("skier", skier.skier.to_string());
    page.pair("rides", look.count(skier.rides));
    page.pair("vertical", format!("{} m", look.count(skier.vertical_m)));
    freshness(skier.behind_ms, page);
    let rows = skier.days.iter().map(|day| {
        [
            plain(day.resort.to_string()),
            plain(&day.resort_name),
            plain(&day.season),
            plain(day.day.to_string()),
            plain(look.count(day.rides)),
            plain(look.count(day.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">resort", "name", "season", ">day", ">rides", ">vertical m"],
            spare: &["name"],
        },
        rows,
        "no days",
    );
}

fn skier_csv(skier: &SkierStats) -> anyhow::Result<String> {
    let header = [
        "resort",
        "resort_name",
        "season",
        "day",
        "rides",
        "vertical_m",
    ];
    csv_rows(header, &skier.days)
}

fn draw_resort(resort: &ResortStats, page: &mut Page) {
    let look = page.look;
    page.pair(
        "resort",
        format!("{} {}", resort.resort, resort.resort_name),
    );
    page.pair("day", format!("{} of season {}", resort.day, resort.season));
    page.pair("skiers", look.count(resort.skiers));
    page.pair("rides", look.count(resort.rides));
    page.pair("duplicates", look.count(resort.duplicates));
    page.pair("vertical", format!("{} m", look.count(resort.vertical_m)));
    freshness(resort.behind_ms, page);
}

fn resort_csv(resort: &ResortStats) -> anyhow::Result<String> {
    let header = [
        "resort",
        "resort_name",
        "season",
        "day",
        "skiers",
        "rides",
        "duplicates",
        "vertical_m",
        "behind_ms",
    ];
    csv_rows(header, std::slice::from_ref(resort))
}

fn draw_lifts(lifts: &LiftStats, page: &mut Page) {
    let look = page.look;
    let rows = lifts.lifts.iter().map(|lift| {
        [
            plain(lift.lift.to_string()),
            or_dash(lift.name.as_deref()),
            plain(look.count(lift.rides)),
            plain(look.count(lift.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">lift", "name", ">rides", ">m a ride"],
            spare: &["name"],
        },
        rows,
        "no rides",
    );
}

fn lifts_csv(lifts: &LiftStats) -> anyhow::Result<String> {
    csv_rows(["lift", "name", "rides", "vertical_m"], &lifts.lifts)
}

fn draw_hours(hours: &HourStats, page: &mut Page) {
    let look = page.look;
    let rows = hours
        .hours
        .iter()
        .map(|hour| [plain(hour.hour.to_string()), plain(look.count(hour.rides))]);
    page.table(
        &Columns {
            names: [">hour", ">rides"],
            spare: &[],
        },
        rows,
        "no hours",
    );
}

fn hours_csv(hours: &HourStats) -> anyhow::Result<String> {
    csv_rows(["hour", "rides"], &hours.hours)
}

fn draw_top(top: &TopStats, page: &mut Page) {
    let look = page.look;
    let rows = top.skiers.iter().map(|row| {
        [
            plain(row.place.to_string()),
            plain(row.skier.to_string()),
            plain(look.count(row.rides)),
            plain(look.count(row.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">place", ">skier", ">rides", ">vertical m"],
            spare: &[],
        },
        rows,
        "no skiers",
    );
}

fn top_csv(top: &TopStats) -> anyhow::Result<String> {
    csv_rows(["place", "skier", "rides", "vertical_m"], &top.skiers)
}
