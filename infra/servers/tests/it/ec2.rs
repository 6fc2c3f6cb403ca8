//! The EC2 stub over HTTP: what a client of the Query protocol gets from it while nothing goes wrong.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use roxmltree::Document;
use skilift_servers::{Ec2Answer, Ec2Instance, Ec2Spot, Ec2State, Ec2Stub, Ec2Timings, http};

pub(crate) const A: &str = "i-0000000000000000a";
pub(crate) const B: &str = "i-0000000000000000b";
const NOBODY: &str = "i-00000000000000fff";

/// Long beside a request, and short beside a test.
const LAG: Duration = Duration::from_millis(300);

/// Each step lasts for many requests, so that a busy machine sees all of them.
fn slow() -> Ec2Timings {
    Ec2Timings {
        pending: 4 * LAG,
        initializing: 4 * LAG,
        lag: LAG,
        ..Ec2Timings::default()
    }
}

/// One call as the SDK makes it; its HTTP status and its XML.
pub(crate) async fn call(ec2: &Ec2Stub, form: &str) -> anyhow::Result<(StatusCode, String)> {
    let answer = send(ec2, form).await?;
    Ok((answer.status(), answer.text().await?))
}

pub(crate) async fn send(ec2: &Ec2Stub, form: &str) -> reqwest::Result<reqwest::Response> {
    let signature = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
    let request = http().post(ec2.url()).header("authorization", signature);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request
        .body(format!("Version=2016-11-15&{form}"))
        .send()
        .await
}

/// The texts of all elements of this name, in their order.
pub(crate) fn texts(xml: &str, path: &[&str]) -> Vec<String> {
    let document = Document::parse(xml).unwrap();
    let mut nodes = vec![document.root_element()];
    for name in path {
        let below = nodes.iter().flat_map(roxmltree::Node::descendants);
        nodes = below
            .filter(|node| node.tag_name().name() == *name)
            .collect();
    }
    let texts = nodes.iter().map(|node| node.text().unwrap_or_default());
    texts.map(str::to_owned).collect()
}

#[track_caller]
pub(crate) fn assert_error(answer: &(StatusCode, String), status: u16, code: &str) {
    let (seen, xml) = answer;
    assert_eq!(texts(xml, &["Errors", "Error", "Code"]), [code]);
    assert_eq!(seen.as_u16(), status);
    assert!(!texts(xml, &["Message"])[0].is_empty() && !texts(xml, &["RequestID"])[0].is_empty());
}

async fn quick() -> anyhow::Result<Ec2Stub> {
    Ec2Stub::start(Ec2Timings {
        lag: Duration::ZERO,
        ..Ec2Timings::default()
    })
    .await
}

#[tokio::test]
async fn an_instance_is_described_with_all_that_matters() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    let spot = Ec2Instance {
        instance_type: "m7g.xlarge".to_owned(),
        zone: "eu-central-1b".to_owned(),
        spot: Some(Ec2Spot::Interrupted),
        ..Ec2Instance::new(A, Ec2State::Stopped)
            .tag("Name", "<Hut & Lift>")
            .tag("skilift:role", "worker")
    };
    ec2.put(spot);
    ec2.put(Ec2Instance::new(B, Ec2State::Running));
    let (status, xml) = call(&ec2, &format!("Action=DescribeInstances&InstanceId.1={A}")).await?;
    assert_eq!(status, StatusCode::OK);
    let root = Document::parse(&xml)?;
    let root = root.root_element().tag_name();
    assert_eq!(root.name(), "DescribeInstancesResponse");
    assert_eq!(
        root.namespace(),
        Some("http://ec2.amazonaws.com/doc/2016-11-15/")
    );
    let instance = |names: &[&str]| {
        let path = [&["reservationSet", "item", "instancesSet", "item"], names].concat();
        texts(&xml, &path)
    };
    assert_eq!(instance(&["instanceId"]), [A]);
    assert_eq!(instance(&["instanceState", "name"]), ["stopped"]);
    let code: u16 = instance(&["instanceState", "code"])[0].parse()?;
    assert_eq!(code & 0xff, 80);
    assert_eq!(instance(&["instanceType"]), ["m7g.xlarge"]);
    assert_eq!(
        instance(&["placement", "availabilityZone"]),
        ["eu-central-1b"]
    );
    assert_eq!(
        instance(&["stateReason", "code"]),
        ["Server.SpotInstanceShutdown"]
    );
    assert_eq!(instance(&["instanceLifecycle"]), ["spot"]);
    assert_eq!(instance(&["rootDeviceType"]), ["ebs"]);
    assert_eq!(instance(&["privateIpAddress"]), ["10.0.0.1"]);
    assert_eq!(
        instance(&["tagSet", "item", "key"]),
        ["Name", "skilift:role"]
    );
    assert_eq!(
        instance(&["tagSet", "item", "value"]),
        ["<Hut & Lift>", "worker"]
    );
    Ok(())
}

