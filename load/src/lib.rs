//! Skilift's test client as a library: loads any server that speaks the API, and proves what became of every ride.

pub mod plot;
pub mod report;
pub mod simulation;
pub mod timeline;
