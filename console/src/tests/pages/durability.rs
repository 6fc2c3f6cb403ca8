//! Who promises that stored rides are kept: on every page, if it is not checked.

use std::sync::Arc;

use skilift_core::store::redis::durability::StoreDurability;

use super::{page, session_of, texts};
use crate::config::Seeds;
use crate::tests::harness::{TestConsole, config, store};
use crate::view::access::UserRole;

#[tokio::test]
async fn each_page_says_who_promises_durability() {
    for (durability, says) in [
        (StoreDurability::Checked, None),
        (StoreDurability::Managed, Some("promised by the service")),
        (StoreDurability::Lossy, Some("may be lost")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), false, Seeds::default());
        config.store_durability = durability;
        let store = store(folder.path()).await;
        let console = TestConsole::over(folder, Arc::default(), config, store).await;
        let viewer = session_of(&console, UserRole::Viewer).await;
        for path in [
            "/",
            "/queue",
            "/nodes",
            "/settings",
            "/plans",
            "/audit",
            "/rides",
        ] {
            let shown = page(&console, path, &viewer).await;
            let notes = texts(&shown, "main > .hint");
            assert_eq!(
                notes.len(),
                usize::from(says.is_some()),
                "{path}: {notes:?}"
            );
            let is_said = says.is_none_or(|says| notes[0].contains(says));
            assert!(is_said, "{path}: {notes:?}");
        }
        let queue = console.get("/queue", &console.local()).await;
        assert_eq!(queue["store_durability"], durability.to_string());
    }
}
