//! Scatter charts as a browser reads them.

use proptest::prelude::*;
use roxmltree::Document;

use super::*;
use crate::parsed::{attributes, texts};

const HOSTILE: &str = "\"><script>alert('1 & 2')</script>\u{0}";

fn point(x: f64, y: f64, mark: ScatterMark) -> ScatterPoint {
    ScatterPoint {
        x,
        y,
        mark,
        is_on_front: false,
        label: format!("{x} and {y}"),
        visible_label: None,
    }
}

fn chart(points: Vec<ScatterPoint>) -> ScatterChart {
    ScatterChart {
        id: "c".to_owned(),
        title: "Latency against cost".to_owned(),
        description: "One point is recommended.".to_owned(),
        x_label: "$ per million".to_owned(),
        x_quantity: Quantity::Dollars,
        y_quantity: Quantity::Milliseconds,
        objective: Some(150.0),
        points,
    }
}

#[test]
fn a_chart_has_names_axes_an_objective_and_marks() {
    let mut points = vec![
        point(0.030, 130.0, ScatterMark::Recommended),
        point(0.024, 145.0, ScatterMark::Dominated),
        point(0.034, 120.0, ScatterMark::Current),
    ];
    points[0].visible_label = Some(["Recommended".to_owned(), "2 workers".to_owned()]);
    let svg = chart(points).to_svg();
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("viewBox"), None);
    assert_eq!(root.attribute("height"), Some("360"));
    assert_eq!(root.attribute("aria-labelledby"), Some("c-t c-d"));
    assert!(!svg.contains("style="), "{svg}");
    assert_eq!(
        attributes(&svg, "pt", "class"),
        ["pt is-dominated", "pt is-current", "pt is-recommended"]
    );
    let shown = texts(&svg, "text");
    for text in ["$0.024", "120 ms", "Recommended", "2 workers"] {
        assert!(shown.contains(&text.to_owned()), "{text}: {shown:?}");
    }
    assert_eq!(shown.last().map(String::as_str), Some("$ per million"));
    assert_eq!(
        attributes(&svg, "missed", "height"),
        attributes_of_line(&svg)
    );
    assert_eq!(attributes(&svg, "leader", "y1"), ["12"]);
}

/// The height of the line of the objective.
fn attributes_of_line(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let groups = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("threshold"));
    let lines = groups.flat_map(|group| group.children());
    lines
        .filter_map(|line| line.attribute("y1").map(str::to_owned))
        .collect()
}

#[test]
fn the_front_is_a_line_with_steps_and_never_rises() {
    let mut points = vec![
        point(3.0, 100.0, ScatterMark::Front),
        point(1.0, 140.0, ScatterMark::Front),
        point(2.0, 145.0, ScatterMark::Front),
        point(2.0, 110.0, ScatterMark::Dominated),
    ];
    for point in &mut points[..3] {
        point.is_on_front = true;
    }
    let svg = chart(points).to_svg();
    let path = attributes(&svg, "front", "d").remove(0);
    assert!(path.starts_with('M') && path.ends_with("H1000"), "{path}");
    // Of the three points, the middle one is above the first one.
    assert_eq!(path.matches('V').count(), 2, "{path}");
    assert!(attributes(&chart(Vec::new()).to_svg(), "front", "d").is_empty());
}

#[test]
fn a_point_far_above_is_at_the_top_with_its_value() {
    let points = vec![
        point(1.0, 120.0, ScatterMark::Front),
        point(2.0, 130.0, ScatterMark::Dominated),
        point(1.5, 255.0, ScatterMark::Missed),
    ];
    let svg = chart(points.clone()).to_svg();
    assert_eq!(attributes(&svg, "is-failed", "y"), ["10"]);
    assert!(texts(&svg, "text").contains(&"255 ms".to_owned()));
    // Where most miss the objective, the axis includes them.
    let mut missed = chart(points);
    missed.objective = Some(50.0);
    let svg = missed.to_svg();
    assert_ne!(attributes(&svg, "is-failed", "y"), ["10"]);
}

#[test]
fn without_points_or_with_a_single_one_nothing_is_divided_by_zero() {
    for points in [
        Vec::new(),
        vec![point(0.0, 0.0, ScatterMark::Recommended)],
        vec![point(1.0, 7.0, ScatterMark::Current); 3],
        vec![point(f64::NAN, 7.0, ScatterMark::Front)],
    ] {
        for objective in [None, Some(150.0), Some(f64::INFINITY)] {
            let mut chart = chart(points.clone());
            chart.objective = objective;
            let svg = chart.to_svg();
            Document::parse(&svg).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

#[test]
fn labels_that_are_visible_have_a_row_each() {
    let mut points: Vec<ScatterPoint> = [0.1, 0.2, 0.3]
        .into_iter()
        .map(|x| point(x, 140.0, ScatterMark::RunnerUp))
        .collect();
    for point in &mut points {
        point.visible_label = Some(["a".to_owned(), "b".to_owned()]);
    }
    assert_eq!(
        label_slots(&points),
        [Some(335.0), Some(299.0), Some(263.0)]
    );
}

#[test]
fn foreign_text_stays_text() {
    let mut points = vec![point(1.0, 100.0, ScatterMark::Recommended)];
    points[0].label = HOSTILE.to_owned();
    points[0].visible_label = Some([HOSTILE.to_owned(), HOSTILE.to_owned()]);
    let svg = ScatterChart {
        id: HOSTILE.to_owned(),
        title: HOSTILE.to_owned(),
        description: HOSTILE.to_owned(),
        x_label: HOSTILE.to_owned(),
        ..chart(points)
    }
    .to_svg();
    assert!(!svg.contains("<script") && !svg.contains('\0'), "{svg}");
    let shown = HOSTILE.replace('\0', "\u{FFFD}");
    assert_eq!(texts(&svg, "desc"), [shown.as_str()]);
    let titles = texts(&svg, "title");
    assert_eq!(titles.iter().filter(|title| **title == shown).count(), 2);
    let labels = texts(&svg, "text");
    assert_eq!(labels.iter().filter(|label| **label == shown).count(), 3);
}

proptest! {
    #[test]
    fn any_values_are_drawn(values in prop::collection::vec((any::<f64>(), any::<f64>(), any::<bool>()), 0..12), objective in prop::option::of(any::<f64>())) {
        let points = values.iter().map(|(x, y, is_on_front)| ScatterPoint {
            is_on_front: *is_on_front,
            label: String::new(),
            visible_label: is_on_front.then(|| ["a".to_owned(), "b".to_owned()]),
            ..point(*x, *y, ScatterMark::Front)
        });
        let mut chart = chart(points.collect());
        chart.objective = objective;
        let svg = chart.to_svg();
        prop_assert!(Document::parse(&svg).is_ok(), "{}", svg);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
    }
}
