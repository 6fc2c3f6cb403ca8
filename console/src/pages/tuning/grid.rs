//! The points of a sweep as a grid: workers in rows, threads in columns, grouped by instance type, API nodes and batch.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Names, ms, usd, value_of};
use crate::pages::html::{Markup, icon, key, markup};
use crate::view::figures::{counted, grouped};
use crate::view::tuning::{InstanceType, PointConfig, PointStanding, PointView, SweepView};

/// Type of the workers, number of API nodes and batch of a group of columns.
type GroupKey = (Option<InstanceType>, u32, u32);

/// The grid.
pub(super) struct Grid {
    /// Names of the groups of columns; empty if there is only one.
    pub(super) groups: Vec<String>,
    /// Columns of each group.
    pub(super) span: usize,
    /// Names of all columns.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<GridRow>,
}

/// A number of workers.
pub(super) struct GridRow {
    pub(super) workers: String,
    pub(super) cells: Vec<Cell>,
}

/// A point.
pub(super) struct Cell {
    /// Unique on the page.
    pub(super) id: String,
    pub(super) class: &'static str,
    pub(super) icon: Markup,
    /// Its latency; empty if it is not known.
    pub(super) value: String,
    pub(super) note: String,
}

impl Grid {
    /// The grid of a sweep; `None` if it has no points yet.
    pub(super) fn of(view: &SweepView) -> Option<Self> {
        let measured: BTreeMap<PointConfig, &PointView> = view
            .points
            .iter()
            .map(|point| (point.config, point))
            .collect();
        let now = view.progress.as_ref().and_then(|progress| progress.point);
        let measured_configs = measured.keys().copied();
        let all: BTreeSet<PointConfig> = measured_configs
            .chain(view.pending.iter().copied())
            .chain(now)
            .collect();
        if all.is_empty() {
            return None;
        }
        let groups: BTreeSet<GroupKey> = all
            .iter()
            .map(|of| (of.worker_type, of.api, of.batch))
            .collect();
        let threads: BTreeSet<u32> = all.iter().map(|of| of.threads).collect();
        let workers: BTreeSet<u32> = all.iter().map(|of| of.workers).collect();
        let names = Names::of(view);
        let name = |(worker_type, api, batch): &GroupKey| {
            let mut words: Vec<String> = worker_type.iter().map(ToString::to_string).collect();
            words.push(counted((*api).into(), "API node", "API nodes"));
            if names.has_batches {
                words.push(format!("batch {}", grouped((*batch).into())));
            }
            words.join(", ")
        };
        let column = |threads: &u32| counted((*threads).into(), "thread", "threads");
        let cell = |workers: u32, (worker_type, api, batch): GroupKey, threads: u32| {
            let config = PointConfig {
                api,
                workers,
                threads,
                batch,
                worker_type,
            };
            let id = format!("tu-{}", key(&value_of(config)));
            if now == Some(config) {
                return measuring(id, measured.get(&config).copied());
            }
            match measured.get(&config) {
                Some(point) => of_point(id, point, view.spec.objective.p99_ms),
                None if all.contains(&config) => plain(id, "is-pending", icon("wait"), "pending"),
                None => plain(id, "is-none", markup(String::new()), "–"),
            }
        };
        // All columns: the threads of one group after the other.
        let mut places: Vec<(GroupKey, u32)> = Vec::new();
        for group in &groups {
            places.extend(threads.iter().map(|threads| (*group, *threads)));
        }
        let rows = workers.iter().map(|workers| GridRow {
            workers: grouped((*workers).into()),
            cells: places
                .iter()
                .map(|(group, threads)| cell(*workers, *group, *threads))
                .collect(),
        });
        Some(Self {
            rows: rows.collect(),
            columns: places.iter().map(|(_, threads)| column(threads)).collect(),
            span: threads.len(),
            groups: groups.iter().map(name).collect(),
        })
    }
}

fn plain(id: String, class: &'static str, icon: Markup, note: &str) -> Cell {
    Cell {
        id,
        class,
        icon,
        value: String::new(),
        note: note.to_owned(),
    }
}

fn p99(point: &PointView) -> String {
    let p99 = point.p99_ms.as_ref();
    p99.map_or_else(String::new, |of| format!("{} ms", ms(of.mean)))
}

fn measuring(id: String, so_far: Option<&PointView>) -> Cell {
    Cell {
        id,
        class: "is-measuring",
        icon: icon("run"),
        value: so_far.map_or_else(String::new, p99),
        note: "measuring".to_owned(),
    }
}

fn of_point(id: String, point: &PointView, objective: Option<f64>) -> Cell {
    let is_too_slow = || {
        let p99 = point.p99_ms.zip(objective);
        p99.is_some_and(|(p99, most)| p99.mean > most)
    };
    let (class, name, note) = match point.standing {
        _ if point.failed.is_some() => ("is-missed", "bad", "failed".to_owned()),
        PointStanding::Misses if is_too_slow() => ("is-missed", "lost", "too slow".to_owned()),
        PointStanding::Misses => ("is-missed", "lost", "misses".to_owned()),
        PointStanding::Unknown => ("is-missed", "unknown", "does not count".to_owned()),
        _ => {
            let cost = point.usd_per_million;
            let note = cost.map_or_else(|| usd(None), |cost| format!("${}", usd(Some(cost))));
            ("is-met", "ok", note)
        }
    };
    Cell {
        id,
        class,
        icon: icon(name),
        value: p99(point),
        note,
    }
}
