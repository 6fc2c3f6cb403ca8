//! What every page begins with.

use std::fmt::Display;
use std::sync::Arc;

use skilift_core::clock::epoch_ms;

use super::assets;
use super::html::{Markup, icon, prose, sentence};
use super::refused_form::RefusedForm;
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::access::UserRole;
use crate::view::alarm::{AlarmCode, AlarmView, Severity};
use crate::view::figures::{grouped, moment};
use crate::view::queue::durability_note;

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
            ("/tuning", "Tuning"),
        ],
    ),
    (
        "Record",
        &[
            ("/plans", "Plans"),
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
    /// The role of the user, to compare.
    user_role: UserRole,
    is_read_only: bool,
    /// Who promises that stored rides are kept, if that is not checked.
    pub(super) durability_note: Option<&'static str>,
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
    /// The form of the page that was refused.
    refused: Option<Arc<RefusedForm>>,
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
            user_role: caller.role,
            may_change: caller.role >= UserRole::Operator && !console.config.read_only,
            here,
            url: visitor.url.clone(),
            dead_letters: dead
                .filter(|dead| *dead > 0)
                .map_or_else(String::new, grouped),
            alarm: (here != "/").then(|| strip(&alarms)).flatten(),
            severity: alarms.iter().map(|alarm| alarm.severity).max(),
            refused: visitor.refused.clone(),
            ..Self::bare(console, visitor.theme, heading)
        }
    }

    /// The head of a page that failed, for a user.
    pub(super) fn of_failed(console: &Console, visitor: &Visitor) -> Self {
        let links = NAVIGATION.iter().flat_map(|(_, links)| links.iter());
        let mut of_page = links.filter(|(href, _)| *href != "/" && visitor.url.starts_with(href));
        let (here, heading) = of_page.next().copied().unwrap_or(("", "Error"));
        Self::new(console, visitor, here, heading)
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
            user_role: UserRole::Viewer,
            is_read_only: console.config.read_only,
            durability_note: durability_note(console.config.store_durability),
            may_change: false,
            clock: now[11..19].to_owned(),
            dead_letters: String::new(),
            alarm: None,
            severity: None,
            is_live: false,
            refused: None,
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

    /// Why a form of this page was refused.
    pub(super) fn problem(&self, form: &str) -> Option<&str> {
        self.refused.as_ref()?.problem(form)
    }

    /// What was typed into a field of a form that was refused.
    pub(super) fn typed(&self, form: &str, name: &str) -> Option<&str> {
        self.refused.as_ref()?.typed(form, name)
    }

    /// Whether a field of a form that was refused was sent with this value.
    pub(super) fn has(&self, form: &str, name: &str, value: &(impl Display + ?Sized)) -> bool {
        let refused = self.refused.as_ref();
        refused.is_some_and(|refused| refused.has(form, name, value))
    }

    /// Text whose commands are in backticks.
    pub(super) fn prose(&self, text: &str) -> Markup {
        prose(text)
    }

    pub(super) fn icon(&self, name: &'static str) -> Markup {
        icon(name)
    }

    /// Why pages have no controls; `None` if they have.
    pub(super) fn limits(&self) -> Option<&'static str> {
        if self.is_read_only {
            return Some("This console is read-only: nothing can be changed here.");
        }
        (self.user_role < UserRole::Operator)
            .then_some("You are a viewer: you can see everything, but change nothing.")
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

/// The most severe alarm in a line. Before a warning comes a state that a user asked for: it explains what the page shows.
fn strip(alarms: &[&AlarmView]) -> Option<Strip> {
    let worst = alarms.first()?;
    let paused = alarms.iter().find(|alarm| alarm.code == AlarmCode::Paused);
    let worst = paused
        .filter(|_| worst.severity < Severity::Critical)
        .unwrap_or(worst);
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
