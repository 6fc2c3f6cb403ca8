//! Data exchanged between nodes and console: heartbeats from the nodes; settings, switches and key hashes from the console.
//!
//! - [`settings`]: settings per role, and their generations. [`setting`]: name, unit, range and help of each. [`document`]: the desired state of nodes.
//! - [`heartbeat`]: status of a node, sent each second. [`identity`]: node names. [`durations`] and [`usage`]: figures in
//!   it.
//! - [`agent`]: a node's side: sends heartbeats, and follows the desired state.
//! - [`ingest_key`]: keys of clients that may post rides.
//! - [`state_cache`]: on-disk cache of the desired state.
//! - [`control_channel`]: the control channel; [`redis`] for a fleet, [`local`] within one process.
//!
//! Nodes work without a console and without the control channel: they keep the last valid document.

pub mod agent;
pub mod control_channel;
pub mod document;
pub mod durations;
pub mod heartbeat;
pub mod identity;
pub mod ingest_key;
pub mod local;
pub mod redis;
pub mod setting;
pub mod settings;
pub mod state_cache;
pub mod usage;

pub use agent::{Agent, DesiredState, Identity, Status};
pub use control_channel::{ControlChannel, ControlError};
pub use document::{Document, DrainRequest, Pause, STILL_WELCOME};
pub use durations::Durations;
pub use heartbeat::Heartbeat;
pub use identity::{BootId, NodeId, Role};
pub use ingest_key::{IngestKey, IngestKeys};
pub use local::LocalControlChannel;
pub use redis::RedisControlChannel;
pub use setting::Setting;
pub use settings::{ApiSettings, FleetBounds, Generation, Ingest, Versioned, WorkerSettings};
pub use state_cache::{CachedState, StateCache, StateCacheError};
