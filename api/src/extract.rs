//! Parsing of request paths and bodies; every error names the invalid field and its range.

mod body;
mod media_type;
mod path;

pub(crate) use body::{ApiJson, BYTE_ORDER_MARK, JsonBody};
pub(crate) use media_type::essence;
pub(crate) use path::ApiPath;
