//! Curves as a browser reads them.

use proptest::prelude::*;
use roxmltree::Document;

use super::*;
use crate::parsed::{attributes, texts};

const HOSTILE: &str = "\"><script>alert('1 & 2')</script>\u{0}";

fn observation_of(n: f64, mean: f64) -> Observation {
    Observation {
        n,
        mean,
        interval: Some((mean - 5.0, mean + 5.0)),
        label: format!("{n} threads"),
    }
}

fn at(n: f64, rate: f64) -> CurvePosition {
    CurvePosition {
        n,
        rate,
        interval: Some((rate - 10.0, rate + 10.0)),
    }
}

fn chart() -> CurveChart {
    CurveChart {
        id: "c".to_owned(),
        title: "Rate against threads".to_owned(),
        description: "It rises.".to_owned(),
        x_label: "worker threads".to_owned(),
        measured: vec![observation_of(1.0, 50.0), observation_of(2.0, 80.0)],
        curve: vec![at(1.0, 50.0), at(2.0, 80.0), at(3.0, 90.0), at(4.0, 85.0)],
        peak: Some(3.2),
        thresholds: vec![FluidThreshold {
            name: "incoming: 40".to_owned(),
            value: 40.0,
            is_calm: true,
        }],
        marks: vec![CurveMark {
            n: 2.0,
            rate: 80.0,
            mark: ScatterMark::Recommended,
            label: "recommended: 2 threads".to_owned(),
        }],
    }
}

fn empty() -> CurveChart {
    CurveChart {
        measured: Vec::new(),
        curve: Vec::new(),
        peak: None,
        thresholds: Vec::new(),
        marks: Vec::new(),
        ..chart()
    }
}

#[test]
fn a_curve_is_dashed_beyond_what_was_measured() {
    let svg = chart().to_svg();
    // 250 units per thread, 3.6 px per ride.
    assert_eq!(
        attributes(&svg, "line", "d"),
        ["M250 180L500 72", "M500 72L750 36L1000 54"]
    );
    assert_eq!(attributes(&svg, "dash", "d"), ["M500 72L750 36L1000 54"]);
    let band = attributes(&svg, "area", "d").remove(0);
    assert!(
        band.starts_with("M250 144L") && band.ends_with("L250 216Z"),
        "{band}"
    );
    assert_eq!(attributes(&svg, "pt", "x"), ["50%"]);
    let titles = texts(&svg, "title");
    for title in [
        "Rate against threads",
        "incoming: 40",
        "1 threads",
        "recommended: 2 threads",
    ] {
        assert!(titles.contains(&title.to_owned()), "{title}: {titles:?}");
    }
    let shown = texts(&svg, "text");
    assert!(shown.contains(&"peak 3".to_owned()), "{shown:?}");
    assert_eq!(shown.last().map(String::as_str), Some("worker threads"));
    let document = Document::parse(&svg).unwrap();
    assert_eq!(document.root_element().attribute("viewBox"), None);
    assert!(!svg.contains("style="), "{svg}");
}

#[test]
fn a_threshold_far_above_does_not_flatten_the_curve() {
    let mut chart = chart();
    chart.thresholds[0].value = 5_000.0;
    let svg = chart.to_svg();
    assert!(attributes(&svg, "threshold", "class").is_empty());
    assert!(!texts(&svg, "text").contains(&"5,000".to_owned()));
}

#[test]
fn without_a_curve_what_was_measured_is_shown() {
    let svg = CurveChart {
        curve: Vec::new(),
        ..chart()
    }
    .to_svg();
    assert!(attributes(&svg, "line", "d").is_empty());
    assert_eq!(attributes(&svg, "obs", "class").len(), 2);
    for chart in [
        empty(),
        CurveChart {
            measured: vec![observation_of(0.0, 0.0)],
            ..empty()
        },
        CurveChart {
            measured: vec![observation_of(f64::NAN, 1.0)],
            curve: vec![at(1.0, 1.0)],
            peak: Some(f64::INFINITY),
            ..chart()
        },
    ] {
        let svg = chart.to_svg();
        Document::parse(&svg).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn foreign_text_stays_text() {
    let mut chart = chart();
    chart.id = HOSTILE.to_owned();
    chart.title = HOSTILE.to_owned();
    chart.description = HOSTILE.to_owned();
    chart.x_label = HOSTILE.to_owned();
    chart.measured[0].label = HOSTILE.to_owned();
    chart.thresholds[0].name = HOSTILE.to_owned();
    chart.marks[0].label = HOSTILE.to_owned();
    let svg = chart.to_svg();
    assert!(!svg.contains("<script") && !svg.contains('\0'), "{svg}");
    let shown = HOSTILE.replace('\0', "\u{FFFD}");
    let titles = texts(&svg, "title");
    assert_eq!(titles.iter().filter(|title| **title == shown).count(), 4);
}

proptest! {
    #[test]
    fn any_values_are_drawn(values in prop::collection::vec((any::<f64>(), any::<f64>()), 0..12), peak in prop::option::of(any::<f64>())) {
        let mut chart = empty();
        for (n, rate) in values {
            chart.measured.push(Observation { n, mean: rate, interval: Some((rate, n)), label: String::new() });
            chart.curve.push(CurvePosition { n, rate, interval: Some((n, rate)) });
            chart.marks.push(CurveMark { n, rate, mark: ScatterMark::Current, label: String::new() });
            chart.thresholds.push(FluidThreshold { name: String::new(), value: rate, is_calm: true });
        }
        chart.peak = peak;
        let svg = chart.to_svg();
        prop_assert!(Document::parse(&svg).is_ok(), "{}", svg);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
    }
}
