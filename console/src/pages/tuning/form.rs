//! The form that starts a sweep.

use std::str::FromStr;

use crate::error::Error;
use crate::pages::change_form::labels::label;
use crate::view::tuning::{SweepLatency, SweepSpec};

/// What the labels of its fields are listed under.
pub(super) const CHANGE: &str = "sweep";

/// The specification of the fields. An empty field has its default.
///
/// # Errors
/// If a field cannot be read. Ranges are checked when the sweep starts.
pub(super) fn spec(fields: &[(String, String)]) -> Result<SweepSpec, Error> {
    let form = SweepForm(fields);
    let mut spec = SweepSpec::default();
    spec.space.api = form.list("api")?;
    spec.space.workers = form.list("workers")?;
    spec.space.worker_types = form.words("worker_types");
    spec.space.threads = form.list("threads")?;
    spec.space.batch = form.list("batch")?;
    spec.load.target = form.find("target").map(str::to_owned);
    spec.load.rate = form.figure("rate")?;
    spec.objective.p99_ms = form.figure("p99_ms")?;
    spec.objective.latency = match form.find("latency") {
        None | Some("accept_to_stored") => SweepLatency::AcceptToStored,
        Some("request") => SweepLatency::Request,
        Some(other) => {
            return Err(form.wrong("latency", "accept_to_stored or request", other));
        }
    };
    spec.objective.min_rate = form.figure("min_rate")?;
    spec.objective.max_usd_per_h = form.figure("max_usd_per_h")?;
    spec.max_usd = form.figure("max_usd")?;
    spec.repeats = form.number("repeats")?.unwrap_or(spec.repeats);
    spec.warm_up_s = form.number("warm_up_s")?.unwrap_or(spec.warm_up_s);
    spec.measure_s = form.number("measure_s")?.unwrap_or(spec.measure_s);
    spec.apply = form.find("apply").is_some();
    if spec.objective.p99_ms.is_none() && spec.objective.min_rate.is_none() {
        return Err(Error::invalid(
            "an objective is missing: enter the maximum p99, the minimum rate, or both",
        ));
    }
    Ok(spec)
}

struct SweepForm<'a>(&'a [(String, String)]);

impl SweepForm<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(of, value)| of == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim())
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|_| self.wrong(name, "a whole number", text))
    }

    fn figure(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        let figure = text.parse().ok().filter(|figure: &f64| figure.is_finite());
        let figure = figure.ok_or_else(|| self.wrong(name, "a number", text))?;
        Ok(Some(figure))
    }

    /// Numbers, separated by commas.
    fn list(&self, name: &str) -> Result<Vec<u32>, Error> {
        let Some(text) = self.find(name) else {
            return Ok(Vec::new());
        };
        let parts = text.split(',').map(str::trim);
        let numbers = parts.map(|part| {
            part.parse()
                .map_err(|_| self.wrong(name, "numbers such as 2, 4, 8", part))
        });
        numbers.collect()
    }

    /// Words, separated by commas.
    fn words(&self, name: &str) -> Vec<String> {
        let parts = self.find(name).into_iter().flat_map(|text| text.split(','));
        let words = parts.map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    fn wrong(&self, name: &str, expected: &str, got: &str) -> Error {
        let got: String = got.chars().take(100).collect();
        let label = label(CHANGE, name);
        Error::invalid(format!("{label} must be {expected}, not {got:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn fields_are_a_specification() {
        let read = spec(&fields(&[
            ("workers", "2, 3,4"),
            ("worker_types", "c7g.large, c7g.xlarge"),
            ("threads", ""),
            ("rate", " 12000 "),
            ("p99_ms", "150"),
            ("latency", "request"),
            ("repeats", "2"),
            ("apply", "true"),
        ]))
        .unwrap();
        assert_eq!(read.space.workers, [2, 3, 4]);
        assert_eq!(read.space.worker_types, ["c7g.large", "c7g.xlarge"]);
        assert!(read.space.threads.is_empty() && read.apply);
        assert_eq!(read.load.rate, Some(12_000.0));
        assert_eq!(read.objective.latency, SweepLatency::Request);
        assert_eq!((read.repeats, read.warm_up_s), (2, 5));
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        for (name, value, expected) in [
            (
                "workers",
                "2;3",
                "Workers must be numbers such as 2, 4, 8, not \"2;3\"",
            ),
            (
                "p99_ms",
                "fast",
                "Largest p99 must be a number, not \"fast\"",
            ),
            ("rate", "inf", "Load must be a number, not \"inf\""),
            (
                "repeats",
                "2.5",
                "Repeats must be a whole number, not \"2.5\"",
            ),
            (
                "rate",
                "1",
                "an objective is missing: enter the maximum p99, the minimum rate, or both",
            ),
        ] {
            let error = spec(&fields(&[(name, value)])).unwrap_err();
            assert_eq!(error.message(), expected);
        }
    }
}
