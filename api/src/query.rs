//! The query string of the URL.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use skilift_core::catalogue::Catalogue;
use skilift_core::ranged::{RangeError, parse_digits};
use skilift_core::ride::{ResortId, Season};
use url::form_urlencoded;

use crate::error::ApiError;

/// Maximum number of values of one key.
const MAX_VALUES: usize = 100;
/// Maximum characters of an unknown name in an error message.
const SHOWN: usize = 40;

/// Decoded keys and values; unknown keys are ignored.
pub(crate) struct ApiQuery(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for ApiQuery {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl ApiQuery {
    fn parse(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The requested resorts, each by ID or exact name.
    pub(crate) fn resorts(&self, catalogue: &Catalogue) -> Result<Vec<ResortId>, ApiError> {
        let read = |text: &str| {
            if is_digits(text) {
                return Ok(text.parse()?);
            }
            catalogue.by_name(text).ok_or_else(|| {
                let shown: String = text.chars().take(SHOWN).collect();
                ApiError::NotFound(format!("no resort is named {shown:?}"))
            })
        };
        self.all("resort")?.into_iter().map(read).collect()
    }

    /// The requested seasons.
    pub(crate) fn seasons(&self) -> Result<Vec<Season>, ApiError> {
        let read = |text: &str| Ok(text.parse()?);
        self.all("season")?.into_iter().map(read).collect()
    }

    /// The requested limit, 1 to `max`; `default` if omitted.
    pub(crate) fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        let values = self.all("limit")?;
        let text = match values[..] {
            [] => return Ok(default),
            [text] => text,
            _ => {
                return Err(ApiError::BadRequest(
                    "limit must be given only once".to_owned(),
                ));
            }
        };
        let wanted = parse_digits(text).and_then(|number| usize::try_from(number).ok());
        match wanted {
            Some(wanted) if (1..=max).contains(&wanted) => Ok(wanted),
            _ => Err(RangeError::new("limit", 1, max as u64, text).into()),
        }
    }

    fn all(&self, key: &str) -> Result<Vec<&str>, ApiError> {
        let values = self.0.iter().filter(|(name, _)| name == key);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        if values.len() > MAX_VALUES {
            return Err(ApiError::BadRequest(format!(
                "{key} may be given at most {MAX_VALUES} times, not {} times",
                values.len()
            )));
        }
        Ok(values)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        match result {
            Err(ApiError::BadRequest(message) | ApiError::NotFound(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resort_is_an_id_or_a_name() {
        let none = Catalogue::default();
        let query = ApiQuery::parse("resort=7&x=1&resort=Resort+8&resort=0009&resort=Resort%2010");
        let resorts = query.resorts(&none).unwrap();
        assert_eq!(
            resorts.iter().map(|id| id.get()).collect::<Vec<_>>(),
            [7, 8, 9, 10]
        );
        let refused = |text| message_of(ApiQuery::parse(text).resorts(&none));
        assert_eq!(refused("resort=Zermatt"), "no resort is named \"Zermatt\"");
        assert_eq!(refused("resort="), "no resort is named \"\"");
        assert!(refused("resort=0").starts_with("resortID must be a whole number from 1 to 65535"));
        assert!(refused("resort=99999999999999999999").starts_with("resortID must be"));
        let many = "resort=1&".repeat(101);
        assert!(refused(&many).contains("at most 100 times, not 101"));
    }

    #[test]
    fn a_limit_has_its_range() {
        let limit = |text: &str| ApiQuery::parse(text).limit(10, 100);
        assert_eq!(limit("").unwrap(), 10);
        assert_eq!(limit("limit=100").unwrap(), 100);
        for bad in ["0", "101", "-1", "1.5", "x", ""] {
            let message = message_of(limit(&format!("limit={bad}")));
            assert!(
                message.starts_with("limit must be a whole number from 1 to 100, not"),
                "{message}"
            );
        }
        assert_eq!(
            message_of(limit("limit=1&limit=2")),
            "limit must be given only once"
        );
    }
}
