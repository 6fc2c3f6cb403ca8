//! The children that should run, stored in a file, so that they run again after a restart.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use super::LocalError;
use crate::instance::InstanceId;

/// Owner only, like everything in a data directory.
const FOLDER_MODE: u32 = 0o700;

/// The stored state of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whether it should run.
    pub(super) wanted: bool,
    /// The last port of its health and metrics, which is part of the node name.
    #[serde(default)]
    pub(super) private_port: Option<u16>,
    /// The last port of its public API.
    #[serde(default)]
    pub(super) public_port: Option<u16>,
}

type All = BTreeMap<String, Kept>;

/// The file and its content.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    all: Mutex<All>,
}

impl Memory {
    /// Reads the file. Without a file, the children of `first` should run.
    pub(super) fn read(file: PathBuf, first: &[InstanceId]) -> Result<Self, LocalError> {
        let all = match fs::read(&file) {
            Ok(json) => serde_json::from_slice(&json).map_err(|source| LocalError::Unreadable {
                file: file.clone(),
                source,
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let wanted = Kept {
                    wanted: true,
                    ..Kept::default()
                };
                let first = first.iter().map(|id| (id.to_string(), wanted));
                first.collect::<All>()
            }
            Err(source) => return Err(LocalError::Read { file, source }),
        };
        Ok(Self {
            file,
            all: Mutex::new(all),
        })
    }

    pub(super) async fn of(&self, id: &InstanceId) -> Kept {
        let all = self.all.lock().await;
        all.get(id.as_str()).copied().unwrap_or_default()
    }

    /// Changes the stored state of a child, and returns when it is on disk. If it cannot be written, it applies until this
    /// process ends.
    pub(super) async fn change(&self, id: &InstanceId, change: impl FnOnce(&mut Kept)) {
        let mut all = self.all.lock().await;
        let kept = all.entry(id.to_string()).or_default();
        let before = *kept;
        change(kept);
        if *kept == before {
            return;
        }
        let (file, writing) = (self.file.clone(), all.clone());
        let written = tokio::task::spawn_blocking(move || write(&file, &writing)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            tracing::warn!(
                "cannot write the list of child processes to {}; after a restart the previous list applies: {error}",
                self.file.display()
            );
        }
    }
}

/// Replaces the file by a complete one.
fn write(file: &Path, all: &All) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)?;
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(&serde_json::to_vec_pretty(all)?)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    File::open(folder)?.sync_all()
}
