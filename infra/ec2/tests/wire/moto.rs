//! Moto, where a mock of AWS will do. What only moto does, nothing here relies on.

use std::collections::BTreeSet;

use skilift_ec2::{Ec2Fleet, ROLE_TAG, STACK_TAG};
use skilift_fleet::Fleet as _;
use skilift_fleet::instance::{Instance, InstanceId, InstanceState};
use skilift_fleet::outcome::{OutcomeCode, Verb};
use skilift_servers::{Ec2State, MotoServer, assert_aws_of_nobody};
use tokio::process::Command;

use crate::{STACK, codes};

/// How the test of permissions tells itself where moto is, when it runs itself as moto's user.
const MOTO_URL: &str = "SKILIFT_WIRE_MOTO_URL";
/// Reservations on a page, the fewest that EC2 allows.
const PAGE: i32 = 5;
/// More reservations than there are on two pages.
const MANY: usize = 12;

fn tags<'a>(stack: &'a str, role: &'a str) -> [(&'a str, &'a str); 3] {
    [(STACK_TAG, stack), (ROLE_TAG, role), ("Name", "Talstation")]
}

fn ids(of: &[String]) -> Vec<InstanceId> {
    of.iter().map(InstanceId::new).collect()
}

fn find<'a>(listed: &'a [Instance], id: &str) -> Option<&'a Instance> {
    listed.iter().find(|instance| instance.id.as_str() == id)
}

#[tokio::test]
async fn instances_are_listed_by_their_tags_stopped_and_started() -> anyhow::Result<()> {
    assert_aws_of_nobody();
    let moto = MotoServer::start().await?;
    let run = async |stack, role, zone| {
        let tags = tags(stack, role);
        moto.run_instances(2, &tags, "c7g.large", zone).await
    };
    let workers = run(STACK, "worker", "eu-central-1b").await?;
    let gates = run(STACK, "api", "eu-central-1a").await?;
    let foreign = run("jura", "worker", "eu-central-1a").await?;
    let gone = run(STACK, "worker", "eu-central-1a").await?;
    moto.terminate_instances(&gone).await?;

    let fleet = Ec2Fleet::new(STACK, Some(moto.url()));
    let listed = fleet.list().await?;
    let found: BTreeSet<_> = listed.iter().map(|it| it.id.to_string()).collect();
    let expected = gates.iter().chain(&workers).cloned();
    assert_eq!(found, expected.collect());
    let worker = find(&listed, &workers[0]).unwrap();
    assert_eq!(
        (worker.role.as_str(), worker.name.as_deref()),
        ("worker", Some("Talstation"))
    );
    assert_eq!(
        (worker.instance_type.as_str(), worker.zone.as_str()),
        ("c7g.large", "eu-central-1b")
    );
    assert_eq!(worker.state, InstanceState::Running);
    assert!(worker.address.is_some() && worker.started_at_ms > Some(1_600_000_000_000));
    assert!(worker.obstacle.is_none() && !worker.is_spot);

    // A tag that changes is another role at once.
    moto.tag(&gates[1..], &[(ROLE_TAG, "worker")]).await?;
    let listed = fleet.list().await?;
    assert_eq!(find(&listed, &gates[1]).unwrap().role, "worker");

    let asked = [&workers[..], &foreign].concat();
    assert_eq!(fleet.preflight(Verb::Stop, &ids(&asked)).await, Ok(()));
    let outcomes = fleet.stop(&ids(&asked), &|_, _| {}).await;
    assert_eq!(
        codes(&outcomes),
        [
            OutcomeCode::Done,
            OutcomeCode::Done,
            OutcomeCode::NotOurs,
            OutcomeCode::NotOurs
        ]
    );
    let all = moto.instances().await?;
    for id in &asked {
        let it = all.iter().find(|it| it.id == *id).unwrap();
        let expected = if workers.contains(id) {
            Ec2State::Stopped
        } else {
            Ec2State::Running
        };
        assert_eq!(it.state, expected);
    }
    let listed = fleet.list().await?;
    let reason = find(&listed, &workers[0]).unwrap().reason.as_ref().unwrap();
    assert_eq!(reason.code, "Client.UserInitiatedShutdown");

    let unknown = "i-0badc0de0badc0de0".to_owned();
    let asked = [&workers[..1], &gates[..1], &gone[..1], &[unknown]].concat();
    let outcomes = fleet.start(&ids(&asked), &|_, _| {}).await;
    assert_eq!(
        codes(&outcomes),
        [
            OutcomeCode::Done,
            OutcomeCode::Already,
            OutcomeCode::WrongState,
            OutcomeCode::NotFound
        ]
    );
    let all = moto.instances().await?;
    let state = |id: &String| all.iter().find(|it| it.id == *id).unwrap().state;
    assert_eq!(
        [&workers[0], &workers[1], &gone[0]].map(state),
        [Ec2State::Running, Ec2State::Stopped, Ec2State::Terminated]
    );
    Ok(())
}

