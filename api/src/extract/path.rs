//! Numbers in the URL's path.

use std::str::FromStr;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use skilift_core::ranged::RangeError;
use skilift_core::ride::{Day, LiftId, ResortDay, ResortId, Season, SkierId};

use crate::error::ApiError;

/// The numbers in the path, by name: `{resortID}`, `{seasonID}`, `{dayID}`, `{skierID}`, `{liftID}`.
pub(crate) struct ApiPath<T>(pub(crate) T);

/// A value from a path.
pub(crate) trait FromPath: Sized {
    /// Extracts it from the path's values.
    fn from_path(values: &RawPathParams) -> Result<Self, RangeError>;
}

impl<S: Send + Sync, T: FromPath> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let values = RawPathParams::from_request_parts(parts, state).await;
        Ok(Self(T::from_path(&values.map_err(refuse)?)?))
    }
}

fn refuse(rejection: RawPathParamsRejection) -> ApiError {
    match rejection {
        RawPathParamsRejection::InvalidUtf8InPathParam(error) => {
            ApiError::BadRequest(format!("invalid URL: {error}"))
        }
        other => ApiError::Internal(other.to_string()),
    }
}

fn find<T: FromStr<Err = RangeError>>(values: &RawPathParams, name: &str) -> Result<T, RangeError> {
    let found = values.iter().find(|(key, _)| *key == name);
    // A route without the name is a bug in the router, and is handled like an empty value.
    found.map(|(_, text)| text).unwrap_or_default().parse()
}

/// Extracts a number by its wire name.
macro_rules! from_path {
    ($($number:ident),*) => {$(
        impl FromPath for $number {
            fn from_path(values: &RawPathParams) -> Result<Self, RangeError> {
                find(values, $number::FIELD)
            }
        }
    )*};
}

from_path!(ResortId, Season, Day, SkierId, LiftId);

impl FromPath for ResortDay {
    fn from_path(values: &RawPathParams) -> Result<Self, RangeError> {
        Ok(Self {
            resort: ResortId::from_path(values)?,
            season: Season::from_path(values)?,
            day: Day::from_path(values)?,
        })
    }
}

impl<A: FromPath, B: FromPath> FromPath for (A, B) {
    fn from_path(values: &RawPathParams) -> Result<Self, RangeError> {
        Ok((A::from_path(values)?, B::from_path(values)?))
    }
}
