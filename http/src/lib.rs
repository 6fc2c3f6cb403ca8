//! HTTP listeners: of the public API, of the console, and of health and metrics.
//!
//! - `connections`: accepts connections, limits their number and time, and closes them gracefully.
//! - [`tls`]: certificate and key, if the socket uses TLS.
//! - `lingering`: responses that reach clients that are still sending. `refusals`: those of hyper itself.

mod connections;
mod lingering;
mod refusals;
pub mod tls;

pub use connections::{Listener, serve};
pub use tls::{Tls, TlsError};
