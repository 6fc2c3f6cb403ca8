//! Which children are wanted, kept in a file, so that as many run after a restart.

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

/// Owner only, as everything in a data folder.
const FOLDER_MODE: u32 = 0o700;

/// What is kept of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whether it shall run.
    pub(super) wanted: bool,
    /// The port of its health and metrics when it ran last: a node is named by it.
    #[serde(default)]
    pub(super) private_port: Option<u16>,
    /// Where it served the public API when it ran last.
    #[serde(default)]
    pub(super) public_port: Option<u16>,
}

type All = BTreeMap<String, Kept>;

/// The file, and what stands in it.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    all: Mutex<All>,
}

impl Memory {
    /// Reads the file. Where there is none, those of `first` are wanted.
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

    /// Changes what is kept of a child, and returns when it is on the disk. Where it cannot be written it counts until this
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
                "cannot keep in {} which child processes shall run; after a restart it is as it was before: {error}",
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
