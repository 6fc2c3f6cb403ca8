//! Sweeps in the web console: the form, and reports of sweeps with no points, with usual ones, with many, and with text that is markup.

use axum::http::StatusCode;
use scraper::{Html, Selector};

use super::{page, post, session_of, texts, value};
use crate::pages::tuning::file;
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;
use crate::view::tuning::{
    CurvePoint, MeasuredFigure, PointConfig, PointStanding, PointView, RecommendationView, RunView,
    ScalingModel, ScalingPoint, SweepEnvironment, SweepSpec, SweepState, SweepView,
};

const HOSTILE: &str = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>'\"";

fn config(workers: u32, threads: u32) -> PointConfig {
    PointConfig {
        api: 2,
        workers,
        threads,
        batch: 500,
        worker_type: None,
    }
}

fn figure(mean: f64) -> MeasuredFigure {
    MeasuredFigure {
        mean,
        low: Some(mean - 4.0),
        high: Some(mean + 4.0),
    }
}

fn point(config: PointConfig, standing: PointStanding, usd: Option<f64>, p99_ms: f64) -> PointView {
    PointView {
        config,
        standing,
        is_on_front: false,
        is_current: false,
        failed: None,
        stored_per_s: Some(figure(12_000.0)),
        p99_ms: Some(figure(p99_ms)),
        saturation_per_s: Some(figure(36_500.0)),
        with_one_worker_less_per_s: Some(25_400.0),
        usd_per_h: usd.map(|usd| usd * 43.0),
        usd_per_million: usd,
        cpu_s_per_million: Some(80.0 + p99_ms / 10.0),
        runs: vec![RunView {
            repeat: 1,
            lost_messages: Some(0),
            duplicate_rides: Some(1),
            ..RunView::default()
        }],
    }
}

fn sweep(points: Vec<PointView>) -> SweepView {
    let mut spec = SweepSpec::default();
    spec.load.rate = Some(12_000.0);
    spec.objective.p99_ms = Some(150.0);
    SweepView {
        id: "t8".to_owned(),
        state: SweepState::Finished,
        message: None,
        settings_message: Some("what was set before is restored".to_owned()),
        spec,
        created_by: "anna".to_owned(),
        started_at_ms: 1_766_829_600_000,
        ended_at_ms: Some(1_766_833_200_000),
        spent_usd: Some(1.2),
        progress: None,
        before: config(5, 4),
        points,
        pending: Vec::new(),
        recommendation: None,
        threads_model: ScalingModel {
            error: Some("3 numbers of threads are not enough".to_owned()),
            ..ScalingModel::default()
        },
        workers_model: ScalingModel::default(),
        bottleneck: None,
        environment: SweepEnvironment::default(),
    }
}

/// A recommended point, a runner-up, the current one, one that misses the objective, and one that failed.
fn usual() -> SweepView {
    let mut points = vec![
        point(
            config(2, 8),
            PointStanding::Recommended,
            Some(0.0246),
            121.0,
        ),
        point(config(3, 8), PointStanding::RunnerUp, Some(0.0265), 119.0),
        point(config(5, 4), PointStanding::Meets, Some(0.0342), 117.0),
        point(config(2, 2), PointStanding::Misses, Some(0.0246), 255.0),
        point(config(2, 1), PointStanding::Unknown, None, 900.0),
    ];
    points[0].is_on_front = true;
    points[2].is_current = true;
    points[4].failed = Some("the backlog grew".to_owned());
    let mut sweep = sweep(points);
    sweep.recommendation = Some(RecommendationView {
        point: config(2, 8),
        is_certain: true,
        runner_up: Some(config(3, 8)),
        cost_change: Some(-0.28),
        is_latency_different: Some(false),
    });
    let curve = (1..=32).map(|n| CurvePoint {
        n: f64::from(n),
        rate: f64::from(n) * 1_000.0,
        low: Some(f64::from(n) * 900.0),
        high: Some(f64::from(n) * 1_100.0),
    });
    sweep.threads_model = ScalingModel {
        measured: [4.0, 4.0, 16.0]
            .map(|n| ScalingPoint {
                n,
                rate: n * 1_000.0,
            })
            .into(),
        curve: curve.collect(),
        words: Some("One thread stores 1,000 rides/s".to_owned()),
        r_squared: Some(0.998),
        peak: Some(30.0),
        ..ScalingModel::default()
    };
    sweep
}

