//! Named consoles, stored in `skilift/contexts.toml` in the user's configuration directory.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::ClientError;
use crate::config::variable;

/// All contexts and the current one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// Name of the current context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// Contexts by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A named console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// URL of the console.
    pub(crate) server: Url,
    /// File with the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the certificates to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Contexts {
    /// Reads the contexts; none if the file does not exist.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let Ok(file) = folder().map(|folder| folder.join("contexts.toml")) else {
            return Ok(Self::default());
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        toml::from_str(&text).map_err(|error| {
            let message = error.message();
            ClientError::Usage(format!("{} is invalid: {message}", file.display())).into()
        })
    }

    /// Writes the contexts atomically.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = toml::to_string(self)?;
        write_private(&folder()?.join("contexts.toml"), &text)
    }

    /// The context of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, ClientError> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "no contexts exist; create one with `skictl context add`".to_owned(),
                known => format!("known contexts: {}", known.join(", ")),
            };
            ClientError::Usage(format!("unknown context {name}; {known}"))
        })
    }

    /// Stores the token of a context and returns its file.
    pub(crate) fn keep_token(name: &str, token: &str) -> anyhow::Result<PathBuf> {
        let file = token_file(name)?;
        write_private(&file, &format!("{token}\n"))?;
        Ok(file)
    }

    /// The token file that a login wrote for a context, if the context uses it.
    pub(crate) fn login_of(&self, name: &str) -> Option<PathBuf> {
        let shown = self.contexts.get(name)?.token_file.clone()?;
        (shown == token_file(name).ok()?).then_some(shown)
    }

    /// Deletes the stored token of a context.
    pub(crate) fn forget_token(name: &str) -> anyhow::Result<()> {
        match std::fs::remove_file(token_file(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Path of a context's token; fails if the name cannot be a file name.
pub(crate) fn check_name(name: &str) -> Result<(), ClientError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    Err(ClientError::Usage(format!(
        "invalid context name {name:?}: use 1 to 64 letters, digits, dots, dashes and underscores"
    )))
}

fn token_file(name: &str) -> anyhow::Result<PathBuf> {
    check_name(name)?;
    Ok(folder()?.join("tokens").join(name))
}

/// Our configuration directory: <https://specifications.freedesktop.org/basedir-spec/latest/>.
fn folder() -> Result<PathBuf, ClientError> {
    home("XDG_CONFIG_HOME", ".config").map(|home| home.join("skilift"))
}

/// A directory of the user: from a variable, else the default one.
pub(super) fn home(name: &str, usual: &str) -> Result<PathBuf, ClientError> {
    let named = variable(name).map(PathBuf::from);
    // The specification requires that relative paths are ignored.
    let named = named.filter(|folder| folder.is_absolute());
    named
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(usual)))
        .ok_or_else(|| ClientError::Usage(format!("neither {name} nor HOME is set")))
}

/// Writes a file that only its owner can read.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().context("a file has a parent directory")?;
    let write = || {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut new = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        std::io::Result::Ok(())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
