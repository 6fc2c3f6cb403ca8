//! `skictl rehearse ec2`: a scripted EC2 on this machine, with a node for each running instance.

mod nodes;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use skilift_core::lifecycle::Signals;
use skilift_rehearsal::{Ec2Answer, Ec2Call, Ec2Stub, Scenario};

use self::nodes::Nodes;
use crate::args::rehearse::{RehearseCommand, RehearseEc2Args};
use crate::process::{block_on, print};

/// How often calls are reported, and nodes follow their instances.
const INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) fn run(command: RehearseCommand) -> anyhow::Result<ExitCode> {
    let RehearseCommand::Ec2(args) = command;
    block_on(ec2(args))
}

async fn ec2(args: RehearseEc2Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install()?;
    let (scenario, mut changed_at) = (read(&args)?, changed_at(&args));
    let ec2 = Ec2Stub::listen(args.listen, scenario.timings()).await?;
    scenario.put_instances(&ec2, &args.stack.to_string());
    scenario.set_faults(&ec2);
    let mut nodes = match &args.config {
        Some(config) => Some(Nodes::new(config, &args.stack.to_string())?),
        None => None,
    };
    print(&banner(&args, &ec2));
    let mut reported = 0;
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = signals.next() => break,
            _ = ticks.tick() => {
                let now = self::changed_at(&args);
                if now != changed_at {
                    changed_at = now;
                    reload(&args, &ec2);
                }
                let calls = ec2.calls_after(reported);
                reported += calls.len();
                for line in calls.iter().filter_map(told) {
                    say!("{line}");
                }
                if let Some(nodes) = &mut nodes {
                    nodes.follow(&ec2.instances());
                }
            }
        }
    }
    if let Some(nodes) = nodes {
        say!("skictl: draining the nodes; press Ctrl-C again to stop without waiting");
        tokio::select! {
            () = nodes.drain() => {}
            _ = signals.next() => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &RehearseEc2Args) -> anyhow::Result<Scenario> {
    match &args.faults {
        Some(file) => Scenario::read(file).context("invalid scenario"),
        None => Ok(Scenario::default()),
    }
}

/// When the scenario was changed last.
fn changed_at(args: &RehearseEc2Args) -> Option<SystemTime> {
    let file = args.faults.as_ref()?;
    file.metadata().ok()?.modified().ok()
}

fn reload(args: &RehearseEc2Args, ec2: &Ec2Stub) {
    match read(args) {
        Ok(scenario) => {
            scenario.set_faults(ec2);
            say!("skictl: reloaded faults and capacity");
        }
        Err(error) => say!(
            "skictl: cannot reload the scenario; the previous faults and capacity stay in effect: {error:#}"
        ),
    }
}

fn banner(args: &RehearseEc2Args, ec2: &Ec2Stub) -> String {
    let (url, stack) = (ec2.url(), &args.stack);
    let instances: String = ec2
        .instances()
        .iter()
        .map(|of| {
            let role = of.tags.get("skilift:role").map_or("-", String::as_str);
            format!(
                "  {}  {:<8} {:<12} {:<14} {}\n",
                of.id,
                role,
                of.instance_type,
                of.zone,
                of.state.name()
            )
        })
        .collect();
    let nodes = match &args.config {
        Some(_) => "A node runs for each running API and worker instance.",
        None => {
            "No node runs on them; --config FILE runs one for each running API and worker instance."
        }
    };
    // That of the instances, whose prices the console looks up.
    let zone = ec2
        .instances()
        .first()
        .map_or_else(String::new, |of| of.zone.clone());
    let region = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let servers = match &args.config {
        Some(config) => format!("--config {}", config.display()),
        None => "--amqp-url URL --redis-url URL".to_owned(),
    };
    format!(
        "\nScripted EC2 at {url}. Press Ctrl-C to stop it.\n\n{instances}\n{nodes}\n\n\
         Start a console for it:\n\n\
         \x20 AWS_REGION={region} AWS_ACCESS_KEY_ID=rehearsal AWS_SECRET_ACCESS_KEY=rehearsal \\\n\
         \x20   skictl serve console --stack {stack} --data ./rehearsal --ec2-endpoint-url {url} {servers}\n\n\
         Calls that start or stop instances, or fail:\n\n"
    )
}

/// A call in one line; `None` for a description that was answered.
fn told(call: &Ec2Call) -> Option<String> {
    let changes = matches!(&*call.action, "StartInstances" | "StopInstances");
    let answer = match &call.answer {
        Ec2Answer::Done if !changes => return None,
        Ec2Answer::Done => "done".to_owned(),
        Ec2Answer::Error(code) if code == "DryRunOperation" => "permitted".to_owned(),
        Ec2Answer::Error(code) => code.clone(),
        Ec2Answer::NotXml => "answered with HTML".to_owned(),
        Ec2Answer::Cut => "connection cut".to_owned(),
    };
    let dry_run = if call.dry_run { " (dry run)" } else { "" };
    let ids: String = call.ids.iter().map(|id| format!(" {id}")).collect();
    Some(format!("{}{dry_run}{ids}: {answer}", call.action))
}