/// The report as a file, which needs nothing from elsewhere and has no figure that is none.
fn report(sweep: &SweepView) -> Html {
    let text = file::document(sweep).unwrap();
    let shown = Html::parse_document(&text);
    for selector in [
        "script",
        "link",
        "img",
        "form",
        "button",
        "[onerror]",
        "[style]",
        "[src]",
        "[href]:not(use)",
    ] {
        assert_eq!(texts(&shown, selector), [""; 0], "{selector}");
    }
    assert_eq!(texts(&shown, "style").len(), 1);
    let main: String = texts(&shown, "main").concat();
    for word in main.split(|c: char| !c.is_alphanumeric()) {
        assert!(!["NaN", "inf", "None", "Some"].contains(&word), "{word}");
    }
    let ids = Selector::parse("[id]").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for element in shown.select(&ids) {
        assert!(seen.insert(element.attr("id").unwrap()), "{element:?}");
    }
    shown
}

fn verdict(shown: &Html) -> String {
    texts(shown, ".verdict-message").concat()
}

#[test]
fn without_points_a_report_says_so() {
    let shown = report(&sweep(Vec::new()));
    assert_eq!(verdict(&shown), "Nothing was measured.");
    assert_eq!(texts(&shown, ".empty strong"), ["No point was measured."]);
    assert_eq!(texts(&shown, "svg.plot"), [""; 0]);
    assert!(texts(&shown, ".hint")[0].contains("3 numbers of threads are not enough"));
}

#[test]
fn a_usual_report_recommends_compares_and_draws() {
    let shown = report(&usual());
    assert_eq!(
        verdict(&shown),
        "2 workers with 8 threads and 2 API nodes meet the objective at 28 % lower cost."
    );
    let facts = texts(&shown, ".verdict-facts").concat();
    assert!(
        facts.contains("$0.0246 instead of $0.0342") && facts.contains("121 ms (117 to 125)"),
        "{facts}"
    );
    assert_eq!(
        texts(&shown, ".compare thead th"),
        ["Recommended", "Runner-up", "Current"]
    );
    let compared = texts(&shown, ".compare tbody td");
    for text in ["2 × 8", "0.0246", "−28 %", "0, 1"] {
        assert!(
            compared.iter().any(|cell| cell == text),
            "{text}: {compared:?}"
        );
    }
    assert_eq!(texts(&shown, "svg.plot").len(), 2);
    assert_eq!(texts(&shown, "svg.plot .pt.is-recommended").len(), 2);
    assert_eq!(texts(&shown, "path.line.front").len(), 1);
    assert_eq!(
        texts(&shown, ".obs").len(),
        2,
        "measurements of 4 threads are one"
    );
    assert_eq!(texts(&shown, "tr.is-pick").len(), 1);
    assert!(texts(&shown, "main").concat().contains("The backlog grew."));
}

#[test]
fn without_prices_the_chart_shows_cpu_time() {
    let mut sweep = usual();
    for point in &mut sweep.points {
        (point.usd_per_h, point.usd_per_million) = (None, None);
    }
    if let Some(found) = &mut sweep.recommendation {
        found.cost_change = None;
    }
    let shown = report(&sweep);
    let titles = texts(&shown, ".axis-title");
    assert_eq!(titles[0], "CPU seconds per million stored rides");
    assert!(
        texts(&shown, "main")
            .concat()
            .contains("Prices are unknown")
    );
    assert_eq!(
        verdict(&shown),
        "2 workers with 8 threads and 2 API nodes meet the objective."
    );
}

