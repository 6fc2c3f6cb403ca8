//! A worker under its console: settings that change while rides flow, pause and drain, on RabbitMQ and Redis and on a data
//! folder.
//!
//! - `ground`: both engines, each with a publisher and a reader. `live`: the tests.

mod ground;
mod live;
