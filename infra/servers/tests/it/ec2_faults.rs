//! The EC2 stub over HTTP: what a client gets from it when something goes wrong.

use std::time::{Duration, Instant};

use skilift_servers::{Ec2Action, Ec2Answer, Ec2Fault, Ec2Instance, Ec2State, Ec2Stub, Ec2Timings};

use crate::ec2::{A, B, assert_error, call, send, texts};

const C: &str = "i-0000000000000000c";

/// Long beside a few requests, also on a busy machine.
const PENDING: Duration = Duration::from_secs(1);

/// Three that are stopped.
async fn three() -> anyhow::Result<Ec2Stub> {
    let timings = Ec2Timings {
        pending: PENDING,
        lag: Duration::ZERO,
        ..Ec2Timings::default()
    };
    let ec2 = Ec2Stub::start(timings).await?;
    for id in [A, B, C] {
        ec2.put(Ec2Instance::new(id, Ec2State::Stopped));
    }
    Ok(ec2)
}

fn start(ids: &[&str]) -> String {
    let numbered = ids.iter().zip(1..);
    let ids: Vec<String> = numbered
        .map(|(id, number)| format!("&InstanceId.{number}={id}"))
        .collect();
    format!("Action=StartInstances{}", ids.concat())
}

fn state(ec2: &Ec2Stub, id: &str) -> Ec2State {
    ec2.instance(id).unwrap().state
}

#[tokio::test]
async fn errors_come_with_their_status_and_change_nothing() -> anyhow::Result<()> {
    let ec2 = three().await?;
    let errors = [
        ("InsufficientInstanceCapacity", 500),
        ("RequestLimitExceeded", 503),
        ("UnauthorizedOperation", 403),
        ("AccessDenied", 403),
        ("AuthFailure", 401),
        ("ExpiredToken", 400),
        ("RequestExpired", 400),
        ("VcpuLimitExceeded", 400),
        ("InstanceLimitExceeded", 400),
        ("UnsupportedOperation", 400),
        ("IncorrectSpotRequestState", 400),
        ("InternalError", 500),
        ("Unavailable", 503),
    ];
    for (code, status) in errors {
        ec2.inject(Ec2Fault::error(Ec2Action::StartInstances, code));
        assert_error(&call(&ec2, &start(&[A])).await?, status, code);
        assert_eq!(state(&ec2, A), Ec2State::Stopped);
    }
    assert!(
        call(&ec2, &start(&[A])).await?.0.is_success(),
        "each came once"
    );
    assert_eq!(state(&ec2, A), Ec2State::Pending);
    Ok(())
}

#[tokio::test]
async fn a_fault_meets_only_its_action_its_instance_and_its_number_of_calls() -> anyhow::Result<()>
{
    let ec2 = three().await?;
    let fault = Ec2Fault::error(Ec2Action::StartInstances, "InsufficientInstanceCapacity");
    ec2.inject(fault.clone().on(B).times(2));
    let describe = format!("Action=DescribeInstances&InstanceId.1={B}");
    assert!(call(&ec2, &describe).await?.0.is_success());
    assert!(call(&ec2, &start(&[C])).await?.0.is_success());
    let dry = format!("{}&DryRun=true", start(&[B]));
    assert_error(&call(&ec2, &dry).await?, 412, "DryRunOperation");
    assert_error(
        &call(&ec2, &start(&[A, B])).await?,
        500,
        "InsufficientInstanceCapacity",
    );
    assert_error(
        &call(&ec2, &start(&[B])).await?,
        500,
        "InsufficientInstanceCapacity",
    );
    assert!(call(&ec2, &start(&[B])).await?.0.is_success());

    ec2.inject(Ec2Fault::error(Ec2Action::StopInstances, "UnauthorizedOperation").always());
    let dry = format!("Action=StopInstances&DryRun=true&InstanceId.1={A}");
    for _ in 0..3 {
        assert_error(&call(&ec2, &dry).await?, 403, "UnauthorizedOperation");
    }
    ec2.clear_faults();
    assert_error(&call(&ec2, &dry).await?, 412, "DryRunOperation");
    Ok(())
}

