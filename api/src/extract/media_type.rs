//! Media type of a body.

use axum::http::{HeaderMap, header};

/// The media type without its parameters: `application/json` of `application/json; charset=utf-8`.
pub(crate) fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// Whether it is JSON, or a format built on it (`application/vnd.gate+json`).
pub(crate) fn is_json(essence: &str) -> bool {
    let Some((kind, name)) = essence.split_once('/') else {
        return false;
    };
    let built_on_json = || {
        let suffix = name.rsplit_once('+').map(|(_, suffix)| suffix);
        suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
    };
    kind.eq_ignore_ascii_case("application")
        && (name.eq_ignore_ascii_case("json") || built_on_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_json_by_all_its_names() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/vnd.gate+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in ["text/json", "application/jsonl", "json", "", "application/"] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn parameters_do_not_matter() {
        let mut headers = HeaderMap::new();
        assert_eq!(essence(&headers), None);
        headers.insert(
            header::CONTENT_TYPE,
            "application/json ; charset=utf-8".parse().unwrap(),
        );
        assert_eq!(essence(&headers), Some("application/json"));
    }
}
