//! The test client against servers that do what a test says, reports of runs as they happen, and ski days.
//!
//! - `foreign`: a server that is not ours. `settings`: runs against it.
//! - `connection`, `sending`, `stopping`, `verifying`: what is tested. `report`, `runs`: the files of a run.
//!   `simulation`: the simulated traffic.

mod foreign;
mod settings;

mod connection;
mod report;
mod runs;
mod sending;
mod simulation;
mod stopping;
mod verifying;
