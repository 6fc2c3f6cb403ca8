//! `skictl export`: the state of a console in a file.

use std::io::{BufReader, BufWriter, Seek as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use skilift_console::view::export::ExportHeader;
use skilift_console::view::figures::counted;
use skilift_core::embedded::records::copy;
use tempfile::NamedTempFile;

use super::Client;
use super::connection::ApiRequest;
use crate::args::operator::ExportArgs;
use crate::exit::Exit;

/// Writes the state of the console to a file that only this user can read; an earlier one is replaced once it is complete.
pub(crate) async fn run(args: &ExportArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let folder = match args.file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let unwritable = || format!("cannot write {}", args.file.display());
    // Such a file is readable only by its user.
    let mut file = NamedTempFile::new_in(folder).with_context(unwritable)?;
    let mut to = BufWriter::new(&mut file);
    let request = ApiRequest::new(["export"]);
    client.console.download(&request, &mut to).await?;
    to.flush().with_context(unwritable)?;
    drop(to);
    file.rewind()?;
    let (header, records) = copy::check::<ExportHeader>(BufReader::new(&file))
        .context("the export is not complete; try again")?;
    file.as_file().sync_all().with_context(unwritable)?;
    file.persist(&args.file).with_context(unwritable)?;
    say!(
        "skictl: exported {} of stack {} to {}",
        counted(records, "record", "records"),
        header.stack,
        args.file.display()
    );
    Ok(Exit::Done)
}
