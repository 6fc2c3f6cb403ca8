//! Scenarios: mistakes, the documented one, and what they become.

use super::*;

#[test]
fn mistakes_are_named() {
    for (text, says) in [
        (
            "faults = [{ action = \"Start\", error = \"x\" }]",
            "unknown action \"Start\"",
        ),
        (
            "faults = [{ action = \"StopInstances\" }]",
            "exactly one of",
        ),
        (
            "faults = [{ action = \"StopInstances\", error = \"x\", html = 502 }]",
            "exactly one of",
        ),
        (
            "faults = [{ action = \"StopInstances\", falls_back = \"x\" }]",
            "only to StartInstances",
        ),
        (
            "faults = [{ action = \"StopInstances\", error = \"x\", times = 2, always = true }]",
            "both times and always",
        ),
        (
            "faults = [{ action = \"StopInstances\", html = 7 }]",
            "200 to 599",
        ),
        (
            "instances = [{ role = \"api\", type = \"t\", zones = [] }]",
            "at least one zone",
        ),
        ("instances = [{ role = \"api\" }]", "missing field `type`"),
        ("fault = []", "unknown field `fault`"),
        (
            "instances = [{ role = \"lift\", type = \"t\" }]",
            "unknown role \"lift\"",
        ),
        (
            "instances = [{ role = \"api\", type = \"t\", count = 1, running = 2 }]",
            "at most count",
        ),
        (
            "instances = [{ role = \"api\", type = \"t\", count = 1000000000 }]",
            "at most 1000 instances",
        ),
        ("timings = { pending = \"2h\" }", "at most 1h"),
        (
            "faults = [{ action = \"StopInstances\", error = \"x\", times = 0 }]",
            "at least 1",
        ),
        (
            "faults = [{ action = \"StopInstances\", error = \"x\", after_earlier_ids = true }]",
            "requires error and instance",
        ),
        (
            "faults = [{ action = \"StopInstances\", error = \"x\", instance = \"i-1\" }]",
            "there is no instance i-1",
        ),
    ] {
        let error = Scenario::parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn the_documented_scenario_is_one() {
    let document = include_str!("../../../../docs/operations.md");
    let (_, of_it) = document.split_once("## Rehearsing EC2").unwrap();
    let (_, from) = of_it.split_once("```toml\n").unwrap();
    let (text, _) = from.split_once("```").unwrap();
    let scenario = Scenario::parse(text).unwrap();
    assert_eq!((scenario.instances.len(), scenario.faults.len()), (1, 1));
    // What stands in comments is valid, too.
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) => key.split("   ").next().unwrap_or_default().to_owned() + "\n",
            None => format!("{line}\n"),
        })
        .collect();
    Scenario::parse(&all).unwrap();
}

#[tokio::test]
async fn a_scenario_becomes_instances_and_faults() {
    let text = "
        capacity = [{ type = \"c7g.large\", zone = \"eu-central-1b\", free = 0 }]
        [timings]
        pending = \"7s\"
        [[instances]]
        role = \"worker\"
        type = \"c7g.large\"
        count = 3
        running = 1
        [[instances]]
        role = \"api\"
        type = \"c7g.xlarge\"
        spot = \"one-time\"
        auto_scaling_group = \"gates\"
    ";
    let scenario = Scenario::parse(text).unwrap();
    assert_eq!(scenario.timings().pending, Duration::from_secs(7));
    let ec2 = Ec2Stub::start(scenario.timings()).await.unwrap();
    scenario.put_instances(&ec2, "alps");
    scenario.set_faults(&ec2);
    let seen = ec2.instances();
    let states: Vec<_> = seen
        .iter()
        .map(|of| (of.id.as_str(), of.state.name(), of.zone.as_str()))
        .collect();
    assert_eq!(
        states,
        [
            ("i-00000000000000001", "running", "us-east-1a"),
            ("i-00000000000000002", "stopped", "us-east-1b"),
            ("i-00000000000000003", "stopped", "us-east-1c"),
            ("i-00000000000000004", "running", "us-east-1a"),
        ]
    );
    assert_eq!(seen[3].tags["aws:autoscaling:groupName"], "gates");
    assert_eq!(seen[3].spot, Some(Ec2Spot::OneTime));
    assert_eq!(seen[0].tags["skilift:stack"], "alps");
    // Without instances of its own, a file has the usual ones.
    let usual = Scenario::parse("").unwrap();
    usual.put_instances(&ec2, "alps");
    assert_eq!(ec2.instances().len(), 12);
}
