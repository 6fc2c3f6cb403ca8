//! Consoles by name, in `skilift/contexts.toml` in the user's folder for configuration.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::ClientError;
use crate::config::variable;

/// All that are known, and which one is in use.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Where it is.
    pub(crate) server: Url,
    /// What holds the token to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
}

impl Contexts {
    /// Reads them; there are none where there is no file.
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
            ClientError::Usage(format!("{} cannot be used: {message}", file.display())).into()
        })
    }

    /// Writes them: whole, or not at all.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = toml::to_string(self)?;
        write_private(&folder()?.join("contexts.toml"), &text)
    }

    /// The context of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, ClientError> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "there are none: skictl context add makes one".to_owned(),
                known => format!("there are {}", known.join(", ")),
            };
            ClientError::Usage(format!("there is no context {name}; {known}"))
        })
    }

    /// Keeps a token for a context, and gives back its file.
    pub(crate) fn keep_token(name: &str, token: &str) -> anyhow::Result<PathBuf> {
        let file = token_file(name)?;
        write_private(&file, &format!("{token}\n"))?;
        Ok(file)
    }

    /// The file of the token that a login left for a context, where the context shows that one.
    pub(crate) fn login_of(&self, name: &str) -> Option<PathBuf> {
        let shown = self.contexts.get(name)?.token_file.clone()?;
        (shown == token_file(name).ok()?).then_some(shown)
    }

    /// Forgets the token that was kept for a context.
    pub(crate) fn forget_token(name: &str) -> anyhow::Result<()> {
        match std::fs::remove_file(token_file(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A name that can also be that of a file.
pub(crate) fn check_name(name: &str) -> Result<(), ClientError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    Err(ClientError::Usage(format!(
        "{name:?} cannot name a context: it takes 1 to 64 letters, digits, dots, dashes and underscores"
    )))
}

fn token_file(name: &str) -> anyhow::Result<PathBuf> {
    check_name(name)?;
    Ok(folder()?.join("tokens").join(name))
}

/// The folder of ours for configuration: <https://specifications.freedesktop.org/basedir-spec/latest/>.
fn folder() -> Result<PathBuf, ClientError> {
    home("XDG_CONFIG_HOME", ".config").map(|home| home.join("skilift"))
}

/// A folder of the user's: the one that a variable names, else the usual one.
pub(super) fn home(name: &str, usual: &str) -> Result<PathBuf, ClientError> {
    let named = variable(name).map(PathBuf::from);
    // The specification has relative ones ignored.
    let named = named.filter(|folder| folder.is_absolute());
    named
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(usual)))
        .ok_or_else(|| ClientError::Usage(format!("neither {name} nor HOME is set")))
}

/// Writes a file that nobody else can read.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().context("a file has a folder")?;
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
