//! What operators see: the JSON of the admin API, and what `skictl --output json` prints.
//!
//! The forms are stable: fields are added, never renamed or dropped. Numbers that could not be read are unknown, with the
//! reason, and never 0.

pub mod access;
pub mod audit;
pub mod books;
pub mod change;
pub mod cost;
pub mod fleet;
pub mod letters;
pub mod nodes;
pub mod plan;
pub mod queue;
pub mod settings;
pub mod stats;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// A number as it was read, or why it could not be. All four fields are always there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reading<T> {
    /// The number; null while it is not known.
    #[schema(required, schema_with = or_null::<T>)]
    pub value: Option<T>,
    /// How long ago it was read, in milliseconds; null while it never was.
    #[serde(default)]
    #[schema(required)]
    pub age_ms: Option<u64>,
    /// Whether the true number may be lower.
    #[serde(default)]
    pub at_most: bool,
    /// Why it is not known, or no longer, or what it does not count; null where nothing is wrong with it.
    #[serde(default)]
    #[schema(required)]
    pub unknown: Option<String>,
}

/// A number or null. The derive forgets the null of a generic field.
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

impl<T> Reading<T> {
    /// A number that was read so long ago.
    pub fn of(value: T, age_ms: u64) -> Self {
        Self {
            value: Some(value),
            age_ms: Some(age_ms),
            at_most: false,
            unknown: None,
        }
    }

    /// A bound above a number that was read so long ago.
    pub fn at_most(value: T, age_ms: u64) -> Self {
        Self {
            at_most: true,
            ..Self::of(value, age_ms)
        }
    }

    /// A part of a number of which the rest could not be read, or why nothing of it could.
    pub fn at_least(part: Option<T>, age_ms: Option<u64>, why: &str) -> Self {
        match part {
            Some(part) => Self {
                value: Some(part),
                age_ms,
                at_most: false,
                unknown: Some(format!("at least so many: {why}")),
            },
            None => Self::unknown(why),
        }
    }

    /// A number that could not be read.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self {
            value: None,
            age_ms: None,
            at_most: false,
            unknown: Some(why.into()),
        }
    }
}

/// A refusal or a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What happened, to what, and what to do.
    pub message: String,
    /// What kind it is, for scripts.
    pub code: ProblemCode,
}

/// Kinds of refusals and failures; `skictl` makes its exit codes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request cannot be understood (400).
    Invalid,
    /// Who asks is not known (401).
    Unauthenticated,
    /// Who asks may not do this (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// It was changed by somebody else meanwhile, or a plan is stale (409).
    Conflict,
    /// A guard refuses it (422).
    Refused,
    /// Too many attempts (429).
    TooMany,
    /// Something that it needs cannot be reached (503).
    Unavailable,
    /// A fault of ours (500).
    Internal,
}
