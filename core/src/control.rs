//! Data exchanged between nodes and console: heartbeats from the nodes; settings, switches and key hashes from the console.
//!
//! - [`settings`]: settings per role, and their generations. [`document`]: the desired state of nodes.
//! - [`heartbeat`]: status of a node, sent each second. [`identity`]: node names. [`durations`] and [`usage`]: figures in
//!   it.
//! - [`agent`]: a node's side: sends heartbeats, and follows the desired state.
//! - [`ingest_key`]: keys of clients that may post rides.
//! - [`memory`]: on-disk cache of the desired state.
//! - [`plane`]: the control channel; [`redis`] for a fleet, [`local`] within one process.
//!
//! Nodes work without a console and without the control channel: they keep the last valid document.

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
