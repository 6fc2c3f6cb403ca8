//! What comes of plans of machines: started and heard, drained and stopped, replaced, and gone on with after a restart.

use skilift_fleet::outcome::{OutcomeCode, Verb};

use super::*;

#[tokio::test]
async fn out_keeps_zones_even_and_ends_when_the_nodes_do_what_they_shall() {
    let (console, machines, admin) = with(6, 1).await;
    let mut change = scale(json!({"by": 2}));
    change["threads"] = json!(8);
    let plan = console.plan(&admin, change).await;
    // The first runs in zone a: the next are in b and c.
    assert_eq!(of(&plan, "start"), ["i-00000002", "i-00000003"], "{plan}");
    assert_eq!(of(&plan, "set worker threads"), ["all workers"]);
    assert_eq!(plan["actions"][1]["instance"]["zone"], "us-east-1b");
    assert_eq!(plan["change"]["roles"][0]["count"], json!({"to": 3}));
    assert_eq!(plan["danger"], "moderate");
    // An API node and a worker run, two workers come: twice as much.
    let usd = |of: &str| plan["cost"][of]["value"].as_f64().unwrap();
    assert!(
        (usd("after_usd_per_h") - 2.0 * usd("before_usd_per_h")).abs() < 1e-9,
        "{plan}"
    );
    assert!((usd("starts_usd") - usd("before_usd_per_h") / 60.0).abs() < 1e-9);
    assert!(
        plan["effects"]
            .to_string()
            .contains("it does not guarantee capacity"),
        "{plan}"
    );

    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["state"], "applied", "{done}");
    for step in done["outcome"]["steps"].as_array().unwrap() {
        assert_eq!(
            (&step["done"], &step["code"]),
            (&json!(true), &json!("succeeded")),
            "{step}"
        );
    }
    let said = done["outcome"]["steps"][1]["message"].as_str().unwrap();
    assert!(said.contains("is up"), "{said}");
    assert_eq!(machines.state("i-00000002"), InstanceState::Running);
    let settings = console.get("/settings", &admin).await;
    assert_eq!(settings["sections"][0]["values"]["threads"], 8);

    let audit = console.get("/audit?limit=1", &admin).await;
    let line = &audit["entries"][0];
    assert_eq!(
        (&line["action"], &line["target"]),
        (&json!("apply"), &json!("scale")),
        "{line}"
    );
    assert!(
        line["after"]
            .as_str()
            .unwrap()
            .contains("start, i-00000002"),
        "{line}"
    );
    let fleet = console.get("/fleet", &admin).await;
    assert_eq!(fleet["roles"][1]["running"], 3, "{fleet}");
    // So it is now.
    let again = console.plan(&admin, scale(json!({"to": 3}))).await;
    assert_eq!(
        (&again["danger"], again["actions"].as_array().unwrap().len()),
        (&json!("none"), 0)
    );
}

#[tokio::test]
async fn in_drains_before_it_stops_and_leaves_no_mark() {
    let (console, machines, admin) = with(3, 3).await;
    machines
        .stubborn
        .lock()
        .unwrap()
        .insert("i-00000003".to_owned());
    let mut change = scale(json!({"to": 2}));
    change["stop"] = json!(["i-00000003"]);
    let plan = console.plan(&admin, change).await;
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.body["result"], "running", "{answer:?}");
    let step = &answer.body["steps"][0];
    assert!(
        step["message"].as_str().unwrap().contains("still has 3"),
        "{step}"
    );
    assert_eq!(
        machines.calls.lock().unwrap().len(),
        0,
        "nothing stops before its node is drained"
    );
    let document = console.console.desired.document();
    let mark = &document.drains[0];
    assert!(mark.expires_at_ms.is_some(), "a mark of a plan is a lease");
    // Nobody else scales meanwhile.
    let other = console.plan(&admin, scale(json!({"by": -1}))).await;
    assert!(
        refusals(&other).contains("is still starting or stopping instances"),
        "{other}"
    );
    machines.stubborn.lock().unwrap().clear();
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(
        *machines.calls.lock().unwrap(),
        [(Verb::Stop, vec!["i-00000003".to_owned()])]
    );
    assert!(console.console.desired.document().drains.is_empty());
}

#[tokio::test]
async fn who_does_not_finish_in_time_works_on_unless_he_shall_not() {
    let (console, machines, admin) = with(2, 2).await;
    machines
        .stubborn
        .lock()
        .unwrap()
        .insert("i-00000002".to_owned());
    let mut change = json!({"change": "scale", "stop": ["i-00000002"], "drain_timeout_s": 1});
    let plan = console.plan(&admin, change.clone()).await;
    let failed = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["outcome"]["steps"][0]["code"], "not_drained");
    assert_eq!(machines.state("i-00000002"), InstanceState::Running);
    assert!(
        console.console.desired.document().drains.is_empty(),
        "a failed plan undrains"
    );
    let works = async || {
        let nodes = console.console.roster.nodes();
        nodes.iter().filter(|node| node.works).count() == 3
    };
    console.until("it works on", works).await;

    change["stop_anyway"] = json!(true);
    let plan = console.plan(&admin, change).await;
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(machines.state("i-00000002"), InstanceState::Stopped);
}

