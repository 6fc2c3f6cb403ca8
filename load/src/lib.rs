//! Skilift's test client as a library: loads any server that speaks the API, and proves what became of every ride.
//!
//! - [`plan`]: what a run is asked to do. [`run`](mod@run): a run from its first connection to its summary.
//! - [`target`], [`connection`], [`path`]: the server, a connection that opens itself again, and what is said over it.
//! - [`workload`]: distinct random rides and questions, by number. [`pace`]: when they are sent. [`breaker`] and `gate`:
//!   what holds them back. `sender`, `silence`, [`retry`], `judge`, [`trouble`]: one request until it succeeded or is given up.
//! - `measure`, `backlog`: what is counted. [`summary`], [`timeline`]: what it comes to. [`threshold`]: when that is failure.
//! - `fates`, [`verify`]: what became of each ride, and whether the server agrees.
//! - [`report`], [`plot`]: a run as files.
//!
//! Nothing here prints or reads the environment. `skictl load` is this library with a command line.

pub mod breaker;
pub mod connection;
pub mod pace;
pub mod path;
pub mod plan;
pub mod plot;
pub mod report;
pub mod retry;
pub mod run;
pub mod simulation;
pub mod summary;
pub mod target;
pub mod threshold;
pub mod timeline;
pub mod trouble;
pub mod verify;
pub mod workload;

mod backlog;
mod fates;
mod gate;
mod judge;
mod measure;
mod sender;
mod silence;
