//! The queue on RabbitMQ: one quorum queue of rides and one of dead letters for each stack.
//!
//! - [`broker`]: one connection, whose loss is noticed and never papered over.
//! - [`topology`]: the queues and their arguments.
//! - [`publisher`]: rides in, confirmed messages out. Behind it `waiting_room` gathers rides into messages and `lane` sends
//!   them; [`admission`] says when to refuse, `backlog` watches how much is waiting.
//! - [`consumer`]: messages in the order of their tags, acknowledged by prefix.
//! - [`dead_letters`]: where a line goes that cannot be applied.
//!
//! lapin's automatic recovery stays off: a lost connection ends channel, buffer and batch alike, because a tag of the
//! old channel must never acknowledge a message of the new one.

pub mod admission;
mod backlog;
pub mod broker;
mod confirmed;
pub mod consumer;
pub mod dead_letters;
mod lane;
mod publish_error;
pub mod publisher;
pub mod topology;
mod waiting_room;

pub use admission::{Admission, Shed};
pub use broker::{Broker, BrokerError};
pub use consumer::{Consumer, Delivery};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use publish_error::PublishError;
pub use publisher::{Publisher, PublisherConfig};
