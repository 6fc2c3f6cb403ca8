//! Where archived days are.

use std::path::Path;

use skilift_core::archive::Archive;

use super::{Config, ConfigError};

/// Directory with archived days in the data directory.
const DIRECTORY: &str = "archive";

impl Config {
    /// Archives in the data directory unless configured otherwise: for a process that has all that reads the archive.
    pub(crate) fn archive_in_data(&mut self) -> Result<(), ConfigError> {
        if self.archive.is_none() {
            self.archive = Some(self.data()?.join(DIRECTORY));
        }
        Ok(())
    }

    /// The directory with archived days, if there is one.
    pub(crate) fn archive_directory(&self) -> Option<&Path> {
        self.archive.as_deref()
    }

    /// The archive of the stack, if there is one.
    pub(crate) fn archive(&self) -> Option<Archive> {
        let directory = self.archive.as_ref()?;
        Some(Archive::new(directory, &self.stack))
    }
}
