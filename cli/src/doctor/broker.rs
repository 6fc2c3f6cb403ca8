//! Checks of RabbitMQ through AMQP.

use skilift_console::view::figures::counted;
use skilift_core::lifecycle::chain;
use skilift_core::queue::rabbit::probe::{self, FoundQueue};
use skilift_core::queue::rabbit::{Broker, BrokerError};
use skilift_core::stack::StackName;

use super::findings::{Finding, failed, not_checked, ok, warning};
use crate::config::Servers;

/// The oldest supported version.
const OLDEST: (u32, u32) = (3, 10);

pub(super) async fn check(servers: &Servers, stack: &StackName) -> Vec<Finding> {
    let url = &servers.amqp_url;
    let version = if url.is_tls() {
        not_checked(
            "broker version",
            "RabbitMQ reports its version only in plain AMQP, not with TLS; check it with `rabbitmqctl version`",
        )
    } else {
        match probe::product(url).await {
            Ok(product) => version(&product),
            Err(error) => {
                let fix = format!(
                    "start RabbitMQ, or fix --amqp-url: RabbitMQ must listen on {}",
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
    let mut findings = vec![ok("broker", format!("connected to {url}")), version];
    findings.push(match probe::is_blocking(&broker).await {
        Ok(false) => ok("broker resources", "accepts messages"),
        Ok(true) => failed(
            "broker resources",
            "RabbitMQ blocks publishers because it is low on memory or disk space; rides are rejected",
            "see `rabbitmq-diagnostics alarms`; free disk space or raise vm_memory_high_watermark",
        ),
        Err(error) => refusal("broker resources", &error),
    });
    for queue in queues {
        let check = format!("queue {}", queue.name);
        findings.push(match queue.found {
            None => warning(
                check,
                "does not exist",
                "expected before the first start: `skictl serve api` or `skictl serve worker` creates it",
            ),
            Some(found) => of_queue(check, &found, queue.name == stack.ride_queue()),
        });
    }
    // A blocked connection does not confirm its close, so the wait is limited.
    let close_timeout = std::time::Duration::from_secs(1);
    let _ = tokio::time::timeout(close_timeout, broker.close()).await;
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
            format!("{product} is not RabbitMQ"),
            "use RabbitMQ: Skilift needs its quorum queues",
        ),
        Some(release) if release >= OLDEST => ok(check, product),
        _ => {
            let (major, minor) = OLDEST;
            failed(
                check,
                product,
                format!("upgrade to RabbitMQ {major}.{minor} or newer"),
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
        "arguments are correct, {}, {}",
        counted((*ready).into(), "message ready", "messages ready"),
        counted((*consumers).into(), "consumer", "consumers")
    );
    if is_consumed && *ready > 0 && *consumers == 0 {
        return warning(
            check,
            seen,
            "start a worker (`skictl serve worker`), or resume consumption (`skictl queue resume`)",
        );
    }
    ok(check, seen)
}

fn refusal(check: &str, error: &BrokerError) -> Finding {
    let fix = match error {
        BrokerError::Refused { .. } => {
            "check user, password and virtual host in --amqp-url, and whether the user may use the virtual host: `rabbitmqctl list_permissions -p VHOST`"
        }
        BrokerError::OtherArguments { .. } => {
            "let the workers drain the queue, delete it and restart, or use another --stack"
        }
        BrokerError::Url(_) => "fix --amqp-url",
        BrokerError::Call { source, .. } if is_forbidden(source) => {
            "grant the user the permissions of the stack: `rabbitmqctl set_permissions -p VHOST USER '^STACK\\.' '^(amq\\.default|STACK\\..*)$' '^STACK\\.'`"
        }
        _ => "see RabbitMQ's log and `rabbitmq-diagnostics status`",
    };
    failed(check, chain(error), fix)
}

/// Whether the broker's error is 403 `ACCESS_REFUSED`.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).contains("ACCESS_REFUSED") || chain(error).contains("ACCESS-REFUSED")
}
