//! `skictl scale` over the child processes of `skictl up`, while rides flow.

use std::time::Duration;

use serde_json::Value;

use crate::children::UpOnServers;
use crate::load::Load;
use crate::operator::Operator;

/// Number of running instances of a role.
async fn up(operator: &Operator, role: &str) -> u64 {
    let fleet = operator.sees(&["ec2", "list", "--role", role]).await;
    fleet["roles"][0]["running"].as_u64().unwrap()
}

fn codes(plan: &Value) -> Vec<&str> {
    let steps = plan["outcome"]["steps"].as_array().unwrap().iter();
    steps.map(|step| step["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_worker_four_and_one_again_under_load_and_every_201_is_stored() {
    let mut on = UpOnServers::start().await;
    let operator = on.operator().await;
    operator
        .waits_for(&["nodes"], |seen| {
            seen["nodes"].as_array().unwrap().len() == 2
        })
        .await;
    let load = Load::start(&on.url);
    load.accept(1000).await;
    let line = "scale worker=4 --threads 4 --yes --wait --output json";
    let out = operator
        .does(&line.split(' ').collect::<Vec<_>>())
        .await
        .json();
    assert_eq!(codes(&out), ["succeeded"; 4], "{out:#}");
    assert_eq!(up(&operator, "worker").await, 4);
    let (nodes, _) = operator
        .waits_for(&["nodes"], |seen| {
            let nodes = seen["nodes"].as_array().unwrap().iter();
            let four = nodes.filter(|node| node["role"] == "worker" && node["threads"] == 4);
            four.count() == 4
        })
        .await;
    let machines = nodes["nodes"].as_array().unwrap().iter();
    let mut machines: Vec<&str> = machines
        .map(|node| node["instance_id"].as_str().unwrap())
        .collect();
    machines.sort_unstable();
    let named = [
        "local-api-0",
        "local-worker-1",
        "local-worker-2",
        "local-worker-3",
        "local-worker-4",
    ];
    assert_eq!(machines, named);
    load.accept(3000).await;

    // Three of four is more than half.
    let refused = operator.skictl(&["scale", "worker=1", "--yes"]).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    let line = "scale worker=1 --confirm crash --wait --output json --override test";
    let said = operator.does(&line.split(' ').collect::<Vec<_>>()).await;
    assert_eq!(codes(&said.json()), ["succeeded"; 3], "{said:?}");
    assert_eq!(up(&operator, "worker").await, 1);
    load.accept(1000).await;
    // So it is already; the last one stays; and what is not there cannot be had.
    operator
        .does(&["scale", "worker=1", "--expect-running", "1", "--yes"])
        .await;
    for (line, code) in [
        ("scale worker=0 --yes", 4),
        ("scale worker=+1 --expect-running 3 --yes", 4),
        ("scale worker=9 --yes", 4),
        ("scale api=0 --allow-zero --confirm crash", 4),
    ] {
        let said = operator.skictl(&line.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(said.code, code, "{line}: {said:?}");
    }
    assert_eq!(up(&operator, "api").await, 1);
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    on.prove("one worker, four, and one again", &sent).await;
    operator.closes_the_books().await;
    let audit = operator
        .sees(&["audit", "--action", "apply", "--limit", "1"])
        .await;
    let line = &audit["entries"][0];
    assert_eq!(
        (&line["target"], &line["outcome"]),
        (&"scale".into(), &"succeeded".into()),
        "{line}"
    );
    on.up.drain().await;
}

#[tokio::test]
async fn a_console_that_is_killed_in_the_middle_of_an_apply_goes_on() {
    let mut on = UpOnServers::start().await;
    let operator = on.operator().await;
    operator
        .waits_for(&["nodes"], |seen| {
            seen["nodes"].as_array().unwrap().len() == 2
        })
        .await;
    let load = Load::start(&on.url);
    load.accept(500).await;
    for target in ["worker=4", "worker=2"] {
        let operator = on.operator().await;
        let heard = |seen: &Value| {
            seen["instances"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        };
        operator.waits_for(&["ec2", "list"], heard).await;
        let line = ["scale", target, "--yes", "--wait", "--timeout", "20s"];
        let killing = async {
            let under_way = |seen: &Value| seen["plan"].is_string();
            let (seen, _) = operator.waits_for(&["ec2", "list"], under_way).await;
            seen["plan"].as_str().unwrap().to_owned()
        };
        let plan = tokio::select! {
            plan = killing => plan,
            said = operator.skictl(&line) => panic!("it was done before it could be cut off: {said:?}"),
        };
        on.up.kill_9().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        on.start_again().await;
        let operator = on.operator().await;
        let followed = operator
            .skictl(&[
                "plans",
                "show",
                &plan,
                "--wait",
                "--timeout",
                "60s",
                "--output",
                "json",
            ])
            .await;
        assert_eq!(followed.code, 0, "{followed:?} {}", on.up.log());
        let wanted: u64 = target.strip_prefix("worker=").unwrap().parse().unwrap();
        operator
            .waits_for(&["ec2", "list", "--role", "worker"], |seen| {
                seen["roles"][0]["running"].as_u64() == Some(wanted)
            })
            .await;
        let audit = operator
            .sees(&["audit", "--action", "apply", "--limit", "1"])
            .await;
        let entry = &audit["entries"][0];
        assert_eq!(entry["plan"].as_str(), Some(&*plan), "{audit:#}");
        assert_eq!(
            entry["reason"], "continued after the console restarted",
            "{audit:#}"
        );
    }
    let sent = load.stop().await;
    on.prove("kill -9 in the middle of an apply, twice", &sent)
        .await;
    on.up.drain().await;
}
