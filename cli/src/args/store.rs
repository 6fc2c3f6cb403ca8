//! How Redis keeps what it acknowledges, and where archived days are.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use serde::Serialize;
use skilift_core::store::redis::durability::StoreDurability;

#[derive(Debug, Args, Serialize)]
pub(super) struct StoreArgs {
    /// What says that Redis keeps acknowledged rides: checked (its settings), managed (the provider of the service promises it), or
    /// lossy (nothing: the last ones may be lost) [default: checked]
    #[arg(long, value_name = "HOW", value_parser = durability())]
    #[serde(skip_serializing_if = "Option::is_none")]
    store_durability: Option<StoreDurability>,
}

/// Where days are that were moved out of Redis.
#[derive(Debug, Args, Serialize)]
pub(super) struct ArchiveArgs {
    /// Directory with archived days, the same for the console and all API nodes [default: none; with up on servers, archive in its data
    /// directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<PathBuf>,
}

fn durability() -> impl TypedValueParser<Value = StoreDurability> {
    let all = [
        StoreDurability::Checked,
        StoreDurability::Managed,
        StoreDurability::Lossy,
    ];
    let names = PossibleValuesParser::new(["checked", "managed", "lossy"]);
    names.map(move |name| {
        let named = all.into_iter().find(|one| one.to_string() == name);
        named.unwrap_or_default()
    })
}
