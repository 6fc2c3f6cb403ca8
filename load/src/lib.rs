//! Skilift's load test client as a library: runs load tests against any server of the API, and verifies every ride.
//!
//! - [`plan`]: parameters of a run. [`run`](mod@run): a run from its first connection to its summary.
//! - [`target`], [`connection`], [`path`]: the server, a reconnecting connection, and the requests.
//! - [`workload`]: distinct random rides and reads, by number. [`pace`]: their schedule. [`breaker`] and `gate`:
//!   throttling. `sender`, `idle_timeout`, [`retry`], `judge`, [`attempt_error`]: one request until it succeeded or failed.
//! - `measure`, `backlog`: measurements. [`summary`], [`timeline`]: results. [`threshold`]: failure conditions.
//! - `outcome_log`, [`verify`]: outcome of each ride, and whether the server agrees.
//! - [`report`]: a run as files, with charts by `skilift_plot`.
//!
//! Nothing here prints or reads the environment. `skictl load` is this library with a command line.

pub mod attempt_error;
pub mod breaker;
pub mod connection;
pub mod pace;
pub mod path;
pub mod plan;
pub mod report;
pub mod retry;
pub mod run;
pub mod simulation;
pub mod summary;
pub mod target;
pub mod threshold;
pub mod timeline;
pub mod verify;
pub mod workload;

mod backlog;
mod gate;
mod idle_timeout;
mod judge;
mod measure;
mod outcome_log;
mod sender;

/// The headers of a request.
pub mod http {
    pub use hyper::HeaderMap;
    pub use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
}
