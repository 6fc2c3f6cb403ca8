//! Charts as a browser reads them.

use proptest::prelude::*;
use roxmltree::Document;

use super::*;
use crate::parsed::{attributes, texts};

/// 2025-12-27, 10:00:00, in milliseconds since 1970.
const FROM: u64 = 1_766_829_600_000;
const HOSTILE: &str = "\"><script>alert('1 & 2')</script>\u{0}";

fn rides(value: f64) -> String {
    format!("{value:.0} rides")
}

fn line(shape: Shape, values: &[Option<f64>]) -> FluidLine {
    FluidLine {
        name: "backlog".to_owned(),
        colour: LineColour::Blue,
        shape,
        values: values.into(),
        readout: rides,
    }
}

/// Ten minutes in ten steps, 100 px high.
fn chart(lines: Vec<FluidLine>) -> FluidChart {
    FluidChart {
        id: "c".to_owned(),
        title: "Backlog".to_owned(),
        description: "Rides not yet stored.".to_owned(),
        from_ms: FROM,
        to_ms: FROM + 600_000,
        step_ms: 60_000,
        height: 100,
        quantity: Quantity::Count,
        scale: FluidScale::Linear,
        lines,
        thresholds: Vec::new(),
        markers: Vec::new(),
    }
}

fn known(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

#[test]
fn a_line_goes_through_the_middle_of_each_step() {
    let values = known(&[0.0, 100.0, 50.0]);
    let svg = chart(vec![line(Shape::Area, &values)]).to_svg();
    // 180 units per step; 1 px per unit of the value.
    assert_eq!(attributes(&svg, "line", "d"), ["M90 100L270 0L450 50"]);
    assert_eq!(
        attributes(&svg, "area", "d"),
        ["M90 100L270 0L450 50V100H90Z"]
    );
    let stepped = chart(vec![line(Shape::Steps, &known(&[50.0, 50.0, 100.0]))]).to_svg();
    assert_eq!(attributes(&stepped, "line", "d"), ["M0 50H360V0H540"]);
    let document = Document::parse(&svg).unwrap();
    assert_eq!(document.root_element().attribute("viewBox"), None);
    assert!(!svg.contains("style="), "{svg}");
    assert_eq!(
        texts(&svg, "desc"),
        ["Rides not yet stored. backlog: 0 rides to 100 rides."]
    );
    let labels = texts(&svg, "text");
    assert_eq!(&labels[..4], ["0", "50", "100", "unknown"]);
    assert_eq!(
        &labels[labels.len() - 6..],
        ["10:00", "10:02", "10:04", "10:06", "10:08", "10:10"]
    );
}

#[test]
fn a_gap_is_hatched_only_if_it_is_long() {
    let mut values = known(&[1.0; 10]);
    values[1] = None;
    values[4..8].fill(None);
    let svg = chart(vec![line(Shape::Line, &values)]).to_svg();
    assert_eq!(
        attributes(&svg, "line", "d"),
        ["M0 0H180M450 0L630 0M1530 0L1710 0"]
    );
    assert_eq!(attributes(&svg, "gap", "x"), ["40%"]);
    assert_eq!(attributes(&svg, "gap", "width"), ["40%"]);
    assert_eq!(attributes(&svg, "gap", "fill"), ["url(#hatch)"]);
    assert!(texts(&svg, "text").contains(&"unknown".to_owned()));
    let hover = texts(&svg, "title");
    assert!(
        hover.contains(&"10:05 UTC: backlog unknown".to_owned()),
        "{hover:?}"
    );
    // Another line is known.
    let mut other = line(Shape::Line, &known(&[1.0; 10]));
    other.name = "accepted".to_owned();
    let svg = chart(vec![line(Shape::Line, &values), other]).to_svg();
    assert!(texts(&svg, "text").contains(&"backlog unknown".to_owned()));
}

#[test]
fn a_logarithmic_axis_runs_between_powers_of_ten() {
    let mut chart = chart(vec![line(Shape::Line, &known(&[10.0, 1_000.0, 0.0]))]);
    chart.scale = FluidScale::Log;
    chart.quantity = Quantity::Milliseconds;
    let svg = chart.to_svg();
    assert_eq!(attributes(&svg, "line", "d"), ["M90 100L270 0L450 100"]);
    assert_eq!(
        &texts(&svg, "text")[..4],
        ["10 ms", "100 ms", "1 s", "unknown"]
    );
}

#[test]
fn foreign_text_stays_text() {
    let mut chart = chart(vec![line(Shape::Line, &known(&[1.0; 10]))]);
    chart.id = HOSTILE.to_owned();
    chart.title = HOSTILE.to_owned();
    chart.description = HOSTILE.to_owned();
    chart.lines[0].name = HOSTILE.to_owned();
    chart.lines[0].values[5..9].fill(None);
    chart.lines[0].readout = |_| HOSTILE.to_owned();
    chart.thresholds.push(FluidThreshold {
        name: HOSTILE.to_owned(),
        value: 2.0,
        is_calm: true,
    });
    chart.markers.push(FluidMarker {
        at_ms: FROM + 60_000,
        until_ms: None,
        label: HOSTILE.to_owned(),
        kind: MarkerKind::Incident('<'),
    });
    let svg = chart.to_svg();
    assert!(!svg.contains("<script") && !svg.contains('\0'), "{svg}");
    let shown = HOSTILE.replace('\0', "\u{FFFD}");
    let titles = texts(&svg, "title");
    assert_eq!(titles[0], shown);
    assert_eq!(titles.iter().filter(|title| **title == shown).count(), 3);
}

#[test]
fn markers_outside_of_the_axis_are_not_drawn() {
    let mut chart = chart(vec![line(Shape::Line, &known(&[1.0; 10]))]);
    let marker = |at_ms, until_ms, kind| FluidMarker {
        at_ms,
        until_ms,
        label: "ben set threads".to_owned(),
        kind,
    };
    chart.markers = vec![
        marker(FROM - 1, None, MarkerKind::Change(1)),
        marker(FROM + 300_000, None, MarkerKind::Change(2)),
        marker(FROM - 60_000, Some(FROM + 60_000), MarkerKind::Loss('A')),
        marker(FROM + 600_001, None, MarkerKind::Change(3)),
    ];
    let svg = chart.to_svg();
    let document = Document::parse(&svg).unwrap();
    let circles = document
        .descendants()
        .filter(|node| node.has_tag_name("circle"));
    let centres: Vec<_> = circles.filter_map(|node| node.attribute("cx")).collect();
    assert_eq!(centres, ["50%"]);
    assert_eq!(attributes(&svg, "band", "width"), ["10%"]);
    let texts = texts(&svg, "text");
    assert!(texts.contains(&"A".to_owned()) && !texts.contains(&"3".to_owned()));
}

#[test]
fn changes_that_are_close_together_share_a_marker() {
    let mut chart = chart(vec![line(Shape::Line, &known(&[1.0; 10]))]);
    // A twentieth of the axis is 30 s.
    let at = [300_000, 0, 10_000, 29_999, 30_000];
    let marker = |(number, at_ms): (u32, u64)| FluidMarker {
        at_ms: FROM + at_ms,
        until_ms: None,
        label: format!("change <{number}>"),
        kind: MarkerKind::Change(number),
    };
    chart.markers = (1..).zip(at).map(marker).collect();
    let svg = chart.to_svg();
    let document = Document::parse(&svg).unwrap();
    let of_name = |name: &'static str| {
        let nodes = document.descendants();
        nodes.filter(move |node| node.has_tag_name(name))
    };
    let centres: Vec<_> = of_name("circle")
        .filter_map(|node| node.attribute("cx"))
        .collect();
    assert_eq!(centres, ["5%", "50%"]);
    let shared = of_name("g").filter(|node| node.attribute("class") == Some("is-many"));
    let lines = shared.flat_map(|group| group.children());
    let lines = lines.filter(|node| node.has_tag_name("line")).count();
    assert_eq!(lines, 3, "each change has its line");
    let texts = |name| texts(&svg, name);
    assert!(texts("text").contains(&"×3".to_owned()));
    let titles = texts("title");
    assert!(
        titles.contains(&"3 changes: change <2>; change <3>; change <4>".to_owned()),
        "{titles:?}"
    );
    assert!(titles.contains(&"change <5>".to_owned()), "{titles:?}");
}