#[tokio::test]
async fn an_error_in_the_middle_can_leave_the_first_part_done() -> anyhow::Result<()> {
    let ec2 = three().await?;
    let fault = Ec2Fault::error(Ec2Action::StartInstances, "InternalError");
    ec2.inject(fault.on(B).after_earlier_ids().times(2));
    let dry = format!("{}&DryRun=true", start(&[A, B, C]));
    assert_error(&call(&ec2, &dry).await?, 500, "InternalError");
    assert_eq!(state(&ec2, A), Ec2State::Stopped);
    assert_error(&call(&ec2, &start(&[A, B, C])).await?, 500, "InternalError");
    assert_eq!(ec2.calls()[1].changed, [A]);
    assert_eq!(
        [A, B, C].map(|id| state(&ec2, id)),
        [Ec2State::Pending, Ec2State::Stopped, Ec2State::Stopped]
    );
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_effect() -> anyhow::Result<()> {
    let ec2 = three().await?;
    ec2.inject(Ec2Fault::cut_before(Ec2Action::StartInstances));
    ec2.inject(Ec2Fault::cut_after(Ec2Action::StartInstances));
    for expected in [Ec2State::Stopped, Ec2State::Pending] {
        let error = send(&ec2, &start(&[A])).await.unwrap_err();
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
        assert_eq!(state(&ec2, A), expected);
    }
    let calls = ec2.calls();
    assert_eq!(calls.len(), 2, "nobody sent it again by itself");
    assert!(calls.iter().all(|call| call.answer == Ec2Answer::Cut));
    assert_eq!((calls[0].changed.len(), calls[1].changed.len()), (0, 1));
    assert!(
        call(&ec2, &start(&[B])).await?.0.is_success(),
        "the next connection is served"
    );
    Ok(())
}

#[tokio::test]
async fn a_late_answer_had_its_effect_at_once_even_when_nobody_waits_for_it() -> anyhow::Result<()>
{
    let ec2 = three().await?;
    let delay = Duration::from_millis(300);
    ec2.inject(Ec2Fault::delay(Ec2Action::StartInstances, delay));
    let before = Instant::now();
    assert!(call(&ec2, &start(&[A])).await?.0.is_success());
    assert!(before.elapsed() >= delay);

    ec2.inject(Ec2Fault::delay(
        Ec2Action::StartInstances,
        Duration::from_secs(600),
    ));
    let start = start(&[B]);
    let impatient = tokio::time::timeout(delay, call(&ec2, &start));
    assert!(impatient.await.is_err());
    assert_ne!(state(&ec2, B), Ec2State::Stopped);
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_a_gateways_page_although_the_call_had_its_effect() -> anyhow::Result<()> {
    let ec2 = three().await?;
    for (status, id) in [(502, A), (200, B)] {
        ec2.inject(Ec2Fault::not_xml(Ec2Action::StartInstances, status));
        let (seen, text) = call(&ec2, &start(&[id])).await?;
        assert_eq!(seen.as_u16(), status);
        assert!(roxmltree::Document::parse(&text).is_err());
        assert_eq!(state(&ec2, id), Ec2State::Pending);
    }
    Ok(())
}

#[tokio::test]
async fn a_start_that_falls_back_is_described_with_its_reason() -> anyhow::Result<()> {
    let ec2 = three().await?;
    ec2.inject(Ec2Fault::falls_back("Server.InsufficientInstanceCapacity").on(A));
    assert!(call(&ec2, &start(&[A, B])).await?.0.is_success());
    let describe = format!("Action=DescribeInstances&InstanceId.1={A}&InstanceId.2={B}");
    let (_, xml) = call(&ec2, &describe).await?;
    assert_eq!(
        texts(&xml, &["instanceState", "name"]),
        ["pending", "pending"]
    );
    tokio::time::sleep(PENDING).await;
    let (_, xml) = call(&ec2, &describe).await?;
    assert_eq!(
        texts(&xml, &["instanceState", "name"]),
        ["stopped", "running"]
    );
    assert_eq!(
        texts(&xml, &["stateReason", "code"]),
        ["Server.InsufficientInstanceCapacity"]
    );
    Ok(())
}

#[tokio::test]
async fn of_many_starts_at_once_one_has_an_effect() -> anyhow::Result<()> {
    let ec2 = three().await?;
    let start = start(&[A, B]);
    let (one, two, three, four) = tokio::join!(
        call(&ec2, &start),
        call(&ec2, &start),
        call(&ec2, &start),
        call(&ec2, &start)
    );
    for answer in [one, two, three, four] {
        assert!(answer?.0.is_success());
    }
    let calls = ec2.calls();
    let changed: Vec<&[String]> = calls.iter().map(|call| call.changed.as_slice()).collect();
    assert_eq!(changed, [&[A.to_owned(), B.to_owned()][..], &[], &[], &[]]);
    Ok(())
}
