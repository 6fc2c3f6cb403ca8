//! What a node was told last, kept on disk. After a restart it counts until the console is heard again, so that a door that
//! was closed stays closed though Redis is away, or was emptied.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::document::Document;
use super::ingest_key::IngestKeys;
use crate::stack::StackName;

/// Owner only: it says which keys count.
const FOLDER_MODE: u32 = 0o700;

/// What a node was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// What all nodes shall do; `None` where no console has said anything.
    pub document: Option<Document>,
    /// Who may post rides; `None` where no console has said anything.
    pub keys: Option<IngestKeys>,
}

/// The file in which it is kept.
#[derive(Debug, Clone)]
pub struct Memory {
    path: PathBuf,
}

/// What was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be read.
    #[error("cannot read what the console said last, in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what this version writes.
    #[error(
        "{} is not what this version keeps of what the console said last; who may post rides stood in it: delete it only \
         where the console is there to say so again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Memory {
    /// The memory of a stack's nodes in a data folder. Nodes that share the folder share it: they are told the same.
    #[must_use]
    pub fn new(folder: &Path, stack: &StackName) -> Self {
        Self {
            path: folder.join(format!("told-{stack}.json")),
        }
    }

    /// What is kept; `None` where nothing ever was.
    ///
    /// # Errors
    /// When there is something that cannot be read: it may close a door, so that a guess would be wrong.
    pub fn read(&self) -> Result<Option<Told>, MemoryError> {
        let path = || self.path.clone();
        match fs::read(&self.path) {
            Ok(json) => {
                serde_json::from_slice(&json)
                    .map(Some)
                    .map_err(|source| MemoryError::Unreadable {
                        path: path(),
                        source,
                    })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MemoryError::Read {
                path: path(),
                source,
            }),
        }
    }

    /// Keeps it, and returns when it is on the disk. Only the owner can read it.
    ///
    /// # Errors
    /// When it cannot be written. What was kept before is kept.
    pub fn keep(&self, told: &Told) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)?;
        // Made with the rights of its owner alone.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(told)?)?;
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
        let memory = Memory::new(&folder.path().join("new"), &StackName::default());
        assert_eq!(memory.read().unwrap(), None);
        let mut told = Told::default();
        for serial in [7, 8] {
            told.keys = Some(IngestKeys {
                serial,
                keys: Vec::new(),
            });
            memory.keep(&told).unwrap();
            assert_eq!(memory.read().unwrap().as_ref(), Some(&told));
        }
        let rights = fs::metadata(memory.path()).unwrap().permissions();
        assert_eq!(rights.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), &StackName::default());
        fs::write(memory.path(), "{\"document\": 7}").unwrap();
        let error = memory.read().unwrap_err().to_string();
        assert!(error.contains("told-skilift.json"), "{error}");
        assert!(error.contains("delete it only"), "{error}");
    }
}
