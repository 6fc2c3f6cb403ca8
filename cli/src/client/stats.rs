//! `skictl stats`: statistics of skiers and resorts.

use skilift_console::view::stats::{
    DayList, HourStats, LiftStats, ResortList, ResortStats, SeasonList, SkierStats, TopStats,
};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::span;
use super::page::{Page, or_dash, plain};
use super::show::csv_rows;
use crate::args::client::WatchArgs;
use crate::args::stats::{ResortDayArgs, StatsArgs, StatsCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let show_command = |watch: WatchArgs| client.show_command(watch);
    match &args.command {
        StatsCommand::Resorts(watch) => {
            let request = || ApiRequest::new(["stats", "resorts"]);
            let csv = |list: &ResortList| {
                let header = ["resort", "resort_name", "seasons", "latest_season"];
                csv_rows(&header, &list.resorts)
            };
            show_command(*watch)
                .show(request, render_resorts, Some(csv))
                .await
        }
        StatsCommand::Seasons { resort, watch } => {
            let resort = resort.to_string();
            let request = || ApiRequest::new(["stats", "resorts", &resort, "seasons"]);
            let csv = |list: &SeasonList| {
                let header = ["season", "days", "first_day", "last_day"];
                csv_rows(&header, &list.seasons)
            };
            show_command(*watch)
                .show(request, render_seasons, Some(csv))
                .await
        }
        StatsCommand::Days {
            resort,
            season,
            watch,
        } => {
            let (resort, season) = (resort.to_string(), season.to_string());
            let request =
                || ApiRequest::new(["stats", "resorts", &resort, "seasons", &season, "days"]);
            let csv = |list: &DayList| csv_rows(&["day", "skiers", "rides"], &list.days);
            show_command(*watch)
                .show(request, render_days, Some(csv))
                .await
        }
        StatsCommand::Skier { skier, watch } => {
            let skier = skier.to_string();
            let request = || ApiRequest::new(["stats", "skiers", &skier]);
            show_command(*watch)
                .show(request, render_skier, Some(skier_csv))
                .await
        }
        StatsCommand::Resort(at) => {
            let request = || resort_day(at, []);
            show_command(at.watch)
                .show(request, render_resort, Some(resort_csv))
                .await
        }
        StatsCommand::Lifts(at) => {
            let request = || resort_day(at, ["lifts"]);
            show_command(at.watch)
                .show(request, render_lifts, Some(lifts_csv))
                .await
        }
        StatsCommand::Hours(at) => {
            let request = || resort_day(at, ["hours"]);
            show_command(at.watch)
                .show(request, render_hours, Some(hours_csv))
                .await
        }
        StatsCommand::Top { at, limit } => {
            let request = || resort_day(at, ["top"]).with("limit", limit);
            show_command(at.watch)
                .show(request, render_top, Some(top_csv))
                .await
        }
    }
}

fn resort_day<const N: usize>(at: &ResortDayArgs, what: [&str; N]) -> ApiRequest {
    let (resort, season, day) = (
        at.resort.to_string(),
        at.day.season.to_string(),
        at.day.day.to_string(),
    );
    ApiRequest::new([
        "stats", "resorts", &resort, "seasons", &season, "days", &day,
    ])
    .below(what)
}

fn freshness(behind_ms: Option<u64>, page: &mut Page) {
    match behind_ms {
        Some(0) => page.pair(
            "oldest ride",
            "none waiting: all accepted rides are included",
        ),
        Some(ms) => page.pair(
            "oldest ride",
            format!("rides of the last {} may be missing", span(ms)),
        ),
        None => {
            page.pair(
                "oldest ride",
                "unknown: rides may be missing, see `skictl queue`",
            );
            page.note("unknown: oldest ride age");
        }
    }
}

fn render_resorts(list: &ResortList, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = list.resorts.iter().map(|row| {
        [
            plain(row.resort.to_string()),
            plain(&row.resort_name),
            plain(terminal_style.count(row.seasons)),
            or_dash(row.latest_season.as_deref()),
        ]
    });
    page.table(
        &Columns {
            names: [">resort", "name", ">seasons", "latest season"],
            optional_columns: &["name"],
        },
        rows,
        "no resorts",
    );
}

