//! RabbitMQ, as AMQP alone shows it.

use skilift_core::lifecycle::chain;
use skilift_core::queue::rabbit::probe::{self, FoundQueue};
use skilift_core::queue::rabbit::{Broker, BrokerError};
use skilift_core::stack::StackName;

use super::findings::{Finding, counted, failed, not_checked, ok, warning};
use crate::config::Servers;

/// The oldest version that has all that Skilift uses.
const OLDEST: (u32, u32) = (3, 10);

pub(super) async fn look(servers: &Servers, stack: &StackName) -> Vec<Finding> {
    let url = &servers.amqp_url;
    let version = if url.is_tls() {
        not_checked(
            "broker version",
            "RabbitMQ tells it before TLS begins, and so only in plain AMQP: `rabbitmqctl version` tells it there",
        )
    } else {
        match probe::product(url).await {
            Ok(product) => version(&product),
            Err(error) => {
                let fix = format!(
                    "start RabbitMQ, or mend --amqp-url: {} must be an address where it listens",
                    url
                );
                return vec![failed(
                    "broker",
                    format!("cannot reach {url}: {error}"),
                    fix,
                )];
            }
        }
    };
    let broker = match Broker::new(url.clone(), format!("{stack} doctor")) {
        Ok(broker) => broker,
        Err(error) => return vec![version, refusal("broker", &error)],
    };
    let queues = match probe::queues(&broker, stack).await {
        Ok(queues) => queues,
        Err(error) => return vec![version, refusal("broker", &error)],
    };
    let mut findings = vec![ok("broker", format!("{url} lets us in")), version];
    findings.push(match probe::is_blocking(&broker).await {
        Ok(false) => ok("broker room", "it takes messages"),
        Ok(true) => failed(
            "broker room",
            "RabbitMQ blocks publishers: it is short of memory or disk, and rides are refused",
            "make room: see `rabbitmq-diagnostics alarms`, free disk space or raise vm_memory_high_watermark",
        ),
        Err(error) => refusal("broker room", &error),
    });
    for queue in queues {
        let check = format!("queue {}", queue.name);
        findings.push(match queue.found {
            None => warning(
                check,
                "it is not there",
                "nothing to do before the first start: `skictl serve api` or `serve worker` makes it",
            ),
            Some(found) => of_queue(check, &found, queue.name == stack.ride_queue()),
        });
    }
    // A blocked connection is not read from: its farewell waits in vain.
    let farewell = std::time::Duration::from_secs(1);
    let _ = tokio::time::timeout(farewell, broker.close()).await;
    findings
}

fn version(product: &str) -> Finding {
    let check = "broker version";
    let (name, version) = product.split_once(' ').unwrap_or((product, ""));
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    let release = numbers.next().zip(numbers.next());
    match release {
        _ if name != "RabbitMQ" => warning(
            check,
            format!("{product}, which is not RabbitMQ"),
            "use RabbitMQ: Skilift needs its quorum queues",
        ),
        Some(release) if release >= OLDEST => ok(check, product),
        _ => {
            let (major, minor) = OLDEST;
            failed(
                check,
                product,
                format!("use RabbitMQ {major}.{minor} or newer"),
            )
        }
    }
}

fn of_queue(check: String, found: &FoundQueue, is_consumed: bool) -> Finding {
    let FoundQueue {
        ready,
        consumers,
        refusal: refused,
    } = found;
    if let Some(error) = refused {
        return refusal(&check, error);
    }
    let seen = format!(
        "arguments are right, {}, {}",
        counted((*ready).into(), "message waits", "messages wait"),
        counted((*consumers).into(), "consumer", "consumers")
    );
    if is_consumed && *ready > 0 && *consumers == 0 {
        return warning(
            check,
            seen,
            "start a worker (`skictl serve worker`), or resume it (`skictl queue resume`)",
        );
    }
    ok(check, seen)
}

fn refusal(check: &str, error: &BrokerError) -> Finding {
    let fix = match error {
        BrokerError::Refused { .. } => {
            "check user, password and virtual host in --amqp-url, and the user's rights: `rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'`"
        }
        BrokerError::OtherArguments { .. } => {
            "let the workers empty it, delete it and start again, or use another --stack"
        }
        BrokerError::Url(_) => "mend --amqp-url",
        BrokerError::Call { source, .. } if is_forbidden(source) => {
            "give the user rights to configure, write and read: `rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'`"
        }
        _ => "look at RabbitMQ's log; `rabbitmq-diagnostics status` tells whether it works",
    };
    failed(check, chain(error), fix)
}

/// Whether the broker's own words are those of 403 `ACCESS_REFUSED`.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).contains("ACCESS_REFUSED") || chain(error).contains("ACCESS-REFUSED")
}
