//! What passes between the nodes and the console: heartbeats one way; settings, switches and key hashes the other.
//!
//! - [`settings`]: how each role works, and by which generation it is known. [`document`]: all that a node follows.
//! - [`heartbeat`]: what a node says of itself each second. [`identity`]: by what name.
//!   [`durations`] and [`usage`]: figures in it.
//! - [`agent`]: a node's side; it beats, and follows what the console says.
//! - [`ingest_key`]: who may post rides, where not everybody may.
//! - [`memory`]: what a node was told last, kept on disk.
//! - [`plane`]: the way between the two; [`redis`] for a fleet, [`local`] within one process.
//!
//! Nodes work without a console and without the way to it: they keep the last document that they understood.

pub mod agent;
pub mod document;
pub mod durations;
pub mod heartbeat;
pub mod identity;
pub mod ingest_key;
pub mod local;
pub mod memory;
pub mod plane;
pub mod redis;
pub mod settings;
pub mod usage;

pub use agent::{Agent, Identity, Orders, Status};
pub use document::{Document, DrainMark, Pause, STILL_WELCOME};
pub use durations::Durations;
pub use heartbeat::Heartbeat;
pub use identity::{BootId, NodeId, Role};
pub use ingest_key::{IngestKey, IngestKeys};
pub use local::LocalPlane;
pub use memory::{Memory, MemoryError, Told};
pub use plane::{ControlError, ControlPlane};
pub use redis::RedisPlane;
pub use settings::{ApiSettings, FleetBounds, Generation, Ingest, Versioned, WorkerSettings};