#[tokio::test]
async fn filters_select_and_pages_lead_on_until_the_last() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    for number in 0..12_u32 {
        let state = if number < 6 {
            Ec2State::Stopped
        } else {
            Ec2State::Running
        };
        let instance = Ec2Instance::new(format!("i-{number:017x}"), state);
        ec2.put(instance.tag(
            "skilift:stack",
            if number % 2 == 0 { "alps" } else { "andes" },
        ));
    }
    let filters = "Action=DescribeInstances&Filter.1.Name=tag%3Askilift%3Astack&Filter.1.Value.1=alps&Filter.1.Value.2=jura\
                   &Filter.2.Name=instance-state-name&Filter.2.Value.1=running";
    let (_, xml) = call(&ec2, filters).await?;
    let wanted: Vec<String> = [6, 8, 10]
        .iter()
        .map(|number| format!("i-{number:017x}"))
        .collect();
    assert_eq!(texts(&xml, &["instanceId"]), wanted);
    assert!(texts(&xml, &["nextToken"]).is_empty());

    let mut seen = Vec::new();
    let mut token = String::new();
    let mut sizes = Vec::new();
    loop {
        let (_, xml) = call(&ec2, &format!("{filters}&MaxResults=5{token}")).await?;
        let ids = texts(&xml, &["instanceId"]);
        sizes.push(ids.len());
        seen.extend(ids);
        match texts(&xml, &["nextToken"]).first() {
            Some(next) => token = format!("&NextToken={next}"),
            None => break,
        }
    }
    assert_eq!(seen, wanted);
    assert_eq!(
        sizes,
        [0, 2, 1],
        "pages that are short or empty, with more to come"
    );

    let refused = call(&ec2, "Action=DescribeInstances&MaxResults=4").await?;
    assert_error(&refused, 400, "InvalidParameterValue");
    let refused = call(&ec2, "Action=DescribeInstances&NextToken=made-up").await?;
    assert_error(&refused, 400, "InvalidNextToken");
    let one = format!(
        "Action=DescribeInstances&MaxResults=5&InstanceId.1=i-{:017x}",
        1
    );
    assert_error(&call(&ec2, &one).await?, 400, "InvalidParameterCombination");
    let refused = call(
        &ec2,
        "Action=DescribeInstances&Filter.1.Name=state&Filter.1.Value.1=running",
    );
    assert_error(&refused.await?, 400, "InvalidParameterValue");
    Ok(())
}

#[tokio::test]
async fn a_start_is_seen_late_and_is_well_later_still() -> anyhow::Result<()> {
    let ec2 = Ec2Stub::start(slow()).await?;
    ec2.put(Ec2Instance::new(A, Ec2State::Stopped));
    let before = Instant::now();
    let (status, xml) = call(&ec2, &format!("Action=StartInstances&InstanceId.1={A}")).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(texts(&xml, &["previousState", "name"]), ["stopped"]);
    assert_eq!(texts(&xml, &["currentState", "name"]), ["pending"]);

    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        let (_, xml) = call(&ec2, &format!("Action=DescribeInstances&InstanceId.1={A}")).await?;
        let state = texts(&xml, &["instanceState", "name"]).remove(0);
        let (_, xml) = call(
            &ec2,
            &format!("Action=DescribeInstanceStatus&InstanceId.1={A}"),
        )
        .await?;
        let checks = texts(&xml, &["instanceStatus", "status"]);
        let check = checks
            .first()
            .cloned()
            .unwrap_or_else(|| "not listed".to_owned());
        let step = (state, check);
        let last = step.1 == "ok";
        if seen.last() != Some(&step) {
            seen.push(step);
        }
        if last {
            break;
        }
        tokio::time::sleep(LAG / 10).await;
    }
    let steps = [
        ("stopped", "not listed"),
        ("pending", "not listed"),
        ("running", "initializing"),
        ("running", "ok"),
    ];
    let steps = steps.map(|(state, check)| (state.to_owned(), check.to_owned()));
    // Between the two describes of a round the instance may have come one step further.
    seen.retain(|step| step != &("pending".to_owned(), "initializing".to_owned()));
    assert_eq!(seen, steps);
    let timings = slow();
    assert!(before.elapsed() >= timings.pending + timings.initializing + timings.lag);
    Ok(())
}

