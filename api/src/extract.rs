//! How a request's path and body are read. Every refusal says which field is wrong and what it may be.

mod body;
mod media_type;
mod path;

pub(crate) use body::{ApiJson, JsonBody};
pub(crate) use media_type::essence;
pub(crate) use path::ApiPath;
