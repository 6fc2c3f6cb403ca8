//! The private moto.

use reqwest::StatusCode;
use skilift_servers::{Ec2State, MotoServer, http};

#[tokio::test]
async fn instances_are_created_tagged_stopped_started_and_terminated() -> anyhow::Result<()> {
    let moto = MotoServer::start().await?;
    assert!(moto.instances().await?.is_empty());
    let tags = [("skilift:stack", "alps & jura"), ("skilift:role", "worker")];
    let ids = moto
        .run_instances(2, &tags, "c7g.large", "eu-central-1b")
        .await?;
    moto.run_instances(1, &[], "t3.micro", "eu-central-1a")
        .await?;
    assert_eq!((ids.len(), moto.instances().await?.len()), (2, 3));

    moto.tag(&ids[..1], &[("Name", "first"), ("skilift:role", "api")])
        .await?;
    moto.stop_instances(&ids[1..]).await?;
    let instances = moto.instances().await?;
    let of = |id: &String| {
        instances
            .iter()
            .find(|instance| instance.id == *id)
            .unwrap()
    };
    let (first, second) = (of(&ids[0]), of(&ids[1]));
    assert_eq!(first.tags["skilift:stack"], "alps & jura");
    assert_eq!(
        (
            first.tags["Name"].as_str(),
            first.tags["skilift:role"].as_str()
        ),
        ("first", "api")
    );
    assert_eq!(
        (first.zone.as_str(), first.instance_type.as_str()),
        ("eu-central-1b", "c7g.large")
    );
    assert_eq!(
        (first.state, first.state_reason.as_deref()),
        (Ec2State::Running, None)
    );
    assert_eq!(second.tags["skilift:role"], "worker");
    assert_eq!(second.state, Ec2State::Stopped);
    assert_eq!(
        second.state_reason.as_deref(),
        Some("Client.UserInitiatedShutdown")
    );

    moto.start_instances(&ids[1..]).await?;
    moto.terminate_instances(&ids[..1]).await?;
    let instances = moto.instances().await?;
    let state = |id: &String| {
        instances
            .iter()
            .find(|instance| instance.id == *id)
            .unwrap()
            .state
    };
    assert_eq!(
        (state(&ids[0]), state(&ids[1])),
        (Ec2State::Terminated, Ec2State::Running)
    );
    Ok(())
}

#[tokio::test]
async fn who_is_not_allowed_is_refused_and_nothing_is_left_of_a_dropped_server()
-> anyhow::Result<()> {
    let moto = MotoServer::start().await?;
    let (id, secret) = moto.allow_only(&["ec2:DescribeInstances"]).await?;
    assert!(!id.is_empty() && !secret.is_empty());
    let denied = moto.instances().await.unwrap_err().to_string();
    assert!(denied.contains("AuthFailure"), "{denied}");

    let address = format!("{}/moto-api/", moto.url());
    assert_eq!(http().get(&address).send().await?.status(), StatusCode::OK);
    drop(moto);
    assert!(http().get(&address).send().await.unwrap_err().is_connect());
    Ok(())
}