#[tokio::test]
async fn where_there_is_no_room_another_zone_is_tried() {
    let (console, machines, admin) = with(6, 1).await;
    let full = [
        ("i-00000002", OutcomeCode::NoCapacity),
        ("i-00000003", OutcomeCode::NoCapacity),
    ];
    machines
        .refusals
        .lock()
        .unwrap()
        .extend(full.map(|(id, code)| (id.to_owned(), code)));
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    assert_eq!(of(&plan, "start"), ["i-00000002"]);
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["outcome"]["result"], "succeeded", "{done}");
    let steps = done["outcome"]["steps"].as_array().unwrap();
    let told: Vec<_> = steps
        .iter()
        .map(|step| (&step["code"], &step["started_instead"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("no_capacity"), &json!("i-00000003")),
            (&json!("no_capacity"), &json!("i-00000004")),
            (&json!("succeeded"), &Value::Null),
        ],
        "{done}"
    );
    // Who names a machine means that one.
    let plan = console
        .plan(&admin, json!({"change": "scale", "start": ["i-00000002"]}))
        .await;
    let failed = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(
        failed["outcome"]["steps"].as_array().unwrap().len(),
        1,
        "{failed}"
    );
    assert_eq!(failed["outcome"]["result"], "failed");
}

#[tokio::test]
async fn one_bad_id_in_ten_is_an_outcome_of_its_own() {
    let (console, _machines, admin) = with(9, 0).await;
    let mut ids: Vec<String> = (1..=9).map(|number| format!("i-{number:08x}")).collect();
    ids.insert(4, "i-0badc0de".to_owned());
    console
        .change(&admin, json!({"change": "set_fleet", "worker_max": 20}))
        .await;
    let plan = console
        .plan(&admin, json!({"change": "scale", "start": ids}))
        .await;
    assert_eq!(plan["actions"][4]["before"], "not listed");
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["outcome"]["result"], "partial", "{done}");
    for (number, step) in done["outcome"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let expected = if number == 4 {
            "not_found"
        } else {
            "succeeded"
        };
        assert_eq!(step["code"], expected, "{step}");
    }
}

fn stops(machines: &TestMachines) -> usize {
    let calls = machines.calls.lock().unwrap();
    calls.iter().filter(|(verb, _)| *verb == Verb::Stop).count()
}

#[tokio::test]
async fn the_last_one_stays_up_when_the_one_for_it_does_not_start() {
    let (console, machines, admin) = with(2, 1).await;
    let full = ("i-00000002".to_owned(), OutcomeCode::NoCapacity);
    machines.refusals.lock().unwrap().extend([full]);
    let swap = json!({"change": "scale", "start": ["i-00000002"], "stop": ["i-00000001"]});
    let plan = console.plan(&admin, swap).await;
    assert_eq!(plan["refusals"], json!([]), "{plan}");
    let failed = carry_out(&console, &admin, &plan, json!({})).await;
    let stop = &failed["outcome"]["steps"][1];
    assert_eq!(stop["code"], "refused", "{failed}");
    assert!(
        stop["message"].to_string().contains("did not start"),
        "{stop}"
    );
    assert_eq!(machines.state("i-00000001"), InstanceState::Running);
    assert_eq!(stops(&machines), 0);
    // One that cannot start takes nobody's place, so that the last one would stop.
    machines.change("i-00000002", |instance| {
        instance.obstacle = Some(Obstacle::AutoScaling {
            group: "gates".to_owned(),
        });
    });
    let swap = json!({"change": "scale", "start": ["i-00000002"], "stop": ["i-00000001"]});
    let plan = console.plan(&admin, swap).await;
    assert!(refusals(&plan).contains("--allow-zero"), "{plan}");
}

