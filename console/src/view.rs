//! The JSON of the admin API, which `skictl --output json` also prints.
//!
//! The format is stable: fields are added, never renamed or removed. A number that could not be read is null with an error,
//! never 0.

pub mod access;
pub(crate) mod aging;
pub mod alarm;
pub mod archive;
pub mod audit;
pub mod capacity;
pub mod change;
mod command;
pub mod cost;
pub mod csv;
pub mod dead_letters;
pub mod doctor;
pub mod engine;
pub mod export;
pub mod figures;
pub mod fleet;
pub mod nodes;
pub mod plan;
pub mod queue;
pub mod reconciliation;
pub mod settings;
pub mod stats;
pub mod tuning;
pub mod tuning_csv;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// A number with its age, or the reason why it is missing. All four fields are always present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reading<T> {
    /// The number; null if unknown.
    #[schema(required, schema_with = or_null::<T>)]
    pub value: Option<T>,
    /// Age of the reading, in milliseconds; null if it was never read.
    #[serde(default)]
    #[schema(required)]
    pub age_ms: Option<u64>,
    /// Whether the value is an upper bound: the true number may be lower.
    #[serde(default)]
    pub is_upper_bound: bool,
    /// Why the value is unknown, stale or incomplete; null if there is no problem.
    #[serde(default)]
    #[schema(required)]
    pub error: Option<String>,
}

/// A number or null. The derive omits the null of a generic field.
fn or_null<T: PartialSchema>() -> RefOr<Schema> {
    match T::schema() {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Type(of) = object.schema_type {
                object.schema_type = SchemaType::from_iter([of, Type::Null]);
            }
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

/// Begins the error of a number of which only a part could be read.
const LOWER_BOUND: &str = "lower bound: ";

impl<T> Reading<T> {
    /// A number that was read `age_ms` ago.
    pub fn of(value: T, age_ms: u64) -> Self {
        Self {
            value: Some(value),
            age_ms: Some(age_ms),
            is_upper_bound: false,
            error: None,
        }
    }

    /// An upper bound of a number that was read `age_ms` ago.
    pub fn at_most(value: T, age_ms: u64) -> Self {
        Self {
            is_upper_bound: true,
            ..Self::of(value, age_ms)
        }
    }

    /// A lower bound: part of a number whose rest could not be read; or an error if no part could be read.
    pub fn at_least(part: Option<T>, age_ms: Option<u64>, why: &str) -> Self {
        match part {
            Some(part) => Self {
                value: Some(part),
                age_ms,
                is_upper_bound: false,
                error: Some(format!("{LOWER_BOUND}{why}")),
            },
            None => Self::unknown(why),
        }
    }

    /// Whether it is only known to be at least this.
    #[must_use]
    pub fn is_lower_bound(&self) -> bool {
        let error = self.error.as_deref();
        self.value.is_some() && error.is_some_and(|error| error.starts_with(LOWER_BOUND))
    }

    /// A number that could not be read.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self {
            value: None,
            age_ms: None,
            is_upper_bound: false,
            error: Some(why.into()),
        }
    }
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What happened, and what to do about it.
    pub message: String,
    /// The kind of error, for scripts.
    pub code: ProblemCode,
}

/// Kinds of errors; `skictl` maps them to exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request is invalid (400).
    Invalid,
    /// The caller is not authenticated (401).
    Unauthenticated,
    /// The caller's role does not permit this (403).
    Forbidden,
    /// Not found (404).
    NotFound,
    /// Version conflict, or a stale plan (409).
    Conflict,
    /// A guard or precondition refuses it (422).
    Refused,
    /// Too many attempts (429).
    TooMany,
    /// A required service is unavailable (503).
    Unavailable,
    /// Internal error (500).
    Internal,
}
