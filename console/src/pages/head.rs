//! What every page begins with.

use skilift_core::clock::epoch_ms;

use super::assets;
use super::html::{Markup, icon, sentence};
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::access::UserRole;
use crate::view::alarm::{AlarmView, Severity};
use crate::view::figures::{grouped, moment};

/// The navigation: groups of URLs and names.
const NAVIGATION: [(&str, &[(&str, &str)]); 4] = [
    ("", &[("/", "Overview")]),
    (
        "Rides",
        &[
            ("/queue", "Queue"),
            ("/dead-letters", "Dead letters"),
            ("/rides", "Rides"),
        ],
    ),
    (
        "Capacity",
        &[
            ("/nodes", "Nodes"),
            ("/fleet", "Fleet"),
            ("/settings", "Settings"),
        ],
    ),
    (
        "Record",
        &[
            ("/audit", "Audit"),
            ("/access", "Access"),
            ("/doctor", "Doctor"),
        ],
    ),
];
const THEMES: [(&str, &str); 3] = [("auto", "Auto"), ("light", "Light"), ("dark", "Dark")];

/// The head of a page.
pub(super) struct Head {
    pub(super) stack: String,
    pub(super) theme: Option<&'static str>,
    pub(super) heading: String,
    /// Path of the page in the navigation.
    pub(super) here: &'static str,
    /// Path and query of this page.
    pub(super) url: String,
    /// The user.
    pub(super) name: String,
    pub(super) role: String,
    /// Whether the user may plan changes.
    pub(super) may_change: bool,
    /// Time of the page, in UTC.
    pub(super) clock: String,
    /// Number of dead letters; empty if there are none or it is unknown.
    pub(super) dead_letters: String,
    /// The most severe alarm, and how many there are; not on the overview, which lists them.
    pub(super) alarm: Option<Strip>,
    /// The worst alarm.
    severity: Option<Severity>,
    /// Whether it is kept up to date.
    pub(super) is_live: bool,
}

/// The alarms in one line.
pub(super) struct Strip {
    pub(super) kind: &'static str,
    pub(super) icon: Markup,
    pub(super) message: String,
    /// How many more there are.
    pub(super) more: usize,
}

/// A group of the navigation.
pub(super) struct Group {
    /// Its name; empty for the first one.
    pub(super) name: &'static str,
    pub(super) links: Vec<Link>,
}

pub(super) struct Link {
    pub(super) href: &'static str,
    pub(super) text: &'static str,
    pub(super) is_here: bool,
}

pub(super) struct Theme {
    pub(super) value: &'static str,
    pub(super) text: &'static str,
    pub(super) is_chosen: bool,
}

impl Head {
    /// The head of a page for a user. `here` is its path in the navigation.
    pub(super) fn new(
        console: &Console,
        visitor: &Visitor,
        here: &'static str,
        heading: impl Into<String>,
    ) -> Self {
        let latest = console.monitor.latest();
        let alarms = latest.iter().flat_map(|seen| &seen.queue.alarms);
        let alarms: Vec<&AlarmView> = alarms
            .filter(|alarm| alarm.acknowledged.is_none())
            .collect();
        let dead = latest
            .as_ref()
            .and_then(|seen| seen.queue.dead_letters.value);
        let caller = &visitor.caller;
        Self {
            name: caller.name.clone(),
            role: caller.role.to_string(),
            may_change: caller.role >= UserRole::Operator && !console.config.read_only,
            here,
            url: visitor.url.clone(),
            dead_letters: dead
                .filter(|dead| *dead > 0)
                .map_or_else(String::new, grouped),
            alarm: (here != "/").then(|| strip(&alarms)).flatten(),
            severity: alarms.iter().map(|alarm| alarm.severity).max(),
            ..Self::bare(console, visitor.theme, heading)
        }
    }

    /// The head of a page for someone who is not logged in.
    pub(super) fn bare(
        console: &Console,
        theme: Option<&'static str>,
        heading: impl Into<String>,
    ) -> Self {
        let now = moment(epoch_ms());
        Self {
            stack: console.config.stack.to_string(),
            theme,
            heading: heading.into(),
            here: "/",
            url: "/".to_owned(),
            name: String::new(),
            role: String::new(),
            may_change: false,
            clock: now[11..19].to_owned(),
            dead_letters: String::new(),
            alarm: None,
            severity: None,
            is_live: false,
        }
    }

    /// The head of a page that is kept up to date.
    pub(super) fn live(self) -> Self {
        Self {
            is_live: true,
            ..self
        }
    }

    /// The title of the tab, which begins with the severity of the worst alarm.
    pub(super) fn title(&self) -> String {
        let severity = match self.severity {
            Some(severity @ (Severity::Critical | Severity::Warning)) => format!("{severity}: "),
            _ => String::new(),
        };
        format!("{severity}{} · {} · Skilift", self.heading, self.stack)
    }

    pub(super) fn icon(&self, name: &'static str) -> Markup {
        icon(name)
    }

    pub(super) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    pub(super) fn navigation(&self) -> impl Iterator<Item = Group> {
        let here = self.here;
        NAVIGATION.into_iter().map(move |(name, links)| Group {
            name,
            links: links
                .iter()
                .map(|&(href, text)| Link {
                    href,
                    text,
                    is_here: href == here,
                })
                .collect(),
        })
    }

    pub(super) fn themes(&self) -> impl Iterator<Item = Theme> {
        let chosen = self.theme.unwrap_or("auto");
        THEMES.into_iter().map(move |(value, text)| Theme {
            value,
            text,
            is_chosen: value == chosen,
        })
    }
}

/// The most severe alarm in a line. A state that a user asked for is shown too: it explains what the page shows.
fn strip(alarms: &[&AlarmView]) -> Option<Strip> {
    let worst = alarms.first()?;
    let (kind, name) = match worst.severity {
        Severity::Info => ("info", "info"),
        Severity::Warning => ("warn", "warn"),
        Severity::Critical => ("bad", "bad"),
    };
    Some(Strip {
        kind,
        icon: icon(name),
        message: sentence(&worst.message),
        more: alarms.len() - 1,
    })
}