/// Moto's pages are of reservations, EC2's of instances, so that each has its own.
#[tokio::test]
async fn all_pages_are_read() -> anyhow::Result<()> {
    assert_aws_of_nobody();
    let moto = MotoServer::start().await?;
    let (tags, type_, zone) = (tags(STACK, "worker"), "c7g.large", "eu-central-1a");
    let mut created = BTreeSet::new();
    // One after the other: moto fails now and then where calls meet.
    for _ in 0..MANY {
        created.extend(moto.run_instances(1, &tags, type_, zone).await?);
    }
    let listed = Ec2Fleet::new(STACK, Some(moto.url()))
        .with_page(PAGE)
        .list()
        .await?;
    let listed: Vec<_> = listed.into_iter().map(|it| it.id.to_string()).collect();
    assert_eq!(listed.len(), MANY);
    assert_eq!(BTreeSet::from_iter(listed), created);
    Ok(())
}

/// Credentials come from the environment, so that it runs itself once more, as the user of moto who may only look.
#[tokio::test]
async fn who_may_only_look_is_denied() -> anyhow::Result<()> {
    if let Some(url) = std::env::var_os(MOTO_URL) {
        let url = url.to_string_lossy().into_owned();
        return look_and_be_denied(url).await;
    }
    assert_aws_of_nobody();
    let moto = MotoServer::start().await?;
    let tags = tags(STACK, "worker");
    let created = moto.run_instances(2, &tags, "c7g.large", "eu-central-1a");
    moto.stop_instances(&created.await?[1..]).await?;
    let (key, secret) = moto
        .allow_only(&["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"])
        .await?;

    let unknown = Ec2Fleet::new(STACK, Some(moto.url())).list().await;
    assert_eq!(unknown.unwrap_err().code, OutcomeCode::Credentials);

    let this = module_path!().split_once("::").unwrap().1;
    let itself = Command::new(std::env::current_exe()?)
        .args(["--exact", &format!("{this}::who_may_only_look_is_denied")])
        .env(MOTO_URL, moto.url())
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&itself.stdout);
    assert!(
        itself.status.success() && said.contains("1 passed"),
        "{said}"
    );
    Ok(())
}

async fn look_and_be_denied(url: String) -> anyhow::Result<()> {
    let fleet = Ec2Fleet::new(STACK, Some(url));
    let before = fleet.list().await?;
    assert_eq!(before.len(), 2);
    for instance in &before {
        let (verb, action) = if instance.state == InstanceState::Running {
            (Verb::Stop, "ec2:StopInstances")
        } else {
            (Verb::Start, "ec2:StartInstances")
        };
        let it = [instance.id.clone()];
        let outcome = match verb {
            Verb::Start => fleet.start(&it, &|_, _| {}).await,
            Verb::Stop => fleet.stop(&it, &|_, _| {}).await,
        }
        .remove(0);
        assert_eq!(outcome.code, OutcomeCode::Denied, "{outcome:?}");
        assert!(outcome.message.contains(action), "{outcome:?}");
        let refusal = fleet.preflight(verb, &it).await.unwrap_err();
        assert_eq!(refusal.code, OutcomeCode::Denied, "{refusal}");
    }
    assert_eq!(fleet.list().await?, before);
    Ok(())
}
