//! `skictl config show`: each value of the configuration, and where it comes from.

use std::io::{self, Write};
use std::process::ExitCode;

use figment::{Figment, Source};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::keys::Keys;
use super::{ConfigError, PREFIX, layers};
use crate::args::doctor::{DoctorArgs, ReportForm};
use crate::client::{Columns, Page, Style, TerminalStyle};
use crate::exit::Exit;

/// A value.
#[derive(Debug, Serialize)]
struct ShownKey {
    /// Its name in the file.
    key: String,
    /// The value, without passwords; `None` if it is not set.
    value: Option<String>,
    /// `default`, the file, the variable, or the flag.
    source: String,
}

/// Prints the configuration that the same flags would give a service.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let layers = layers(args, args.common.config.as_deref())?;
    let keys: Keys = layers.extract().map_err(ConfigError::from)?;
    let values = serde_json::to_value(&keys)?;
    // What a service would refuse is refused here, too.
    keys.check()?;
    let values = values.as_object().cloned().unwrap_or_default();
    let shown: Vec<ShownKey> = values
        .iter()
        .map(|(key, value)| ShownKey {
            key: key.clone(),
            value: text(value),
            source: source(&layers, key),
        })
        .collect();
    let text = match args.output {
        ReportForm::Json => serde_json::to_string(&shown)? + "\n",
        ReportForm::Table => render(&shown),
    };
    let mut out = io::stdout().lock();
    // A closed pipe is not an error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(Exit::Done.into())
}

/// A value as text; passwords in URLs are hidden.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => {
            let url = Url::parse(text).ok().filter(|url| url.password().is_some());
            let hidden = url.and_then(|mut url| url.set_password(Some("***")).ok().map(|()| url));
            Some(hidden.map_or_else(|| text.clone(), |url| url.to_string()))
        }
        other => Some(other.to_string()),
    }
}

fn source(layers: &Figment, key: &str) -> String {
    let Some(metadata) = layers.find_metadata(key) else {
        return "default".to_owned();
    };
    match &metadata.source {
        Some(Source::File(file)) => file.display().to_string(),
        _ if metadata.name.contains("environment") => format!("{PREFIX}{}", key.to_uppercase()),
        _ if metadata.name.contains(std::any::type_name::<Keys>()) => "default".to_owned(),
        _ => format!("--{}", key.replace('_', "-")),
    }
}

fn render(shown: &[ShownKey]) -> String {
    let mut page = Page::new(TerminalStyle::stdout());
    let plain = |text: &str| (text.to_owned(), Style::Plain);
    let rows = shown.iter().map(|key| {
        [
            plain(&key.key),
            plain(key.value.as_deref().unwrap_or("-")),
            plain(&key.source),
        ]
    });
    page.table(
        &Columns {
            names: ["key", "~value", "from"],
            optional_columns: &[],
        },
        rows,
        "no values",
    );
    page.finish()
}
