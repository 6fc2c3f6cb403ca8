//! Documentation of an upload's body; its lines are parsed as the domain's rides.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::number;

/// One ride, as a line of an upload.
#[derive(ToSchema)]
#[schema(as = RideLine)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct RideLine {
    #[schema(rename = "resortID", value_type = number::ResortId)]
    resort: u16,
    #[schema(rename = "seasonID", value_type = number::SeasonInput)]
    season: u16,
    #[schema(rename = "dayID", value_type = number::Day)]
    day: u16,
    #[schema(rename = "skierID", value_type = number::SkierId)]
    skier: u32,
    #[schema(value_type = number::Minute)]
    time: u16,
    #[schema(rename = "liftID", value_type = number::LiftId)]
    lift: u16,
}

/// Rides, one per line. Any text is accepted as a body; invalid lines are rejected one by one.
pub(super) struct RideLines;

impl PartialSchema for RideLines {
    fn schema() -> RefOr<Schema> {
        let line = Ref::from_schema_name(RideLine::name());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type("application/x-ndjson")
            .content_schema(Some(line))
            .description(Some("Rides, one per line."))
            .into()
    }
}

impl ToSchema for RideLines {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RideLine::name().into_owned(), RideLine::schema()));
        RideLine::schemas(schemas);
    }
}