#[tokio::test]
async fn status_lists_what_runs_or_everything() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    ec2.put(Ec2Instance {
        impaired: true,
        ..Ec2Instance::new(A, Ec2State::Running)
    });
    ec2.put(Ec2Instance::new(B, Ec2State::Stopped));
    let (_, xml) = call(&ec2, "Action=DescribeInstanceStatus").await?;
    assert_eq!(texts(&xml, &["instanceId"]), [A]);
    assert_eq!(
        texts(&xml, &["instanceStatus", "details", "status"]),
        ["failed"]
    );
    let (_, xml) = call(
        &ec2,
        "Action=DescribeInstanceStatus&IncludeAllInstances=true",
    )
    .await?;
    assert_eq!(texts(&xml, &["instanceId"]), [A, B]);
    assert_eq!(
        texts(&xml, &["systemStatus", "status"]),
        ["impaired", "failed", "not-applicable"]
    );
    Ok(())
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_its_code() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    ec2.put(Ec2Instance::new(A, Ec2State::Stopped));
    for action in [
        "DescribeInstances",
        "DescribeInstanceStatus",
        "StartInstances",
        "StopInstances",
    ] {
        let unknown = format!("Action={action}&InstanceId.1={A}&InstanceId.2={NOBODY}");
        assert_error(
            &call(&ec2, &unknown).await?,
            400,
            "InvalidInstanceID.NotFound",
        );
        let malformed = format!("Action={action}&InstanceId.1=worker-1");
        assert_error(
            &call(&ec2, &malformed).await?,
            400,
            "InvalidInstanceID.Malformed",
        );
    }
    assert_error(
        &call(&ec2, "Action=StartInstances").await?,
        400,
        "MissingParameter",
    );
    assert_error(
        &call(&ec2, "Action=RebootInstances").await?,
        400,
        "InvalidAction",
    );
    let hibernate = format!("Action=StopInstances&Hibernate=true&InstanceId.1={A}");
    assert_error(
        &call(&ec2, &hibernate).await?,
        400,
        "UnsupportedHibernationConfiguration",
    );

    let unsigned = http()
        .post(ec2.url())
        .body("Version=2016-11-15&Action=DescribeInstances");
    let unsigned = unsigned.send().await?;
    assert_error(
        &(unsigned.status(), unsigned.text().await?),
        401,
        "AuthFailure",
    );
    assert!(ec2.calls().iter().all(|call| call.changed.is_empty()));
    Ok(())
}

#[tokio::test]
async fn only_their_requests_tell_what_kind_of_spot_instances_there_are() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    let kinds = [
        Some(Ec2Spot::OneTime),
        Some(Ec2Spot::Persistent),
        Some(Ec2Spot::Interrupted),
        None,
    ];
    for (number, spot) in kinds.into_iter().enumerate() {
        ec2.put(Ec2Instance {
            spot,
            ..Ec2Instance::new(format!("i-0000000{number}"), Ec2State::Running)
        });
    }
    let ask = "Action=DescribeSpotInstanceRequests";
    let (_, all) = call(&ec2, ask).await?;
    assert_eq!(
        texts(&all, &["item", "type"]),
        ["one-time", "persistent", "persistent"]
    );
    let of_two = format!(
        "{ask}&Filter.1.Name=type&Filter.1.Value.1=one-time\
         &Filter.2.Name=instance-id&Filter.2.Value.1=i-00000000&Filter.2.Value.2=i-00000001"
    );
    let (_, xml) = call(&ec2, &of_two).await?;
    assert_eq!(texts(&xml, &["item", "instanceId"]), ["i-00000000"]);
    let (_, described) = call(&ec2, "Action=DescribeInstances").await?;
    assert_eq!(
        texts(&described, &["spotInstanceRequestId"]),
        texts(&all, &["spotInstanceRequestId"])
    );
    let other = format!("{ask}&Filter.1.Name=state&Filter.1.Value.1=open");
    assert_error(&call(&ec2, &other).await?, 400, "InvalidParameterValue");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_yes_by_an_error_and_is_written_down() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    ec2.put(Ec2Instance::new(A, Ec2State::Terminated));
    let dry = format!("Action=StopInstances&DryRun=true&InstanceId.1={A}");
    assert_error(&call(&ec2, &dry).await?, 412, "DryRunOperation");
    let dry = format!("Action=StopInstances&DryRun=true&InstanceId.1={NOBODY}");
    assert_error(&call(&ec2, &dry).await?, 400, "InvalidInstanceID.NotFound");
    let calls = ec2.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].dry_run && calls[0].changed.is_empty());
    assert_eq!(
        (calls[0].action.as_str(), calls[0].ids.as_slice()),
        ("StopInstances", &[A.to_owned()][..])
    );
    assert_eq!(
        calls[0].answer,
        Ec2Answer::Error("DryRunOperation".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn nobody_answers_once_it_is_dropped() -> anyhow::Result<()> {
    let ec2 = quick().await?;
    let url = ec2.url();
    // By a connection that stays open.
    let client = http();
    assert_eq!(
        client.get(&url).send().await?.status(),
        StatusCode::NOT_FOUND
    );
    drop(ec2);
    assert!(client.get(&url).send().await.is_err());
    Ok(())
}
