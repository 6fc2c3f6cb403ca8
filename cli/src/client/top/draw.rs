//! How the screen looks. It fits 80 columns by 24 lines, and is of use from 40 columns on.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use skilift_console::view::alarm::{AlarmView, Severity};
use skilift_console::view::figures::{grouped, printable};
use skilift_console::view::nodes::{NodeState, NodeView};
use skilift_console::view::queue::{HistoryPoint, QueueView, Trend};

use super::screen::{Answer, Screen, Sort};
use crate::client::figures::{TerminalStyle, cores, percent, reading, span};

/// Columns from which figures are beside each other and charts are shown.
const WIDE: u16 = 60;
/// Age of an answer from which it is marked as old, in milliseconds.
const OLD_MS: u64 = 3_000;
/// Maximum alarms that are shown.
const MAX_ALARMS: usize = 4;
/// Lines of a chart, with its title.
const CHART: u16 = 4;

/// Figures are written as on a terminal.
const FIGURES: TerminalStyle = TerminalStyle {
    terminal: true,
    colour: false,
    width: None,
};

/// Draws the screen.
pub(super) fn draw(screen: &mut Screen, frame: &mut Frame<'_>) {
    let area = frame.area();
    let is_wide = area.width >= WIDE;
    let Some(answer) = screen.answer().cloned() else {
        let why = screen.error().map_or_else(
            || "waiting for the console".to_owned(),
            |error| error.to_string(),
        );
        frame.render_widget(Paragraph::new(printable(&why)), area);
        return;
    };
    let alarms = alarm_lines(screen, &answer.queue.alarms);
    let figures = figures(&answer.queue);
    let figure_lines = if is_wide {
        figures.len().div_ceil(2)
    } else {
        figures.len()
    };
    let has_charts = is_wide && area.height >= 20;
    let [head, alarm_area, figure_area, chart_area, node_area, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(alarms.len() as u16),
        Constraint::Length(figure_lines as u16 + 1),
        Constraint::Length(if has_charts { CHART } else { 0 }),
        Constraint::Min(2),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(screen, &answer, frame, head);
    frame.render_widget(Paragraph::new(alarms), alarm_area);
    draw_figures(figures, is_wide, frame, figure_area);
    if has_charts {
        draw_charts(screen, &answer.history, frame, chart_area);
    }
    draw_nodes(screen, frame, node_area);
    let keys = if is_wide {
        "q quit  s sort  r reverse  p pause  ↑↓ PgUp PgDn scroll"
    } else {
        "q quit  s sort  r reverse  p pause"
    };
    frame.render_widget(Paragraph::new(keys).style(dim()), foot);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A colour, if colours are allowed.
fn in_colour(screen: &Screen, colour: Color) -> Style {
    if screen.colour {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

fn draw_head(screen: &Screen, answer: &Answer, frame: &mut Frame<'_>, area: Rect) {
    let age = screen.age_ms().unwrap_or(0);
    let mut state = format!("{} ago", span(age));
    let mut style = dim();
    if let Some(error) = screen.error() {
        state = format!("{state}: {error}");
        style = in_colour(screen, Color::Red).add_modifier(Modifier::BOLD);
    } else if screen.is_paused() {
        state = format!("paused, {state}");
        style = in_colour(screen, Color::Yellow);
    } else if age >= OLD_MS {
        style = in_colour(screen, Color::Yellow);
    }
    let title = format!("{} on {}", answer.queue.stack, answer.queue.engine);
    let width = u16::try_from(title.chars().count()).unwrap_or(u16::MAX);
    let [left, right] =
        Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(printable(&title)).style(bold), left);
    let state = Paragraph::new(format!(" {}", printable(&state))).style(style);
    frame.render_widget(state.alignment(Alignment::Right), right);
}

fn alarm_lines<'a>(screen: &Screen, alarms: &[AlarmView]) -> Vec<Line<'a>> {
    if alarms.is_empty() {
        let ok = in_colour(screen, Color::Green);
        return vec![Line::styled("OK: no alarms", ok)];
    }
    let line = |alarm: &AlarmView| {
        let style = match (alarm.severity, &alarm.acknowledged) {
            (_, Some(_)) => dim(),
            (Severity::Critical, None) => {
                in_colour(screen, Color::Red).add_modifier(Modifier::BOLD)
            }
            (Severity::Warning, None) => in_colour(screen, Color::Yellow),
            (Severity::Info, None) => Style::new(),
        };
        let text = format!("{}: {}", alarm.severity, alarm.message);
        Line::styled(printable(&text), style)
    };
    let mut lines: Vec<Line<'_>> = alarms.iter().take(MAX_ALARMS).map(line).collect();
    if alarms.len() > MAX_ALARMS {
        let more = format!("and {} more: skictl status", alarms.len() - MAX_ALARMS);
        lines.push(Line::styled(more, dim()));
    }
    lines
}

/// The key figures: name and value.
fn figures(queue: &QueueView) -> Vec<(&'static str, String)> {
    let trend = match queue.trend {
        Trend::Growing => " ↑",
        Trend::Falling => " ↓",
        Trend::Steady | Trend::Unknown => "",
    };
    let backlog = reading(&queue.backlog_rides, |rides| grouped(rides) + trend);
    let oldest = reading(&queue.oldest_ride_age_ms, |ms| match ms {
        0 => "none waiting".to_owned(),
        ms => span(ms),
    });
    let rate = |of| reading(of, |n| FIGURES.rate(n));
    let books = &queue.reconciliation;
    let unacked = reading(&queue.unacked_messages, grouped);
    let messages = reading(&queue.total_messages, grouped);
    vec![
        ("backlog", backlog),
        ("oldest ride", oldest),
        ("accepted", rate(&queue.rates.publish_per_s)),
        ("stored", rate(&queue.rates.ack_per_s)),
        (
            "to stored p99",
            reading(&queue.accept_to_stored_ms.p99, span),
        ),
        ("messages", format!("{messages} ({unacked} unacked)")),
        ("dead letters", reading(&queue.dead_letters, grouped)),
        ("lost messages", reading(&books.lost_messages, grouped)),
    ]
}

fn draw_figures(
    figures: Vec<(&'static str, String)>,
    is_wide: bool,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let line = |(name, value): &(&'static str, String)| {
        Line::from(vec![
            Span::styled(format!("{name:<15}"), dim()),
            Span::raw(printable(value)),
        ])
    };
    if !is_wide {
        let lines: Vec<Line<'_>> = figures.iter().map(line).collect();
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    let halves: [Rect; 2] = Layout::horizontal([Constraint::Ratio(1, 2); 2])
        .spacing(1)
        .areas(area);
    for (half, area) in halves.into_iter().enumerate() {
        let lines = figures.iter().skip(half).step_by(2).map(line);
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
    }
}

/// A chart: its title, what it shows, and its colour.
type Chart = (&'static str, fn(&HistoryPoint) -> Option<u64>, Color);

/// The backlog and the accepted rides of the last minutes, one column per second, the newest at the right.
fn draw_charts(screen: &Screen, history: &[HistoryPoint], frame: &mut Frame<'_>, area: Rect) {
    let halves: [Rect; 2] = Layout::horizontal([Constraint::Ratio(1, 2); 2])
        .spacing(1)
        .areas(area);
    let charts: [Chart; 2] = [
        ("backlog", |point| point.backlog_rides, Color::Blue),
        (
            "accepted/s",
            |point| point.publish_per_s.map(|rate| rate.round() as u64),
            Color::Cyan,
        ),
    ];
    for ((name, pick, colour), area) in charts.into_iter().zip(halves) {
        let [title, chart] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
        let columns = usize::from(area.width.saturating_sub(2));
        let values: Vec<Option<u64>> = history.iter().map(pick).collect();
        let values = &values[values.len().saturating_sub(columns)..];
        let most = values.iter().flatten().max().copied().unwrap_or(0);
        let text = format!("{name}, most {} in {} s", grouped(most), values.len());
        frame.render_widget(Paragraph::new(text).style(dim()), title);
        let chart = Rect {
            width: u16::try_from(values.len())
                .unwrap_or(chart.width)
                .min(chart.width),
            ..chart
        };
        // What is not known is a gap.
        let line = Sparkline::default()
            .data(values.iter().copied())
            .max(most.max(1))
            .style(in_colour(screen, colour));
        frame.render_widget(line, chart);
    }
}

/// A column of the table: its title, its width, how it is sorted, and its text.
type Column = (&'static str, u16, Option<Sort>, fn(&NodeView) -> String);

/// The columns, the most important first.
const COLUMNS: [Column; 8] = [
    ("node", 18, Some(Sort::Name), |node| node.id.clone()),
    ("state", 11, Some(Sort::State), |node| {
        node.state.to_string()
    }),
    ("rides/s", 8, Some(Sort::Rides), |node| {
        let rate = reading(&node.rides_per_s, |rate| grouped(rate.round() as u64));
        of_live(node, rate)
    }),
    ("p99", 8, Some(Sort::P99), |node| {
        of_live(node, reading(&node.latency.p99, span))
    }),
    ("held", 7, Some(Sort::Outstanding), |node| {
        of_live(node, grouped(node.outstanding()))
    }),
    ("threads", 7, None, |node| {
        of_live(node, grouped(node.threads))
    }),
    ("busy", 7, None, |node| match node.role.as_str() {
        "worker" => of_live(node, reading(&node.busy, percent)),
        _ => "-".to_owned(),
    }),
    ("cores", 7, Some(Sort::Cores), |node| {
        of_live(node, reading(&node.cpu_cores, cores))
    }),
];

/// The columns that fit.
fn columns(width: u16) -> Vec<Column> {
    let mut left = width;
    let mut fits = |column: &Column| {
        // One column stands between two.
        let fits = column.1 <= left;
        left = left.saturating_sub(column.1 + 1);
        fits
    };
    COLUMNS
        .into_iter()
        .take_while(|column| fits(column))
        .collect()
}

/// A figure of a node that sends heartbeats.
fn of_live(node: &NodeView, text: String) -> String {
    match node.state {
        NodeState::Lost => "unknown".to_owned(),
        NodeState::Stopped => "-".to_owned(),
        _ => text,
    }
}

fn draw_nodes(screen: &mut Screen, frame: &mut Frame<'_>, area: Rect) {
    let columns = columns(area.width);
    let (sort, is_reversed) = screen.sort();
    let all = screen.answer().map_or(0, |answer| answer.nodes.len());
    let rows = usize::from(area.height.saturating_sub(1));
    let colour = screen.colour;
    let (first, shown) = screen.shown(rows);
    let table_rows: Vec<Row<'_>> = shown
        .iter()
        .map(|node| {
            let cells = columns.iter().enumerate().map(|(at, column)| {
                let text = Line::from(printable(&column.3(node)));
                Cell::from(if at < 2 {
                    text
                } else {
                    text.alignment(Alignment::Right)
                })
            });
            let style = match node.state {
                NodeState::Lost | NodeState::Unavailable if colour => Style::new().fg(Color::Red),
                NodeState::Degraded if colour => Style::new().fg(Color::Yellow),
                NodeState::Stopped => dim(),
                _ => Style::new(),
            };
            Row::new(cells.collect::<Vec<_>>()).style(style)
        })
        .collect();
    let titles = columns.iter().enumerate().map(|(at, (name, _, by, _))| {
        let mark = match (*by == Some(sort), is_reversed) {
            (true, false) => "▾",
            (true, true) => "▴",
            _ => "",
        };
        let more = match at {
            0 if all > shown.len() => format!(" {}-{} of {all}", first + 1, first + shown.len()),
            _ => String::new(),
        };
        let text = Line::from(format!("{name}{mark}{more}"));
        Cell::from(if at < 2 {
            text
        } else {
            text.alignment(Alignment::Right)
        })
    });
    let header = Row::new(titles.collect::<Vec<_>>())
        .style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
    let widths = columns.iter().enumerate().map(|(at, column)| match at {
        0 => Constraint::Min(column.1),
        _ => Constraint::Length(column.1),
    });
    frame.render_widget(Table::new(table_rows, widths).header(header), area);
}