#[tokio::test]
async fn what_cannot_be_stopped_is_not_drained() {
    let (console, machines, admin) = with(3, 3).await;
    machines.change("i-00000002", |instance| {
        instance.obstacle = Some(Obstacle::AutoScaling {
            group: "gates".to_owned(),
        });
    });
    let stop = |ids| json!({"change": "scale", "stop": ids});
    for impossible in [json!(["i-00000002"]), json!(["i-00000002", "i-0badc0de"])] {
        let plan = console.plan(&admin, stop(impossible)).await;
        assert_eq!(plan["refusals"][0]["code"], "obstacle", "{plan}");
        let answer = console.apply(&admin, &plan, json!({})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // Beside one that can be, it is an outcome of its own; the other one's node is looked at until it drains.
    let stubborn = "i-00000003".to_owned();
    machines.stubborn.lock().unwrap().insert(stubborn);
    let both = stop(json!(["i-00000002", "i-00000003"]));
    let plan = console.plan(&admin, both).await;
    assert!(plan["effects"].to_string().contains("gates"), "{plan}");
    console.apply(&admin, &plan, json!({})).await;
    let drains = async || console.console.desired.document().drains.len() == 1;
    console.until("one of them drains", drains).await;
    let mark = console.console.desired.document().drains[0]
        .node
        .to_string();
    assert!(mark.ends_with("-3"), "{mark}");
    machines.stubborn.lock().unwrap().clear();
    let done = ended(&console, &admin, &plan).await;
    let codes = done["outcome"]["steps"].as_array().unwrap().iter();
    assert_eq!(
        codes.map(|step| &step["code"]).collect::<Vec<_>>(),
        ["obstacle", "succeeded"],
        "{done}"
    );
    assert_eq!(stops(&machines), 1);
}

#[tokio::test]
async fn who_is_drained_stops_although_another_is_not() {
    let (console, machines, admin) = with(4, 4).await;
    let stubborn = "i-00000002".to_owned();
    machines.stubborn.lock().unwrap().insert(stubborn);
    let both = json!({"change": "scale", "stop": ["i-00000001", "i-00000002"]});
    let plan = console.plan(&admin, both).await;
    console.apply(&admin, &plan, json!({})).await;
    let is_stopped = async || machines.state("i-00000001") == InstanceState::Stopped;
    console.until("one is stopped", is_stopped).await;
    assert_eq!(machines.state("i-00000002"), InstanceState::Running);
    machines.stubborn.lock().unwrap().clear();
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(stops(&machines), 2);
}

#[tokio::test]
async fn a_machine_whose_node_nobody_finds_is_not_stopped_unless_that_is_said() {
    let (console, machines, admin) = with(2, 2).await;
    machines
        .is_nameless
        .lock()
        .unwrap()
        .insert("i-00000002".to_owned());
    let is_nameless = async || {
        let nodes = console.console.roster.nodes();
        nodes.iter().any(|node| node.instance.is_none())
    };
    console
        .until("its node does not say where it is", is_nameless)
        .await;
    let mut change = json!({"change": "scale", "stop": ["i-00000002"], "drain_timeout_s": 1});
    let plan = console.plan(&admin, change.clone()).await;
    let failed = carry_out(&console, &admin, &plan, json!({})).await;
    let step = &failed["outcome"]["steps"][0];
    assert_eq!(step["code"], "not_drained", "{failed}");
    change["stop_anyway"] = json!(true);
    let plan = console.plan(&admin, change).await;
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["state"], "applied", "{done}");
}

#[tokio::test]
async fn a_plan_goes_on_where_its_journal_ends() {
    let (console, machines, admin) = with(4, 2).await;
    // The console ends while a machine starts and none has answered.
    let held = machines.gate.acquire_many(1_000).await.unwrap();
    let plan = console.plan(&admin, scale(json!({"to": 3}))).await;
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.body["result"], "running", "{answer:?}");
    let fleet = Arc::clone(&machines) as Arc<dyn Fleet>;
    let (folder, control_channel) = console.stop().await;
    drop(held);
    // Meanwhile the start came through, as EC2's do.
    machines
        .start(
            &[skilift_fleet::instance::InstanceId::new("i-00000003")],
            &|_, _| {},
        )
        .await;
    let console = TestConsole::with_fleet(folder, control_channel, fleet).await;
    let admin = console.local();
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(done["outcome"]["steps"][0]["code"], "succeeded");
    let audit = console.get("/audit?action=apply", &admin).await;
    assert_eq!(audit["entries"][0]["plan"], plan["id"], "{audit}");
    assert_eq!(
        audit["entries"][0]["reason"], "continued after the console restarted",
        "{audit}"
    );

    // And while a node drains.
    machines
        .stubborn
        .lock()
        .unwrap()
        .insert("i-00000002".to_owned());
    let change = json!({"change": "scale", "stop": ["i-00000002"]});
    let plan = console.plan(&admin, change).await;
    console.apply(&admin, &plan, json!({})).await;
    let fleet = Arc::clone(&machines) as Arc<dyn Fleet>;
    let (folder, control_channel) = console.stop().await;
    let console = TestConsole::with_fleet(folder, control_channel, fleet).await;
    let admin = console.local();
    // It was not heard yet by this console that the node drains: that it goes on with it is known from the folder.
    assert_eq!(
        console.console.roster.nodes().len(),
        0,
        "nobody is heard yet"
    );
    assert_eq!(console.console.desired.document().drains.len(), 1);
    let path = format!("/plans/{}", plan["id"].as_str().unwrap());
    let waits = async || {
        let steps = console.get(&path, &admin).await["outcome"]["steps"].to_string();
        steps.contains("still has 3")
    };
    console.until("the node is heard again", waits).await;
    assert_eq!(console.console.desired.document().drains.len(), 1);
    assert_eq!(stops(&machines), 0, "it is not drained yet");
    machines.stubborn.lock().unwrap().clear();
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(machines.state("i-00000002"), InstanceState::Stopped);
    assert!(console.console.desired.document().drains.is_empty());
}
