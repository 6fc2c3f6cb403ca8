//! Sweeps of a console that cannot list instances.

use std::sync::Arc;

use axum::http::StatusCode;
use skilift_fleet::Fleet;
use skilift_fleet::outcome::OutcomeCode;

use super::super::harness::{TestConsole, TestControlChannel, store};
use super::super::machines::TestMachines;
use super::{Simulated, spec, with_load};

#[tokio::test]
async fn only_a_console_on_ec2_needs_the_instances() {
    let control_channel: Arc<TestControlChannel> = Arc::default();
    let machines = TestMachines::with_pace(&control_channel, 0, 0, (0, 0.5));
    *machines.away.lock().unwrap() = Some(OutcomeCode::Unreachable);
    let folder = tempfile::tempdir().unwrap();
    let (config, _nodes) = (
        with_load(folder.path()),
        Simulated::start(&control_channel, folder.path()),
    );
    let (store, fleet) = (
        store(folder.path()).await,
        Arc::clone(&machines) as Arc<dyn Fleet>,
    );
    let console = TestConsole::over_with(folder, control_channel, config, store, Some(fleet)).await;
    console
        .until("the nodes are known", async || {
            let known = console.console.roster.known();
            known.is_complete && known.nodes.iter().filter(|node| node.works).count() >= 2
        })
        .await;
    let admin = console.local();
    let start = async || {
        let spec = Some(spec(&[1]));
        console.ask("POST", "/tuning", Some(&admin), spec).await
    };

    let answer = start().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(
        answer.message().starts_with("cannot list instances"),
        "{answer:?}"
    );

    // Without credentials the nodes that work are all there is.
    *machines.away.lock().unwrap() = Some(OutcomeCode::Credentials);
    let answer = start().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}
