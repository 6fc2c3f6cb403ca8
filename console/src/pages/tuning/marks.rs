//! How a point is marked, in charts and in tables.

use skilift_plot::ScatterMark;

use crate::pages::html::{Markup, markup};
use crate::view::tuning::{PointStanding, PointView};

/// The mark of a point.
pub(super) fn mark(point: &PointView) -> ScatterMark {
    match point.standing {
        PointStanding::Recommended => ScatterMark::Recommended,
        PointStanding::RunnerUp => ScatterMark::RunnerUp,
        _ if point.is_current => ScatterMark::Current,
        PointStanding::Misses | PointStanding::Unknown => ScatterMark::Missed,
        _ if point.is_on_front => ScatterMark::Front,
        _ => ScatterMark::Dominated,
    }
}

/// How a point stands, in words.
pub(super) fn standing(point: &PointView) -> String {
    let mut words = vec![point.standing.words()];
    if point.is_current {
        words.push("current");
    }
    if point.is_on_front {
        words.push("not dominated");
    }
    words.join(", ")
}

/// The mark in a legend or a table.
pub(super) fn key(mark: ScatterMark) -> Markup {
    let shape = match mark {
        ScatterMark::Missed => r#"<path class="mark" d="m4.5 3.5 9 9m0-9-9 9"/>"#,
        ScatterMark::Dominated | ScatterMark::Front => {
            r#"<circle class="mark" cx="9" cy="8" r="4.5"/>"#
        }
        ScatterMark::Current => r#"<path class="mark" d="M9 1.5 15.5 13.5h-13Z"/>"#,
        ScatterMark::RunnerUp => r#"<path class="mark" d="M9 1.5 15.5 8 9 14.5 2.5 8Z"/>"#,
        ScatterMark::Recommended => {
            r#"<circle class="ring" cx="9" cy="8" r="7"/><circle class="mark" cx="9" cy="8" r="4.5"/>"#
        }
    };
    markup(format!(
        r#"<svg class="key pt {}" viewBox="0 0 18 16" aria-hidden="true">{shape}</svg>"#,
        mark.class()
    ))
}
