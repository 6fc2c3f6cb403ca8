//! Dead letters, in the console's own store: taken from their queue by the one reader, looked at, sent again, thrown away.
//!
//! - `store`: the letters and what becomes of them, each known by its id, however often it comes.
//! - `reader`: moves letters from their queue into the store. `sending`, `discarding`: the work of plans.

mod discarding;
mod reader;
mod sending;
mod store;

pub(crate) use discarding::discard;
pub(crate) use reader::read;
pub(crate) use sending::{Pace, send_again};
pub(crate) use store::{Choice, Holder, Letters};
