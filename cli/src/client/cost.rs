//! `skictl cost`: what the machines cost, and what a million stored rides cost at the rate of now.

use skilift_console::view::cost::CostView;

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::page::{Page, plain};
use crate::args::ec2::CostArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &CostArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let ask = || Question::new(["cost"]);
    client.showing(args.watch).show(ask, draw, None).await
}

fn draw(cost: &CostView, page: &mut Page) {
    let look = page.look;
    let total = page.usd("an hour", &cost.usd_per_h);
    page.pair("an hour", total);
    let stored = page.reading("stored", &cost.stored_per_s, |n| look.rate(n));
    page.pair("stored", stored);
    let million = page.usd("a million stored rides", &cost.usd_per_million_stored);
    page.pair("a million stored rides", million);
    let is_in = |is_in: Option<bool>| match is_in {
        Some(true) => "in it",
        Some(false) => "not in it",
        None => "unknown",
    };
    page.pair("RabbitMQ", is_in(cost.has_broker));
    page.pair("Redis", is_in(cost.has_redis));
    page.pair(
        "prices",
        format!("of {}, {}", cost.prices.date, cost.prices.source),
    );
    let mut rows = Vec::new();
    for role in &cost.roles {
        let hour = page.usd(&role.role, &role.usd_per_h);
        rows.push([plain(&role.role), plain(look.count(role.up)), plain(hour)]);
    }
    page.table(
        &Columns {
            names: ["role", ">machines", ">an hour"],
            spare: &[],
        },
        rows,
        match cost.has_broker {
            Some(_) => "no machine runs",
            None => "it is not known which machines run",
        },
    );
    for note in &cost.notes {
        page.note(note);
    }
}
