//! Schemas of the domain's numbers, with the domain's ranges.

use std::borrow::Cow;

use skilift_core::ride;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Declares the schema of a number with the same name.
macro_rules! number {
    ($name:ident, $description:literal) => {
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                integer(
                    ride::$name::MIN.into(),
                    ride::$name::MAX.into(),
                    $description,
                )
                .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

number!(ResortId, "A ski resort.");
number!(Day, "A day of a season, counted from 1.");
number!(SkierId, "A skier's lift pass.");
number!(Minute, "A minute of the ski day, counted from 1.");
number!(LiftId, "A lift of a resort.");
number!(Season, "A season, named by its year.");

fn integer(min: u64, max: u64, description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(min as f64))
        .maximum(Some(max as f64))
        .description(Some(description))
}

/// A season in responses.
pub(crate) struct SeasonText;

impl PartialSchema for SeasonText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(19|2[0-9])[0-9]{2}$"))
            .description(Some("A season, named by its year."))
            .examples(["2025"])
            .into()
    }
}

impl ToSchema for SeasonText {}

/// A season in requests.
pub(crate) struct SeasonInput;

impl PartialSchema for SeasonInput {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^0*(19|2[0-9])[0-9]{2}$"))
            .examples(["2025"]);
        OneOfBuilder::new()
            .item(text)
            .item(Season::schema())
            .description(Some(
                "A season, named by its year: a string, or an integer.",
            ))
            .into()
    }
}

impl ToSchema for SeasonInput {}

/// A resort in a query: its ID or its exact name.
pub(crate) struct ResortIdOrName;

impl PartialSchema for ResortIdOrName {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("[^0-9]"))
            .description(Some("The exact name of a resort."));
        utoipa::openapi::schema::AnyOfBuilder::new()
            .item(ResortId::schema())
            .item(name)
            .into()
    }
}

impl ToSchema for ResortIdOrName {}
