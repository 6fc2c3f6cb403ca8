//! What users see in the place of controls that their role may not use.

use super::{page, session_of, texts};
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;

#[tokio::test]
async fn hidden_controls_are_explained_by_the_role() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let operator = session_of(&console, UserRole::Operator).await;
    let admin = session_of(&console, UserRole::Admin).await;
    let notices = async |path: &str, session: &_| {
        let shown = page(&console, path, session).await;
        texts(&shown, "main > .notice.is-info")
    };
    for path in ["/", "/queue", "/settings", "/tuning", "/access", "/fleet"] {
        let limits = "You are a viewer: you can see everything, but change nothing.";
        assert_eq!(notices(path, &viewer).await, [limits], "{path}");
        assert_eq!(notices(path, &admin).await, [""; 0], "{path}");
    }
    assert_eq!(notices("/queue", &operator).await, [""; 0]);
    let limits = "Only an admin can change users, tokens and keys.";
    assert_eq!(notices("/access", &operator).await, [limits]);
}