#[test]
fn without_data_everything_is_unknown() {
    let svg = chart(vec![line(Shape::Area, &[])]).to_svg();
    assert_eq!(attributes(&svg, "gap", "width"), ["100%"]);
    assert!(attributes(&svg, "line", "d").is_empty());
    assert_eq!(
        texts(&svg, "desc"),
        ["Rides not yet stored. backlog: unknown throughout."]
    );
    assert!(attributes(&chart(Vec::new()).to_svg(), "gap", "x").is_empty());
}

#[test]
fn one_point_is_as_wide_as_its_step() {
    let svg = chart(vec![line(Shape::Area, &known(&[1.0]))]).to_svg();
    assert_eq!(attributes(&svg, "line", "d"), ["M0 0H180"]);
    assert_eq!(attributes(&svg, "area", "d"), ["M0 0H180V100H0Z"]);
    let mut instant = chart(vec![line(Shape::Line, &known(&[1.0]))]);
    (instant.to_ms, instant.step_ms) = (instant.from_ms, 0);
    Document::parse(&instant.to_svg()).unwrap();
}

#[test]
fn hovering_shows_the_mean_of_a_rate_and_the_last_of_a_count() {
    let values = known(&[2.0, 4.0, 8.0, 16.0]);
    let mut chart = chart(vec![
        line(Shape::Line, &values),
        line(Shape::Steps, &values),
    ]);
    chart.lines[1].name = "threads".to_owned();
    (chart.step_ms, chart.to_ms) = (30_000, FROM + 120_000);
    let hover = texts(&chart.to_svg(), "title");
    assert_eq!(
        &hover[1..],
        [
            "10:00 UTC: backlog 3 rides, threads 4 rides",
            "10:01 UTC: backlog 12 rides, threads 16 rides"
        ]
    );
}

proptest! {
    #[test]
    fn any_values_are_drawn(values in prop::collection::vec(prop::option::of(any::<f64>()), 0..12), is_log in any::<bool>(), is_stepped in any::<bool>()) {
        let shape = if is_stepped { Shape::Steps } else { Shape::Area };
        let mut chart = chart(vec![line(shape, &values)]);
        if is_log {
            chart.scale = FluidScale::Log;
        }
        let svg = chart.to_svg();
        prop_assert!(Document::parse(&svg).is_ok(), "{}", svg);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
    }
}
