//! The ranges of the history: how long, and how detailed.

use crate::error::Error;
use crate::view::figures::moment;

const MINUTE_MS: u64 = 60_000;

/// A range of the history, until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pages) enum Range {
    TenMinutes,
    HalfHour,
    Hour,
    Day,
    Week,
}

/// A range in the URL of the queue page.
pub(in crate::pages) struct RangeLink {
    pub(in crate::pages) href: String,
    pub(in crate::pages) text: &'static str,
    pub(in crate::pages) is_here: bool,
}

impl Range {
    /// All of them, shortest first.
    pub(in crate::pages) const ALL: [Self; 5] = [
        Self::TenMinutes,
        Self::HalfHour,
        Self::Hour,
        Self::Day,
        Self::Week,
    ];

    /// The range that a query names, or half an hour.
    ///
    /// # Errors
    /// If there is no such range.
    pub(in crate::pages) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else {
            return Ok(Self::HalfHour);
        };
        let found = Self::ALL.into_iter().find(|range| range.word() == text);
        found.ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            Error::invalid(format!("range must be one of {words}"))
        })
    }

    /// As in a query: "30m".
    pub(in crate::pages) fn word(self) -> &'static str {
        match self {
            Self::TenMinutes => "10m",
            Self::HalfHour => "30m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// As in a link: "30 min".
    pub(in crate::pages) fn label(self) -> &'static str {
        match self {
            Self::TenMinutes => "10 min",
            Self::HalfHour => "30 min",
            Self::Hour => "1 h",
            Self::Day => "24 h",
            Self::Week => "7 d",
        }
    }

    /// As a heading: "Last 30 minutes".
    pub(in crate::pages) fn heading(self) -> &'static str {
        match self {
            Self::TenMinutes => "Last 10 minutes",
            Self::HalfHour => "Last 30 minutes",
            Self::Hour => "Last hour",
            Self::Day => "Last 24 hours",
            Self::Week => "Last 7 days",
        }
    }

    /// Its length, in milliseconds.
    pub(in crate::pages) fn span_ms(self) -> u64 {
        match self {
            Self::TenMinutes => 10 * MINUTE_MS,
            Self::HalfHour => 30 * MINUTE_MS,
            Self::Hour => 60 * MINUTE_MS,
            Self::Day => 24 * 60 * MINUTE_MS,
            Self::Week => 7 * 24 * 60 * MINUTE_MS,
        }
    }

    /// Links to all ranges. This one is the page's own.
    pub(super) fn links(self) -> Vec<RangeLink> {
        let link = |range: Self| RangeLink {
            href: format!("/queue?range={}", range.word()),
            text: range.label(),
            is_here: range == self,
        };
        Self::ALL.map(link).into()
    }

    /// The step of the history that it needs, in seconds: points of one second are stored for an hour.
    pub(in crate::pages) fn step_s(self) -> u64 {
        if self.is_long() { 60 } else { 1 }
    }

    /// Seconds for one drawn point, so that there are at most about 360.
    pub(in crate::pages) fn point_s(self) -> u64 {
        match self {
            Self::TenMinutes => 2,
            Self::HalfHour | Self::Hour => 10,
            Self::Day => 5 * 60,
            Self::Week => 30 * 60,
        }
    }

    /// Time for one drawn point, as text.
    pub(super) fn resolution(self) -> &'static str {
        match self {
            Self::TenMinutes => "2 s",
            Self::HalfHour | Self::Hour => "10 s",
            Self::Day => "5 min",
            Self::Week => "30 min",
        }
    }

    /// The right edge of its charts is a multiple of this, in milliseconds.
    pub(super) fn edge_ms(self) -> u64 {
        if self.is_long() { MINUTE_MS } else { 10_000 }
    }

    /// A moment on its time axis: "10:42", or "12-27 10:42" if it is longer than an hour.
    pub(super) fn minute(self, ms: u64) -> String {
        let moment = moment(ms);
        if self.is_long() {
            format!("{} {}", &moment[5..10], &moment[11..16])
        } else {
            moment[11..16].to_owned()
        }
    }

    /// A moment in its charts, to the second: "10:42:07", or "12-27 10:42:07" if it is longer than an hour.
    pub(super) fn second(self, ms: u64) -> String {
        format!("{}{}", self.minute(ms), &moment(ms)[16..19])
    }

    fn is_long(self) -> bool {
        matches!(self, Self::Day | Self::Week)
    }
}
