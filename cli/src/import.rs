//! `skictl import`: the directory of a console from an export.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use anyhow::Context as _;
use skilift_console::EngineKind;
use skilift_console::view::export::ExportHeader;
use skilift_console::view::figures::counted;
use skilift_core::embedded::records::copy;

use crate::args::operator::ImportArgs;
use crate::config::Config;
use crate::console::folder_in;

/// Makes the console's directory within the data directory.
pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => Config::default_data()?,
    };
    let file = File::open(&args.file);
    let file = file.with_context(|| format!("cannot read {}", args.file.display()))?;
    let place = |of: &ExportHeader| folder_in(&data, of.engine, &of.stack);
    let (of, folder, records) = copy::import(BufReader::new(file), place)
        .with_context(|| format!("cannot import {}", args.file.display()))?;
    say!(
        "skictl: imported {} of stack {} to {}; start the console with --data {}{}",
        counted(records, "record", "records"),
        of.stack,
        folder.display(),
        data.display(),
        match of.engine {
            EngineKind::Servers => format!(" --stack {}", of.stack),
            EngineKind::DataFolder => String::new(),
        }
    );
    Ok(ExitCode::SUCCESS)
}
