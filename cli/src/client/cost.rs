//! `skictl cost`: hourly cost of the instances, and cost per million stored rides at the current rate.

use skilift_console::view::cost::CostView;

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::page::{Page, plain};
use crate::args::ec2::CostArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &CostArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let request = || ApiRequest::new(["cost"]);
    client
        .show_command(args.watch)
        .show(request, render, None)
        .await
}

fn render(cost: &CostView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let total = page.usd("per hour", &cost.usd_per_h);
    page.pair("per hour", total);
    let stored = page.reading("stored", &cost.stored_per_s, |n| terminal_style.rate(n));
    page.pair("stored", stored);
    let million = page.usd("per million stored rides", &cost.usd_per_million_stored);
    page.pair("per million stored rides", million);
    let is_in = |is_in: Option<bool>| match is_in {
        Some(true) => "included",
        Some(false) => "not included",
        None => "unknown",
    };
    page.pair("RabbitMQ", is_in(cost.has_broker));
    page.pair("Redis", is_in(cost.has_redis));
    page.pair(
        "prices",
        format!("from {}, {}", cost.prices.date, cost.prices.source),
    );
    let mut rows = Vec::new();
    for role in &cost.roles {
        let hour = page.usd(&role.role, &role.usd_per_h);
        rows.push([
            plain(&role.role),
            plain(terminal_style.count(role.running)),
            plain(hour),
        ]);
    }
    page.table(
        &Columns {
            names: ["role", ">instances", ">per hour"],
            optional_columns: &[],
        },
        rows,
        match cost.has_broker {
            Some(_) => "no running instances",
            None => "running instances unknown",
        },
    );
    for note in &cost.notes {
        page.note(note);
    }
}
