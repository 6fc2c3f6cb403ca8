//! The sockets on which strangers speak HTTP to us: the public API's, and the console's.
//!
//! - `connections`: accepts them, bounded in number and time, and ends them in good order.
//! - [`tls`]: certificate and key, where the socket speaks TLS.
//! - `lingering`: answers that are always heard.

mod connections;
mod lingering;
pub mod tls;

pub use connections::{Listener, serve};
pub use tls::{Tls, TlsError};
