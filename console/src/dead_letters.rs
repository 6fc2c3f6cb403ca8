//! Dead letters in the console's own store: read from their queue by one reader, listed, replayed, discarded.
//!
//! - `store`: the dead letters and their state, deduplicated by id.
//! - `reader`: moves dead letters from their queue to the store. `sending`, `discarding`: the work of plans; `outcome`: what became of what was sent.

mod discarding;
mod outcome;
mod reader;
mod sending;
pub(crate) mod store;

pub(crate) use discarding::discard;
pub(crate) use reader::read;
pub(crate) use sending::{ReplayRate, replay_selected};
pub(crate) use store::{DeadLetterStore, LeaseHolder, Selection};
