//! Reports of runs as they happen and of runs that hardly happened, charts, and ski days.

mod plot;
mod report;
mod runs;
mod simulation;
