//! `skictl capacity`: how many nodes a load needs.

use skilift_console::view::capacity::{CapacityOption, CapacityView};
use skilift_console::view::figures::{grouped, percent};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::usd;
use super::page::{Page, Style, plain};
use crate::args::client::WatchArgs;
use crate::args::tune::CapacityArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &CapacityArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let request = || {
        let p99_ms = args.p99.map(|p99| p99.as_secs_f64() * 1_000.0);
        ApiRequest::new(["capacity"])
            .with("rate", args.rate)
            .with("peak", args.peak)
            .with_some("p99_ms", p99_ms.as_ref())
            .with_some("sweep", args.sweep.as_ref())
    };
    let show_command = client.show_command(WatchArgs::default());
    show_command.show(request, render, None).await
}

fn render(view: &CapacityView, page: &mut Page) {
    let whole = |rate: f64| grouped(rate.max(0.0).round() as u64);
    page.pair("sweep", &view.sweep);
    page.pair("peak", format!("{} rides/s", whole(view.peak_per_s)));
    page.pair("p99", format!("at most {} ms", view.p99_ms));
    let dollars = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), usd);
    let rows = view.options.iter().map(|of| {
        let (less, style) = less(of);
        [
            plain(of.workers.to_string()),
            plain(of.threads.to_string()),
            plain(of.batch.to_string()),
            plain(of.api.map_or_else(|| "-".to_owned(), |api| api.to_string())),
            plain(of.instance_type.clone().unwrap_or_else(|| "-".to_owned())),
            plain(whole(of.capacity_per_s)),
            plain(percent(of.margin)),
            (less.to_owned(), style),
            plain(dollars(of.usd_per_h)),
            plain(dollars(of.usd_per_million)),
            plain(if of.is_measured {
                "measured"
            } else {
                "estimated"
            }),
        ]
    });
    page.table(
        &Columns {
            names: [
                ">workers", ">threads", ">batch", ">API", "type", ">rides/s", ">margin",
                "~one worker less", ">$/hour", ">$/million", "basis",
            ],
            optional_columns: &["type", "basis", "$/million", "batch"],
        },
        rows,
        "nothing that was measured meets this: measure more workers or threads, or allow a higher latency",
    );
    for note in &view.notes {
        page.note(note.clone());
    }
}

/// What is left with one worker less.
fn less(of: &CapacityOption) -> (&'static str, Style) {
    let less = &of.with_one_worker_less;
    match (less.is_enough, less.keeps_up) {
        _ if of.workers == 1 => ("nothing is stored", Style::Warning),
        (true, _) => ("enough", Style::Good),
        (false, true) => ("stores the peak, but later", Style::Plain),
        (false, false) => ("the backlog grows", Style::Warning),
    }
}