fn render_seasons(list: &SeasonList, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let day = |day: Option<u64>| or_dash(day.map(|day| day.to_string()).as_deref());
    let rows = list.seasons.iter().map(|row| {
        [
            plain(&row.season),
            plain(terminal_style.count(row.days)),
            day(row.first_day),
            day(row.last_day),
        ]
    });
    page.table(
        &Columns {
            names: ["season", ">days", ">first day", ">last day"],
            optional_columns: &[],
        },
        rows,
        "no seasons",
    );
}

fn render_days(list: &DayList, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = list.days.iter().map(|row| {
        [
            plain(row.day.to_string()),
            plain(terminal_style.count(row.skiers)),
            plain(terminal_style.count(row.rides)),
        ]
    });
    page.table(
        &Columns {
            names: [">day", ">skiers", ">rides"],
            optional_columns: &[],
        },
        rows,
        "no days with rides",
    );
}

fn render_skier(skier: &SkierStats, page: &mut Page) {
    let terminal_style = page.terminal_style;
    page.pair("skier", skier.skier.to_string());
    page.pair("rides", terminal_style.count(skier.rides));
    page.pair(
        "vertical",
        format!("{} m", terminal_style.count(skier.vertical_m)),
    );
    if skier.rides == 0 {
        page.note(format!("no ride of skier {} is stored", skier.skier));
    }
    freshness(skier.oldest_ride_age_ms, page);
    let rows = skier.days.iter().map(|day| {
        [
            plain(day.resort.to_string()),
            plain(&day.resort_name),
            plain(&day.season),
            plain(day.day.to_string()),
            plain(terminal_style.count(day.rides)),
            plain(terminal_style.count(day.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">resort", "name", "season", ">day", ">rides", ">vertical m"],
            optional_columns: &["name"],
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
    csv_rows(&header, &skier.days)
}

fn render_resort(resort: &ResortStats, page: &mut Page) {
    let terminal_style = page.terminal_style;
    page.pair(
        "resort",
        format!("{} {}", resort.resort, resort.resort_name),
    );
    page.pair("day", format!("{} of season {}", resort.day, resort.season));
    page.pair("skiers", terminal_style.count(resort.skiers));
    page.pair("rides", terminal_style.count(resort.rides));
    page.pair("duplicates", terminal_style.count(resort.duplicates));
    page.pair(
        "vertical",
        format!("{} m", terminal_style.count(resort.vertical_m)),
    );
    if resort.rides == 0 {
        page.note(format!(
            "no ride of resort {} is stored on day {} of season {}; see `skictl stats seasons {}`",
            resort.resort, resort.day, resort.season, resort.resort
        ));
    }
    freshness(resort.oldest_ride_age_ms, page);
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
        "oldest_ride_age_ms",
    ];
    csv_rows(&header, std::slice::from_ref(resort))
}

fn render_lifts(lifts: &LiftStats, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = lifts.lifts.iter().map(|lift| {
        [
            plain(lift.lift.to_string()),
            or_dash(lift.name.as_deref()),
            plain(terminal_style.count(lift.rides)),
            plain(terminal_style.count(lift.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">lift", "name", ">rides", ">vertical per ride (m)"],
            optional_columns: &["name"],
        },
        rows,
        "no rides",
    );
}

fn lifts_csv(lifts: &LiftStats) -> anyhow::Result<String> {
    csv_rows(&["lift", "name", "rides", "vertical_m"], &lifts.lifts)
}

fn render_hours(hours: &HourStats, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = hours.hours.iter().map(|hour| {
        [
            plain(hour.hour.to_string()),
            plain(terminal_style.count(hour.rides)),
        ]
    });
    page.table(
        &Columns {
            names: [">hour", ">rides"],
            optional_columns: &[],
        },
        rows,
        "no rides",
    );
}

fn hours_csv(hours: &HourStats) -> anyhow::Result<String> {
    csv_rows(&["hour", "rides"], &hours.hours)
}

fn render_top(top: &TopStats, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = top.skiers.iter().map(|row| {
        [
            plain(row.rank.to_string()),
            plain(row.skier.to_string()),
            plain(terminal_style.count(row.rides)),
            plain(terminal_style.count(row.vertical_m)),
        ]
    });
    page.table(
        &Columns {
            names: [">rank", ">skier", ">rides", ">vertical m"],
            optional_columns: &[],
        },
        rows,
        "no skiers",
    );
}

fn top_csv(top: &TopStats) -> anyhow::Result<String> {
    csv_rows(&["rank", "skier", "rides", "vertical_m"], &top.skiers)
}
