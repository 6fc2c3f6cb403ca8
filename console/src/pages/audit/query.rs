//! The query of the audit: a filter, and what part of the list is shown.

use std::time::UNIX_EPOCH;

use serde::Deserialize;

use crate::audit::AuditFilter;
use crate::error::Error;
use crate::pages::html::in_url;
use crate::view::audit::AuditOutcome;

/// All outcomes.
pub(super) const OUTCOMES: [AuditOutcome; 8] = [
    AuditOutcome::Planned,
    AuditOutcome::Started,
    AuditOutcome::Succeeded,
    AuditOutcome::Partial,
    AuditOutcome::Cancelled,
    AuditOutcome::Denied,
    AuditOutcome::Refused,
    AuditOutcome::Failed,
];

/// The query of the page and of the CSV.
#[derive(Deserialize)]
pub(in crate::pages) struct AuditQuery {
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) since: Option<String>,
    pub(super) before: Option<String>,
    /// The newest entry to show, so that the list does not change while it is read.
    pub(super) newest: Option<String>,
}

impl AuditQuery {
    pub(super) fn filter(&self) -> Result<AuditFilter, Error> {
        Ok(AuditFilter {
            actor: given(&self.actor).map(str::to_owned),
            action: given(&self.action).map(str::to_owned),
            outcome: given(&self.outcome).map(named_outcome).transpose()?,
            since_ms: given(&self.since).map(since_ms).transpose()?,
        })
    }

    /// The filter as a query of a URL.
    pub(super) fn encoded(&self) -> String {
        let fields = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("since", &self.since),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| {
            let value = in_url(given(value)?);
            Some(format!("{name}={value}"))
        });
        given.collect::<Vec<_>>().join("&")
    }
}

/// A field that was filled in.
pub(super) fn given(field: &Option<String>) -> Option<&str> {
    let text = field.as_deref()?.trim();
    (!text.is_empty()).then_some(text)
}

fn named_outcome(name: &str) -> Result<AuditOutcome, Error> {
    let found = OUTCOMES.into_iter().find(|of| of.word() == name);
    let names = OUTCOMES.map(AuditOutcome::word).join(", ");
    let none = || Error::invalid(format!("outcome must be one of {names}, not {name:?}"));
    found.ok_or_else(none)
}

/// A date, or a date and a time, in UTC.
fn since_ms(text: &str) -> Result<u64, Error> {
    let full = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let moment = humantime::parse_rfc3339_weak(&full).ok();
    let span = moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let wrong = || {
        Error::invalid(format!(
            "since must be a time in UTC such as 2025-12-28 10:30, or a date, not {text:?}"
        ))
    };
    Ok(span.ok_or_else(wrong)?.as_millis() as u64)
}

/// The number of an entry.
pub(super) fn number(name: &str, field: &Option<String>) -> Result<Option<u64>, Error> {
    let Some(text) = given(field) else {
        return Ok(None);
    };
    let number = text.parse::<u64>();
    let wrong = |_| {
        Error::invalid(format!(
            "{name} must be the number of an entry, not {text:?}"
        ))
    };
    number.map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_date_or_a_time() {
        let midnight = 1_763_856_000_000;
        for (text, expected) in [
            ("2025-11-23", midnight),
            ("2025-11-23 10:42", midnight + 38_520_000),
            ("2025-11-23T10:42:07Z", midnight + 38_527_000),
        ] {
            assert_eq!(since_ms(text).unwrap(), expected, "{text}");
        }
        for text in ["yesterday", "2025-13-01", "äöüäö", "1969-12-31"] {
            let error = since_ms(text).unwrap_err();
            assert!(error.message().starts_with("since must be "), "{text}");
        }
    }

    #[test]
    fn a_filter_is_encoded_for_a_url() {
        assert_eq!(in_url("nightly 1&2=ä"), "nightly%201%262%3D%C3%A4");
    }
}