#[test]
fn where_no_point_meets_the_objective_the_nearest_one_is_named() {
    let shown = report(&sweep(vec![
        point(config(2, 2), PointStanding::Misses, Some(0.02), 255.0),
        point(config(3, 2), PointStanding::Misses, Some(0.03), 180.0),
    ]));
    assert_eq!(verdict(&shown), "No point meets the objective.");
    let facts = texts(&shown, ".verdict-facts").concat();
    assert!(
        facts.contains("3 workers with 2 threads and 2 API nodes, p99 180 ms"),
        "{facts}"
    );
}

#[test]
fn many_points_are_all_listed() {
    let points = (1..=200).map(|n| {
        let usd = 0.02 + f64::from(n) / 10_000.0;
        let standing = PointStanding::Meets;
        point(
            config(1 + n / 16, 1 + n % 16),
            standing,
            Some(usd),
            90.0 + f64::from(n % 50),
        )
    });
    let shown = report(&sweep(points.collect()));
    assert_eq!(texts(&shown, "svg.plot .pt").len(), 200);
    assert!(texts(&shown, "table.is-tight tbody tr").len() == 200);
}

#[test]
fn foreign_text_stays_text() {
    let mut sweep = usual();
    sweep.created_by = HOSTILE.to_owned();
    sweep.message = Some(HOSTILE.to_owned());
    sweep.settings_message = Some(HOSTILE.to_owned());
    sweep.spec.load.target = Some(HOSTILE.to_owned());
    sweep.bottleneck = Some(HOSTILE.to_owned());
    sweep.threads_model.words = Some(HOSTILE.to_owned());
    sweep.threads_model.error = Some(HOSTILE.to_owned());
    sweep.points[4].failed = Some(HOSTILE.to_owned());
    let of = &mut sweep.environment;
    for text in [
        &mut of.version,
        &mut of.stack,
        &mut of.engine,
        &mut of.prices_date,
    ] {
        HOSTILE.clone_into(text);
    }
    (of.region, of.instance_types) = (Some(HOSTILE.to_owned()), vec![HOSTILE.to_owned()]);
    let shown = report(&sweep);
    assert!(
        texts(&shown, "main")
            .concat()
            .contains("<script>alert(1)</script>")
    );
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let shown = page(&console, "/tuning", &operator).await;
    assert_eq!(verdict(&shown), "No sweep is running.");
    for (fields, expected) in [
        (
            "threads=2%3B4&p99_ms=150",
            "Threads must be numbers such as 2, 4, 8, not \"2;4\". Nothing was changed.",
        ),
        (
            "threads=2%2C4",
            "An objective is missing: enter the maximum p99, the minimum rate, or both. Nothing was changed.",
        ),
    ] {
        let form = format!("form=start&page=%2Ftuning&workers=2%2C3&latency=request&{fields}");
        let (status, _, shown) = post(&console, "/tuning", &operator, &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(texts(&shown, "h1"), ["Tuning"]);
        assert_eq!(texts(&shown, "#tu-new [role=alert]"), [expected]);
        assert_eq!(value(&shown, "#tf-workers"), "2,3");
        assert_eq!(texts(&shown, "#tf-latency [selected]"), ["request"]);
    }
    let viewer = session_of(&console, UserRole::Viewer).await;
    let form = "form=start&page=%2Ftuning&p99_ms=150";
    let (status, _, _) = post(&console, "/tuning", &viewer, form).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_sweep_that_does_not_exist_is_an_error_page() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    for path in ["/tuning/t9", "/tuning/t9.csv", "/tuning/nothing.html"] {
        let headers = [("cookie", operator.as_str())];
        let (status, _, _) = console.browse("GET", path, &headers, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    for (path, form, expected) in [
        ("/tuning/t9/stop", "", StatusCode::NOT_FOUND),
        ("/tuning/t9/resume", "", StatusCode::NOT_FOUND),
        ("/tuning/t9/plan", "point=1-1-1-1", StatusCode::NOT_FOUND),
        ("/tuning/t9/plan", "point=one", StatusCode::BAD_REQUEST),
    ] {
        let (status, _, _) = post(&console, path, &operator, form).await;
        assert_eq!(status, expected, "{path}");
    }
}
