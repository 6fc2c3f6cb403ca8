//! Charts as others get them: files, fragments of pages, tables.

use proptest::prelude::*;
use skilift_plot::{
    Middle, Panel, Quantity, STYLESHEET, Series, Shade, Shape, Threshold, TimeChart, Tone, YScale,
};

fn series(name: &str, tone: Tone, shape: Shape, values: &[Option<f64>]) -> Series {
    Series {
        name: name.into(),
        tone,
        shape,
        middle: Middle::Mean,
        values: values.into(),
    }
}

fn panel(quantity: Quantity, series: Vec<Series>) -> Panel {
    Panel {
        heading: "rides per second".into(),
        quantity,
        scale: YScale::LogWhenWide,
        height: 90,
        series,
        thresholds: Vec::new(),
        shades: Vec::new(),
    }
}

fn chart(panels: Vec<Panel>) -> TimeChart {
    TimeChart {
        id: "lifts".into(),
        title: "Lifts & gates".into(),
        subtitle: "a quiet morning".into(),
        description: "How many rides per second.".into(),
        notes: vec!["Of one resort.".into()],
        width: 400,
        panels,
    }
}

/// A bit of everything.
fn small() -> TimeChart {
    let (first, second) = (
        [Some(3.0), Some(8.0), None, Some(5.0)],
        [Some(2.0), None, Some(1.0), Some(5.0)],
    );
    let mut above = panel(
        Quantity::Count,
        vec![
            series("applied", Tone::Blue, Shape::Area, &first),
            series("sent", Tone::Grey, Shape::Line, &second),
        ],
    );
    above.thresholds.push(Threshold {
        name: "most".into(),
        value: 9.0,
    });
    above.shades.push(Shade {
        name: "lunch".into(),
        seconds: vec![false, true, true],
    });
    let share = [Some(0.25), Some(1.0)];
    let below = panel(
        Quantity::Share,
        vec![series("open", Tone::Purple, Shape::Steps, &share)],
    );
    chart(vec![above, below])
}

/// 1,000 seconds with one peak.
fn long() -> TimeChart {
    let values: Vec<_> = (0..1_000)
        .map(|at| Some(if at == 777 { 90.0 } else { 10.0 }))
        .collect();
    let series = series("p99", Tone::Orange, Shape::Line, &values);
    chart(vec![panel(Quantity::Milliseconds, vec![series])])
}

#[test]
fn a_small_chart_is_drawn_like_this() {
    insta::assert_snapshot!(small().to_fragment());
}

#[test]
fn a_file_is_the_fragment_with_its_size_its_styles_and_a_ground() {
    let (file, fragment) = (small().to_document(), small().to_fragment());
    let bare = file
        .replace(&format!("<style>{STYLESHEET}</style>\n"), "")
        .replace(
            r#"<rect class="plot-ground" height="392" width="400"/>"#,
            "",
        )
        .replace("\n\n", "\n")
        .replacen(r#" height="392""#, "", 1)
        .replacen(r#" width="400""#, "", 1);
    assert_eq!(bare, fragment);
}

#[test]
fn a_table_tells_what_is_drawn() {
    let table = small().to_table();
    let mut text = table.head.join(" | ");
    for row in &table.rows {
        let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("unknown"));
        text = format!("{text}\n{}", cells.collect::<Vec<_>>().join(" | "));
    }
    insta::assert_snapshot!(text, @r"
    from (seconds) | applied | sent | open
    0 | 3 | 2 | 25.0 %
    1 | 8 | unknown | 100 %
    2 | unknown | 1 | unknown
    3 | 5 | 5 | unknown
    ");
}

#[test]
fn a_long_chart_keeps_its_peak() {
    let table = long().to_table();
    assert_eq!(
        table.head.join(" | "),
        "from (minutes:seconds) | p99, mean | p99, lowest | p99, highest"
    );
    assert_eq!(table.rows.len(), 200);
    let peak = table
        .rows
        .iter()
        .find(|row| row[3].as_deref() == Some("90 ms"));
    let peak: Vec<_> = peak.unwrap().iter().flatten().map(String::as_str).collect();
    assert_eq!(peak, ["12:55", "26 ms", "10 ms", "90 ms"]);
    let fragment = long().to_fragment();
    assert!(fragment.contains("Each point covers 5 s"), "{fragment}");
}

fn any_series() -> impl Strategy<Value = Series> {
    let number = prop_oneof![
        4 => (0.0..1e5).prop_map(Some),
        1 => any::<f64>().prop_map(Some),
        1 => Just(None),
    ];
    let shape = prop_oneof![Just(Shape::Line), Just(Shape::Area), Just(Shape::Steps)];
    let values = prop::collection::vec(number, 0..900);
    (any::<String>(), shape, values).prop_map(|(name, shape, values)| Series {
        name,
        tone: Tone::Green,
        shape,
        middle: Middle::Median,
        values,
    })
}

fn any_panel() -> impl Strategy<Value = Panel> {
    let quantity = prop_oneof![
        Just(Quantity::Count),
        Just(Quantity::Milliseconds),
        Just(Quantity::Share)
    ];
    let scale = prop_oneof![Just(YScale::Linear), Just(YScale::LogWhenWide)];
    let shades = prop::collection::vec(any::<bool>(), 0..50);
    let series = prop::collection::vec(any_series(), 0..4);
    (
        any::<String>(),
        quantity,
        scale,
        1..400_u32,
        series,
        any::<f64>(),
        shades,
    )
        .prop_map(
            |(heading, quantity, scale, height, series, value, seconds)| Panel {
                heading: heading.clone(),
                quantity,
                scale,
                height,
                series,
                thresholds: vec![Threshold {
                    name: heading.clone(),
                    value,
                }],
                shades: vec![Shade {
                    name: heading,
                    seconds,
                }],
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_and_any_text_make_a_picture(
        text in ".*<&>\"'\\PC*",
        width in 0..2_000_u32,
        panels in prop::collection::vec(any_panel(), 0..3),
    ) {
        let chart = TimeChart {
            id: text.clone(),
            title: text.clone(),
            subtitle: text.clone(),
            description: text.clone(),
            notes: vec![text],
            width,
            panels,
        };
        let fragment = chart.to_fragment();
        for picture in [chart.to_document(), fragment.clone()] {
            let read = roxmltree::Document::parse(&picture);
            prop_assert!(read.is_ok(), "{:?} in {}", read, picture);
            let read = read.unwrap();
            for node in read.descendants().filter(|node| node.is_element()) {
                prop_assert!(node.attribute("style").is_none() && node.tag_name().name() != "script");
                for geometry in ["x", "y", "d", "cx", "cy", "x1", "y1", "x2", "y2", "width", "height", "viewBox"] {
                    let value = node.attribute(geometry).unwrap_or_default();
                    prop_assert!(!value.contains("NaN") && !value.contains("inf"), "{}", value);
                }
                // 400 points, there and back, with two corners each.
                let points = node.attribute("d").unwrap_or_default().matches(['L', 'M']).count();
                prop_assert!(points <= 1_602 || node.parent().unwrap().attribute("class") == Some("plot-muted"), "{}", points);
            }
            let title = read.descendants().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")));
            prop_assert!(title.unwrap().text().unwrap().contains("<&>\"'"));
        }
        prop_assert!(!fragment.contains("<style"), "a page's policy forbids styles in it");
        let table = chart.to_table();
        prop_assert!(table.rows.iter().all(|row| row.len() == table.head.len()));
    }
}
