//! The console's state in one file.

use serde::{Deserialize, Serialize};
use skilift_core::stack::StackName;

use super::engine::EngineKind;

/// What an export is of: part of its first line. The file is described at `skilift_core::embedded::records::copy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportHeader {
    /// The stack.
    pub stack: StackName,
    /// What the stack is on.
    pub engine: EngineKind,
    /// When it was made, in milliseconds since 1970.
    pub exported_at_ms: u64,
    /// The version of the console.
    pub version: String,
}
