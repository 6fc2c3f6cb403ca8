//! On-disk cache of the desired state. After a restart it applies until the console's state is read again, so that
//! ingest-key enforcement fails closed when Redis is unavailable or empty.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::document::Document;
use super::ingest_key::IngestKeys;
use crate::stack::StackName;

/// Owner only: it contains the valid keys.
const FOLDER_MODE: u32 = 0o700;

/// The desired state as known to a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CachedState {
    /// The document for all nodes; `None` if no console has published one.
    pub document: Option<Document>,
    /// The ingest keys; `None` if no console has published any.
    pub keys: Option<IngestKeys>,
}

/// The cache file.
#[derive(Debug, Clone)]
pub struct StateCache {
    path: PathBuf,
}

/// The cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateCacheError {
    /// It cannot be read.
    #[error("cannot read the cached console settings in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has an unknown format.
    #[error(
        "{} is not a valid cache of the console settings. It contains the ingest policy: delete it only if the console is available to publish it again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl StateCache {
    /// The cache of a stack's nodes in a data directory. Nodes that share the directory share it: they have the same desired
    /// state.
    #[must_use]
    pub fn new(folder: &Path, stack: &StackName) -> Self {
        Self {
            path: folder.join(format!("desired-state-{stack}.json")),
        }
    }

    /// Reads the cache; `None` if there is none.
    ///
    /// # Errors
    /// If the cache exists and cannot be read: it may require ingest keys, so it must not be ignored.
    pub fn load(&self) -> Result<Option<CachedState>, StateCacheError> {
        let path = || self.path.clone();
        match fs::read(&self.path) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|source| {
                StateCacheError::Unreadable {
                    path: path(),
                    source,
                }
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateCacheError::Read {
                path: path(),
                source,
            }),
        }
    }

    /// Writes the cache, and returns when it is on disk. Only the owner can read it.
    ///
    /// # Errors
    /// If it cannot be written. The previous cache is kept.
    pub fn store(&self, state: &CachedState) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)?;
        // Created with permissions for the owner only.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(folder)?.sync_all()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_found_again_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state_cache = StateCache::new(&folder.path().join("new"), &StackName::default());
        assert_eq!(state_cache.load().unwrap(), None);
        let mut state = CachedState::default();
        for serial in [7, 8] {
            state.keys = Some(IngestKeys {
                serial,
                keys: Vec::new(),
            });
            state_cache.store(&state).unwrap();
            assert_eq!(state_cache.load().unwrap().as_ref(), Some(&state));
        }
        let rights = fs::metadata(state_cache.path()).unwrap().permissions();
        assert_eq!(rights.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state_cache = StateCache::new(folder.path(), &StackName::default());
        fs::write(state_cache.path(), "{\"document\": 7}").unwrap();
        let error = state_cache.load().unwrap_err().to_string();
        assert!(error.contains("desired-state-skilift.json"), "{error}");
        assert!(error.contains("delete it only"), "{error}");
    }
}
