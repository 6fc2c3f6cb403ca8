//! Reports of runs as they happen, and of runs that hardly happened.

mod report;
mod runs;
