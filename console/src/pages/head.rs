//! What every page begins with.

use axum::http::HeaderMap;
use skilift_core::clock::epoch_ms;

use super::html::{Markup, icon};
use super::{assets, session};
use crate::access::Caller;
use crate::console::Console;
use crate::view::alarm::Severity;
use crate::view::figures::moment;

/// The pages of the navigation.
const PAGES: [(&str, &str); 2] = [("/", "Overview"), ("/nodes", "Nodes")];
const THEMES: [(&str, &str); 3] = [("auto", "Auto"), ("light", "Light"), ("dark", "Dark")];

/// The head of a page.
pub(super) struct Head {
    pub(super) stack: String,
    pub(super) theme: Option<&'static str>,
    pub(super) heading: &'static str,
    /// Path of the page.
    pub(super) here: &'static str,
    /// The user.
    pub(super) name: String,
    pub(super) role: String,
    /// Time of the page, in UTC.
    pub(super) clock: String,
    /// The worst alarm.
    severity: Option<Severity>,
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
    /// The head of a page for a user.
    pub(super) fn new(
        console: &Console,
        headers: &HeaderMap,
        caller: &Caller,
        (here, heading): (&'static str, &'static str),
    ) -> Self {
        let latest = console.monitor.latest();
        let alarms = latest.iter().flat_map(|seen| &seen.queue.alarms);
        Self {
            name: caller.name.clone(),
            role: caller.role.to_string(),
            here,
            severity: alarms.map(|alarm| alarm.severity).max(),
            ..Self::bare(console, headers, heading)
        }
    }

    /// The head of a page for someone who is not logged in.
    pub(super) fn bare(console: &Console, headers: &HeaderMap, heading: &'static str) -> Self {
        let now = moment(epoch_ms());
        Self {
            stack: console.config.stack.to_string(),
            theme: session::theme(headers),
            heading,
            here: "/",
            name: String::new(),
            role: String::new(),
            clock: now[11..19].to_owned(),
            severity: None,
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

    pub(super) fn links(&self) -> impl Iterator<Item = Link> {
        let here = self.here;
        PAGES.into_iter().map(move |(href, text)| Link {
            href,
            text,
            is_here: href == here,
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
