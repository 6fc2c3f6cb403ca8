//! Check of archived days: their files, as a reader of this host finds them.

use skilift_console::view::figures::counted;
use skilift_core::lifecycle::chain;
use skilift_core::store::redis::Store;
use skilift_core::store::{ArchivedFiles, Reader as _};

use super::findings::{Finding, failed, not_checked, ok};
use crate::config::{Config, Servers};

pub(super) async fn check(servers: &Servers, config: &Config) -> Finding {
    let check = "archive";
    let read = async {
        let url = servers.redis_url.clone();
        let store = Store::for_reading(url, &config.stack)?;
        let reader = store.reader()?.with_archive(config.archive());
        reader.archived_days(&|_| true).await
    };
    let days = match read.await {
        Ok(days) => days,
        Err(error) => return not_checked(check, chain(&error)),
    };
    let all = counted(days.len() as u64, "archived day", "archived days");
    let Some(directory) = config.archive_directory() else {
        return match days.len() {
            0 => ok(check, "no archived days"),
            _ => not_checked(check, format!("{all}; no --archive")),
        };
    };
    let directory = directory.display();
    match ArchivedFiles::unreadable(&days) {
        None => ok(check, format!("{all} in {directory}")),
        Some((count, first)) => failed(
            check,
            format!("{count} of {all} cannot be read: {first}"),
            format!(
                "mount the directory of --archive at {directory}, or restore its files from a backup; see `skictl archive list`"
            ),
        ),
    }
}
