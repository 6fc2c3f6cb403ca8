//! Documentation that follows from a URL or a body alone, so that handlers need not repeat it.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use super::number;
use crate::error::Problem;
use crate::router::other_spelling;

/// Name of the security scheme of ingest keys.
const KEY: &str = "ingestKey";
/// URLs that need neither queue nor store.
const SELF_CONTAINED: [&str; 4] = ["/", "/statistics", "/openapi.json", "/readyz"];

/// Adds the numbers in the paths, the common errors, and the other spellings.
pub(super) fn complete(document: &mut OpenApi) {
    let mut respelled = BTreeMap::new();
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            add_path_parameters(operation, path);
            add_refusals(operation, path);
        }
        if let Some(post) = &mut item.post {
            let covers_a_resort = path.contains("{resortID}");
            ask_for_a_key(post, covers_a_resort);
        }
        if let Some(other) = other_spelling(path) {
            respelled.insert(other, rename(item.clone()));
        }
    }
    document.paths.paths.extend(respelled);

    let components = document.components.get_or_insert_default();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An ingest key, if the API requires one"));
    let key = SecurityScheme::Http(key.build());
    let schemes = &mut components.security_schemes;
    schemes.insert(KEY.to_owned(), key.into());
    for (name, schema) in [
        schema_of::<number::ResortId>(),
        schema_of::<number::Season>(),
        schema_of::<number::Day>(),
        schema_of::<number::SkierId>(),
        schema_of::<number::LiftId>(),
        schema_of::<number::ResortIdOrName>(),
        schema_of::<Problem>(),
    ] {
        components.schemas.insert(name, schema);
    }
    for refusal in Refusal::ALL {
        let name = refusal.name().to_owned();
        components.responses.insert(name, refusal.response().into());
    }
}

fn schema_of<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    item.get.iter_mut().chain(item.post.iter_mut())
}

/// The other spelling is a separate operation and needs its own ID.
fn rename(mut item: PathItem) -> PathItem {
    for operation in operations(&mut item) {
        if let Some(id) = &mut operation.operation_id {
            id.push_str("Respelled");
        }
    }
    item
}

fn add_path_parameters(operation: &mut Operation, path: &str) {
    let names = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let in_path: Vec<RefOr<Parameter>> = names.map(|name| path_parameter(name).into()).collect();
    if !in_path.is_empty() {
        let others = operation.parameters.take().unwrap_or_default();
        operation.parameters = Some(in_path.into_iter().chain(others).collect());
    }
}

fn path_parameter(name: &str) -> Parameter {
    let schema = match name {
        "resortID" => number::ResortId::name(),
        "seasonID" => number::Season::name(),
        "dayID" => number::Day::name(),
        "skierID" => number::SkierId::name(),
        _ => number::LiftId::name(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(Ref::from_schema_name(schema)))
        .build()
}

fn add_refusals(operation: &mut Operation, path: &str) {
    let has_body = operation.request_body.is_some();
    let is_outward = !SELF_CONTAINED.contains(&path);
    let refusals = [
        (
            Refusal::BadRequest,
            has_body || operation.parameters.is_some(),
        ),
        (Refusal::TooSlow, has_body),
        (Refusal::TooLarge, has_body),
        (Refusal::UnsupportedMedia, has_body),
        (Refusal::Internal, is_outward),
        (Refusal::Unavailable, is_outward),
    ];
    let responses = &mut operation.responses.responses;
    for (refusal, is_possible) in refusals {
        if is_possible {
            // The handler's own, more specific text takes precedence.
            let shared = || Ref::from_response_name(refusal.name()).into();
            responses
                .entry(refusal.status().to_owned())
                .or_insert_with(shared);
        }
    }
    if let Some(RefOr::T(own)) = responses.get_mut(Refusal::Unavailable.status())
        && is_outward
    {
        let (name, header) = retry_after();
        own.headers.insert(name, header.into());
    }
}

/// Rides may require a key, depending on the ingest policy.
fn ask_for_a_key(operation: &mut Operation, covers_a_resort: bool) {
    let none: [&str; 0] = [];
    operation.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new(KEY, none),
    ]);
    let mut refusals = vec![Refusal::Unauthorized];
    refusals.extend(covers_a_resort.then_some(Refusal::Forbidden));
    for refusal in refusals {
        let shared = Ref::from_response_name(refusal.name()).into();
        let responses = &mut operation.responses.responses;
        responses.insert(refusal.status().to_owned(), shared);
    }
}

/// The `WWW-Authenticate` header.
fn challenge() -> (String, Header) {
    let header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("Required authentication, see RFC 6750"));
    ("WWW-Authenticate".to_owned(), header.build())
}

fn retry_after() -> (String, Header) {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1.0));
    let header = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds to wait before a retry"));
    ("Retry-After".to_owned(), header.build())
}

/// An error that is the same for all operations.
#[derive(Clone, Copy)]
enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    TooSlow,
    TooLarge,
    UnsupportedMedia,
    Internal,
    Unavailable,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TooSlow,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Internal,
        Self::Unavailable,
    ];

    fn status(self) -> &'static str {
        match self {
            Self::BadRequest => "400",
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::TooSlow => "408",
            Self::TooLarge => "413",
            Self::UnsupportedMedia => "415",
            Self::Internal => "500",
            Self::Unavailable => "503",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::TooSlow => "TooSlow",
            Self::TooLarge => "TooLarge",
            Self::UnsupportedMedia => "UnsupportedMedia",
            Self::Internal => "Internal",
            Self::Unavailable => "Unavailable",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is invalid; the message names the fault",
            Self::Unauthorized => "A valid ingest key is required",
            Self::Forbidden => "The ingest key is not valid for this resort",
            Self::TooSlow => "The body did not arrive in time",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMedia => "The media type of the body is not supported",
            Self::Internal => "Internal error",
            Self::Unavailable => "Temporarily unavailable; sending the request again is safe",
        }
    }

    fn response(self) -> Response {
        let body = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let response = ResponseBuilder::new()
            .description(self.description())
            .content("application/json", body);
        match self {
            Self::Unavailable => {
                let (name, header) = retry_after();
                response.header(name, header).build()
            }
            Self::Unauthorized | Self::Forbidden => {
                let (name, header) = challenge();
                response.header(name, header).build()
            }
            _ => response.build(),
        }
    }
}
