//! Terminal prompts.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::Context;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use super::error::ClientError;

/// Maximum length of a line read from stdin; longer than any password.
const MAX_LINE_BYTES: u64 = 4096;

/// Whether prompts are possible.
pub(crate) fn can_prompt(no_input: bool) -> bool {
    !no_input && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Prompts for a line.
pub(crate) async fn line(question: String) -> anyhow::Result<String> {
    answer(move || {
        say_inline!("{question} ");
        io::stderr().flush()?;
        let mut text = String::new();
        io::stdin().read_line(&mut text)?;
        if !text.ends_with('\n') {
            say!("");
        }
        Ok(text.trim().to_owned())
    })
    .await
}

/// Prompts for a line without echo.
pub(crate) async fn secret(question: String) -> anyhow::Result<String> {
    let _echo = Echo::remember();
    answer(move || {
        say_inline!("{question} ");
        io::stderr().flush()?;
        console::Term::stderr().read_secure_line()
    })
    .await
}

/// Prompts for a password twice.
pub(crate) async fn new_password(name: &str) -> anyhow::Result<String> {
    let password = secret(format!("New password of {name}:")).await?;
    if secret("Repeat the password:".to_owned()).await? != password {
        return Err(ClientError::Refused(
            "the passwords do not match; nothing was changed".to_owned(),
        )
        .into());
    }
    Ok(password)
}

/// The first line of stdin.
pub(crate) async fn first_line() -> anyhow::Result<String> {
    let text = answer(|| {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(MAX_LINE_BYTES)
            .read_line(&mut text)?;
        Ok(text)
    })
    .await
    .context("cannot read stdin")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads the answer in a separate thread, so that Ctrl-C still works.
async fn answer(
    read: impl FnOnce() -> io::Result<String> + Send + 'static,
) -> anyhow::Result<String> {
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// Restores the terminal's echo when the prompt ends.
struct Echo(Option<Termios>);

impl Echo {
    fn remember() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Without a terminal there is no echo to restore.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}
