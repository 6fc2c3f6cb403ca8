//! The test client against servers that do what a test says, and reports of runs as they happen.
//!
//! - `foreign`: a server that is not ours. `settings`: runs against it.
//! - `connection`, `sending`, `stopping`, `verifying`: what is tested. `report`, `runs`: the files of a run.

mod foreign;
mod settings;

mod connection;
mod report;
mod runs;
mod sending;
mod stopping;
mod verifying;
