//! What runs on simulated machines: for each that runs, one `skictl serve ROLE` here, which ends with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::service::Service;

/// A machine as whoever simulates it tells of it.
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) runs: bool,
}

/// Has nodes of `stack` follow the machines that `look` sees, for as long as what is returned is there.
pub(crate) fn run_machines<F>(
    look: impl Fn() -> F + Send + 'static,
    folder: &Path,
    stack: &'static str,
    (amqp, redis): (String, String),
) -> JoinSet<()>
where
    F: Future<Output = Vec<Machine>> + Send,
{
    let folder = folder.to_owned();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut nodes: BTreeMap<String, Service> = BTreeMap::new();
        loop {
            for Machine { id, role, runs } in look().await {
                if !["api", "worker"].contains(&&*role) {
                    continue;
                }
                match nodes.get_mut(&id) {
                    Some(node) if !runs => {
                        node.drain().await;
                        nodes.remove(&id);
                    }
                    None if runs => {
                        let mut arguments =
                            vec!["serve", &*role, "--metrics-listen", "127.0.0.1:0"];
                        if role == "api" {
                            arguments.extend(["--api-listen", "127.0.0.1:0"]);
                        }
                        let environment = [
                            ("SKI_STACK", stack),
                            ("SKI_INSTANCE_ID", &*id),
                            ("SKI_AMQP_URL", &*amqp),
                            ("SKI_REDIS_URL", &*redis),
                        ];
                        let node = Service::start(&folder, &id, &arguments, &environment);
                        nodes.insert(id, node);
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    running
}
