//! Checks of RabbitMQ through its management API, if its URL is configured, for what AMQP does not expose.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use skilift_console::view::figures::counted;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;

use super::findings::{Finding, failed, not_checked, ok, warning};
use crate::config::Servers;

/// Request timeout.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Policy keys that make RabbitMQ drop rides.
const DROPPING: [&str; 3] = ["message-ttl", "expires", "delivery-limit"];
/// Policy keys that make a queue smaller than intended.
const NARROWING: [&str; 2] = ["max-length", "max-length-bytes"];

/// A queue as returned by the management API; each field may be missing.
#[derive(Deserialize)]
struct Queue {
    policy: Option<String>,
    operator_policy: Option<String>,
    effective_policy_definition: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Flag {
    name: Option<String>,
    state: Option<String>,
    stability: Option<String>,
}

#[derive(Deserialize)]
struct Node {
    name: Option<String>,
    running: Option<bool>,
    mem_alarm: Option<bool>,
    disk_free_alarm: Option<bool>,
}

/// Why a query of the management API failed.
enum CheckError {
    /// The object does not exist.
    NotFound,
    Other(Finding),
}

/// # Errors
/// When the trusted certificates of this host cannot be read.
pub(super) async fn check(
    servers: &Servers,
    stack: &StackName,
    url: Option<&ServiceUrl>,
) -> anyhow::Result<Vec<Finding>> {
    let Some(url) = url else {
        let why = "requires --management-url: AMQP does not expose it";
        let checks = ["broker policies", "broker feature flags", "broker alarms"];
        return Ok(checks.map(|check| not_checked(check, why)).into());
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(crate::client::tls(url.is_tls(), None)?)
        .timeout(TIMEOUT)
        .build()?;
    let api = Management { client, url };
    let vhost = servers.amqp_url.encoded_vhost();
    let mut findings = Vec::new();
    for queue in [stack.ride_queue(), stack.dead_letter_queue()] {
        let check = format!("policies of {queue}");
        match api
            .get::<Queue>(&format!("api/queues/{vhost}/{queue}"))
            .await
        {
            Ok(found) => findings.push(policies(check, &queue, &found)),
            Err(CheckError::NotFound) => {
                findings.push(not_checked(check, "the queue does not exist"))
            }
            // The other queries would fail the same way.
            Err(CheckError::Other(finding)) => return Ok(vec![finding]),
        }
    }
    match api.get::<Vec<Flag>>("api/feature-flags").await {
        Ok(flags) => findings.push(feature_flags(&flags)),
        Err(_) => findings.push(not_checked(
            "broker feature flags",
            "this user lacks the permission",
        )),
    }
    match api.get::<Vec<Node>>("api/nodes").await {
        Ok(nodes) => findings.push(alarms(&nodes)),
        Err(_) => findings.push(not_checked(
            "broker alarms",
            "this user lacks the permission: add the tag monitoring",
        )),
    }
    Ok(findings)
}

struct Management<'a> {
    client: reqwest::Client,
    url: &'a ServiceUrl,
}

impl Management<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CheckError> {
        let check = "management api";
        let url = self.url;
        let unusable = |found: String, fix: &str| CheckError::Other(failed(check, found, fix));
        let base = url.reveal().trim_end_matches('/');
        let asked = self.client.get(format!("{base}/{path}")).send().await;
        let answer = asked.map_err(|error| {
            // The URL in its text may hold a password.
            let error = error.without_url();
            let why = skilift_core::lifecycle::chain(&error);
            unusable(
                format!("cannot reach {url}: {why}"),
                "enable it (`rabbitmq-plugins enable rabbitmq_management`), or fix --management-url",
            )
        })?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(|error| {
                let why = error.without_url();
                unusable(
                    format!("{url} does not respond like RabbitMQ's management API: {why}"),
                    "fix --management-url: the default port is 15672",
                )
            }),
            StatusCode::NOT_FOUND => Err(CheckError::NotFound),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(unusable(
                format!("{url} returned {status}"),
                "check user and password in --management-url, and that the user has the tag monitoring",
            )),
            status => Err(unusable(
                format!("{url} returned {status}"),
                "fix --management-url: the default port is 15672",
            )),
        }
    }
}

fn policies(check: String, queue: &str, found: &Queue) -> Finding {
    let names = [&found.policy, &found.operator_policy];
    let names: Vec<&str> = names
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    let set = |keys: &[&str]| {
        let definition = found.effective_policy_definition.iter().flatten();
        let set = definition.filter(|(key, _)| keys.contains(&key.as_str()));
        let set: Vec<String> = set.map(|(key, value)| format!("{key} {value}")).collect();
        set.join(", ")
    };
    let (dropping, narrowing) = (set(&DROPPING), set(&NARROWING));
    let by = names.join(" and ");
    let fix = format!(
        "clear the policy (`rabbitmqctl clear_policy -p VHOST NAME`), or change its pattern so that it does not match {queue}"
    );
    if !dropping.is_empty() {
        failed(
            check,
            format!("the policy {by} sets {dropping}: RabbitMQ would drop messages"),
            fix,
        )
    } else if !narrowing.is_empty() {
        warning(
            check,
            format!(
                "the policy {by} sets {narrowing}: rides are rejected before the queue is full"
            ),
            fix,
        )
    } else if names.is_empty() {
        ok(check, "no policy applies")
    } else {
        ok(check, format!("{by} (harmless)"))
    }
}

fn feature_flags(flags: &[Flag]) -> Finding {
    let check = "broker feature flags";
    let is_off = |flag: &&Flag| {
        flag.state.as_deref() == Some("disabled")
            && matches!(flag.stability.as_deref(), Some("stable" | "required"))
    };
    let off: Vec<&str> = flags
        .iter()
        .filter(is_off)
        .filter_map(|flag| flag.name.as_deref())
        .collect();
    if off.is_empty() {
        return ok(check, "all stable feature flags are enabled");
    }
    let found = format!("disabled: {}", off.join(", "));
    let fix = "enable them (`rabbitmqctl enable_feature_flag all`): the next upgrade requires them";
    if off.contains(&"quorum_queue") {
        return failed(check, found, fix);
    }
    warning(check, found, fix)
}

fn alarms(nodes: &[Node]) -> Finding {
    let check = "broker alarms";
    let mut ringing = Vec::new();
    for node in nodes {
        let name = node.name.as_deref().unwrap_or("a node");
        for (is_so, what) in [
            (node.running == Some(false), "is down"),
            (node.mem_alarm == Some(true), "is low on memory"),
            (node.disk_free_alarm == Some(true), "is low on disk space"),
        ] {
            if is_so {
                ringing.push(format!("{name} {what}"));
            }
        }
    }
    if ringing.is_empty() {
        return ok(
            check,
            format!("none on {}", counted(nodes.len() as u64, "node", "nodes")),
        );
    }
    failed(
        check,
        ringing.join(", "),
        "start the node, free disk space, or raise vm_memory_high_watermark; publishers stay blocked until then",
    )
}
