//! HTTP listeners for untrusted clients: of the public API, and of the console.
//!
//! - `connections`: accepts connections, limits their number and time, and closes them gracefully.
//! - [`tls`]: certificate and key, if the socket uses TLS.
//! - `lingering`: responses that reach clients that are still sending.

mod connections;
mod lingering;
pub mod tls;

pub use connections::{Listener, serve};
pub use tls::{Tls, TlsError};
