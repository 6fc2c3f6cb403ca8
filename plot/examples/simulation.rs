//! Draws the simulation of `infra/capacity` as a page: `infra/capacity plots | cargo run -p skilift-plot --example simulation >page.html`.
//!
//! Each line of the input is a name and its values: `kept` and `archived` in GiB by day, `all`, `europe` and `america` in rides/s by hour.

use std::collections::HashMap;
use std::io::{Read, Write};

use skilift_plot::{FluidChart, FluidLine, FluidScale, LineColour, Quantity, Shape};

/// 2025-11-25 00:00 UTC: the first day of the season.
const FIRST_DAY_MS: u64 = 1_764_028_800_000;
/// 2026-02-14 00:00 UTC: a Saturday of the holidays.
const BUSIEST_DAY_MS: u64 = 1_771_027_200_000;
const HOUR_MS: u64 = 3_600_000;
const STYLE: &str = include_str!("../../console/assets/console.css");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut lines: HashMap<&str, Vec<Option<f64>>> = HashMap::new();
    for line in text.lines() {
        let (name, values) = line.split_once(' ').ok_or("a line without values")?;
        let values: Result<Vec<f64>, _> = values.split(' ').map(str::parse).collect();
        lines.insert(name, values?.into_iter().map(Some).collect());
    }
    let mut take = |name| lines.remove(name).ok_or(format!("no line {name}"));
    let memory = FluidChart {
        title: "Memory of Redis for 2,000 resorts over a season, in GiB".to_owned(),
        description: "Simulated from 370 million visits.".to_owned(),
        lines: vec![
            line(
                "all days kept",
                LineColour::Blue,
                Shape::Line,
                take("kept")?,
                gib,
            ),
            line(
                "archived every 30 days",
                LineColour::Orange,
                Shape::Line,
                take("archived")?,
                gib,
            ),
        ],
        ..chart("memory", FIRST_DAY_MS, 24 * HOUR_MS, 180)
    };
    let rides = FluidChart {
        title: "Rides per second of 2,000 resorts on their busiest day".to_owned(),
        description: "Simulated by the opening hours of lifts and the time zones of resorts."
            .to_owned(),
        lines: vec![
            line(
                "all resorts",
                LineColour::Blue,
                Shape::Steps,
                take("all")?,
                per_second,
            ),
            line(
                "Europe",
                LineColour::Orange,
                Shape::Steps,
                take("europe")?,
                per_second,
            ),
            line(
                "North America",
                LineColour::Teal,
                Shape::Steps,
                take("america")?,
                per_second,
            ),
        ],
        ..chart("rides", BUSIEST_DAY_MS, HOUR_MS, 24)
    };
    let mut page = std::io::stdout().lock();
    writeln!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Simulation</title><style>{STYLE}</style><body><main>"
    )?;
    for chart in [memory, rides] {
        let legend: Vec<String> = chart.lines.iter().map(key).collect();
        writeln!(
            page,
            "<section class=\"panel\"><div class=\"panel-head\"><h2>{}</h2></div><div class=\"panel-body\"><p class=\"legend\">{}</p>{}</div></section>",
            chart.title,
            legend.concat(),
            chart.to_svg()
        )?;
    }
    writeln!(page, "</main></body></html>")?;
    Ok(())
}

fn chart(id: &str, from_ms: u64, step_ms: u64, steps: u64) -> FluidChart {
    FluidChart {
        id: id.to_owned(),
        title: String::new(),
        description: String::new(),
        from_ms,
        to_ms: from_ms + step_ms * steps,
        step_ms,
        height: 220,
        quantity: Quantity::Count,
        scale: FluidScale::Linear,
        lines: Vec::new(),
        thresholds: Vec::new(),
        markers: Vec::new(),
    }
}

fn line(
    name: &str,
    colour: LineColour,
    shape: Shape,
    values: Vec<Option<f64>>,
    readout: fn(f64) -> String,
) -> FluidLine {
    FluidLine {
        name: name.to_owned(),
        colour,
        shape,
        values,
        readout,
    }
}

/// The key of a line in the legend.
fn key(line: &FluidLine) -> String {
    let class = match line.colour {
        LineColour::Blue => "a",
        LineColour::Orange => "b",
        LineColour::Teal => "c",
    };
    let swatch = format!(
        "<svg class=\"sw\" viewBox=\"0 0 18 10\"><path class=\"line {class}\" d=\"M0 5h18\"/></svg>"
    );
    format!("<span>{swatch}{}</span>", line.name)
}

fn gib(value: f64) -> String {
    format!("{value:.1} GiB")
}

fn per_second(value: f64) -> String {
    format!("{value:.0} rides/s")
}
