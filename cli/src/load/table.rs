//! The summary of a run as a table; its form may change, while the JSON form is stable.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use skilift_console::view::figures::counted;
use skilift_load::summary::{Ended, Latency, PaceKind, Summary};
use skilift_load::verify::{MethodName, Verification};

/// Renders the summary as text with a final line break.
pub(super) fn render(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{}\n", figures(summary).trim_fmt());
    if let Some(latencies) = latencies(summary) {
        let _ = writeln!(text, "{}\n", latencies.trim_fmt());
    }
    if !summary.errors.is_empty() {
        let mut errors = table(["errors", "attempts", "first response"]);
        for error in &summary.errors {
            errors.add_row([&error.kind, &grouped(error.count), &error.example]);
        }
        right(&mut errors, 1..2);
        let _ = writeln!(text, "{}\n", errors.trim_fmt());
    }
    if let Some(verify) = &summary.verify {
        let _ = writeln!(text, "{}", verified(verify).trim_fmt());
        for example in &verify.examples {
            let _ = writeln!(text, "  {example}");
        }
    }
    text.truncate(text.trim_end().len());
    let _ = writeln!(text, "\n\n{}", verdict(summary));
    text
}

/// The run in one line.
pub(super) fn verdict(summary: &Summary) -> String {
    let mut faults: Vec<String> = Vec::new();
    let mut fault = |count: u64, one: &str, many: &str| {
        if count > 0 {
            faults.push(counted(count, one, many));
        }
    };
    fault(summary.requests.failed, "request failed", "requests failed");
    fault(summary.requests.unsent, "request unsent", "requests unsent");
    if let Some(verify) = &summary.verify {
        fault(verify.lost, "ride lost", "rides lost");
        fault(verify.wrong, "ride wrong", "rides wrong");
        fault(verify.pending, "ride pending", "rides pending");
    }
    match summary.ended {
        Ended::Complete => {}
        Ended::Interrupted => faults.insert(0, "interrupted".to_owned()),
        Ended::TargetLost => faults.insert(0, "the target stopped responding".to_owned()),
        Ended::RidesUsedUp => faults.insert(0, "ended before its time".to_owned()),
    }
    let mut says = vec![match faults.is_empty() {
        true => "OK: no request failed".to_owned(),
        false => format!("NOT OK: {}", faults.join(", ")),
    }];
    if let Some(verify) = summary.verify.as_ref().filter(|_| faults.is_empty()) {
        says.push(format!(
            "all {} accepted rides found",
            grouped(verify.found)
        ));
    }
    if let Some(per_s) = summary.throughput_per_s {
        says.push(format!("{} requests/s", grouped(per_s.round() as u64)));
    }
    let is_bulk = summary.rides.accepted > summary.requests.succeeded;
    if let Some(per_s) = summary.accepted_rides_per_s.filter(|_| is_bulk) {
        says.push(format!("{} rides/s", grouped(per_s.round() as u64)));
    }
    if let Some(latency) = &summary.latency {
        says.push(format!("p99 {:.1} ms", latency.p99_ms));
    }
    says.join(", ")
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn figures(summary: &Summary) -> Table {
    let Summary {
        requests, rides, ..
    } = summary;
    let pace = match summary.pace {
        PaceKind::ClosedLoop => "closed loop",
        PaceKind::OpenLoop => "open loop",
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row(
        "target",
        format!(
            "{}, {pace}, {} connections",
            summary.target, summary.connections
        ),
    );
    row("seed", summary.seed.to_string());
    let ended = match summary.ended {
        Ended::Complete => "complete",
        Ended::Interrupted => "INTERRUPTED: only a part of the run",
        Ended::TargetLost => "TARGET LOST: it stopped responding; only a part of the run",
        Ended::RidesUsedUp => "ENDED EARLY: all distinct rides of the ranges were sent",
    };
    row("run", format!("{ended}, {:.2} s", summary.elapsed_s));
    let reads = match requests.reads {
        0 => String::new(),
        reads => format!(", {} of them reads", grouped(reads)),
    };
    row(
        "sent",
        format!("{} requests{reads}", grouped(requests.sent)),
    );
    row("succeeded", grouped(requests.succeeded));
    let share = summary.failed_share.filter(|share| *share > 0.0);
    let share = share.map_or_else(String::new, |share| format!(", {:.3} %", share * 100.0));
    row("failed", grouped(requests.failed) + &share);
    row("retried", format!("{} retries", grouped(requests.retried)));
    if let Some(breaker) = &summary.breaker {
        let (opens, open_s) = (grouped(breaker.opens), breaker.open_s);
        row(
            "breaker",
            format!("opened {opens} times, open for {open_s:.2} s"),
        );
        row(
            "throttled",
            format!("{} times", grouped(requests.held_back)),
        );
    }
    row("unsent", grouped(requests.unsent));
    row(
        "rides",
        format!(
            "{} sent, {} accepted, {} rejected, {} unknown",
            grouped(rides.sent),
            grouped(rides.accepted),
            grouped(rides.refused),
            grouped(rides.unknown)
        ),
    );
    if let (Some(requests), Some(rides)) = (summary.throughput_per_s, summary.accepted_rides_per_s)
    {
        let [requests, rides] = [requests, rides].map(|per_s| grouped(per_s.round() as u64));
        row(
            "throughput",
            format!("{requests} requests/s, {rides} accepted rides/s"),
        );
    }
    table
}

fn latencies(summary: &Summary) -> Option<Table> {
    let mut latencies = table([
        "in ms", "mean", "median", "p95", "p99", "p99.9", "min", "max",
    ]);
    let mut row = |name: &str, latency: &Latency| {
        let of = |ms: f64| format!("{ms:.3}");
        latencies.add_row([
            name.to_owned(),
            of(latency.mean_ms),
            of(latency.p50_ms),
            of(latency.p95_ms),
            of(latency.p99_ms),
            of(latency.p999_ms),
            of(latency.min_ms),
            of(latency.max_ms),
        ]);
    };
    let name = match summary.pace {
        PaceKind::ClosedLoop => "latency, from the send",
        PaceKind::OpenLoop => "latency, from the intended start (as seen by a user)",
    };
    row(name, summary.latency.as_ref()?);
    if let (Some(posts), Some(reads)) = (&summary.latency_of_posts, &summary.latency_of_reads) {
        row("  of POST", posts);
        row("  of GET", reads);
    }
    if let Some(raw) = &summary.latency_from_send {
        row("raw latency, from the send (ignores late sends)", raw);
    }
    if let Some(lateness) = &summary.send_lateness {
        row("lateness of the send", lateness);
    }
    right(&mut latencies, 1..8);
    Some(latencies)
}

fn verified(verify: &Verification) -> Table {
    let method = match verify.method {
        MethodName::RideLists => "by ride lists",
        MethodName::DayVerticals => "by day verticals before and after",
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    let days = grouped(verify.skier_days);
    row(
        "verified",
        format!("{method}, {days} skier days, {:.2} s", verify.took_s),
    );
    row(
        "accepted",
        format!(
            "{}, {} found",
            grouped(verify.accepted),
            grouped(verify.found)
        ),
    );
    row("lost", grouped(verify.lost));
    let compared = grouped(verify.verticals_compared);
    row(
        "wrong",
        format!("{} ({compared} verticals compared)", grouped(verify.wrong)),
    );
    row("pending", grouped(verify.pending));
    row(
        "unknown",
        format!("{} rides that may be stored", grouped(verify.unknown)),
    );
    row("foreign", grouped(verify.foreign));
    if let Some(note) = &verify.note {
        row("note", note.clone());
    }
    table
}

/// Formats a number with grouped thousands.
pub(super) fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use skilift_load::summary::{Requests, Rides};

    use super::*;

    fn latency(p50_ms: f64) -> Latency {
        Latency {
            mean_ms: p50_ms + 0.5,
            min_ms: 0.25,
            p50_ms,
            p95_ms: p50_ms * 2.0,
            p99_ms: p50_ms * 4.0,
            p999_ms: p50_ms * 8.0,
            max_ms: p50_ms * 16.0,
        }
    }

    #[test]
    fn posts_and_reads_have_rows_of_their_own_and_bulk_its_rides() {
        let summary = Summary {
            target: "http://127.0.0.1:8080".to_owned(),
            seed: 7,
            pace: PaceKind::ClosedLoop,
            connections: 4,
            ended: Ended::Complete,
            elapsed_s: 10.0,
            requests: Requests {
                sent: 1_500,
                succeeded: 1_500,
                reads: 500,
                ..Requests::default()
            },
            rides: Rides {
                sent: 500_000,
                accepted: 500_000,
                ..Rides::default()
            },
            failed_share: Some(0.0),
            throughput_per_s: Some(150.0),
            accepted_rides_per_s: Some(50_000.0),
            latency: Some(latency(2.0)),
            latency_of_posts: Some(latency(3.0)),
            latency_of_reads: Some(latency(1.0)),
            latency_from_send: None,
            send_lateness: None,
            breaker: None,
            errors: Vec::new(),
            verify: None,
        };
        insta::assert_snapshot!(render(&summary), @r"
         target      http://127.0.0.1:8080, closed loop, 4 connections
         seed        7
         run         complete, 10.00 s
         sent        1,500 requests, 500 of them reads
         succeeded   1,500
         failed      0
         retried     0 retries
         unsent      0
         rides       500,000 sent, 500,000 accepted, 0 rejected, 0 unknown
         throughput  150 requests/s, 50,000 accepted rides/s

         in ms                    mean  median    p95     p99   p99.9    min     max
         latency, from the send  2.500   2.000  4.000   8.000  16.000  0.250  32.000
           of POST               3.500   3.000  6.000  12.000  24.000  0.250  48.000
           of GET                1.500   1.000  2.000   4.000   8.000  0.250  16.000

        OK: no request failed, 150 requests/s, 50,000 rides/s, p99 8.0 ms
        ");
    }
}
