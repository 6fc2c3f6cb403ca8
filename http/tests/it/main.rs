//! The sockets as clients meet them: in TLS and without, slow ones among them, and at the end.

mod certificates;
mod reading;
mod requests;
mod server;
mod tls;
