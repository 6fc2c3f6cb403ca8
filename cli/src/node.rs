//! The nodes of this process; the console sees each of its roles as one node.

use std::sync::{Arc, OnceLock};

use skilift_core::control::{Agent, ControlPlane, Identity, Memory, RedisPlane, Role};

use crate::config::Servers;
use crate::instance;
use crate::process::Process;

impl Process {
    /// The control channel of a fleet.
    pub(crate) fn fleet_plane(&self, servers: &Servers) -> anyhow::Result<Arc<dyn ControlPlane>> {
        let plane = RedisPlane::new(&servers.redis_url, &self.config.stack)?;
        Ok(Arc::new(plane))
    }

    /// The agent of a role of this process: sends heartbeats and receives the desired state.
    pub(crate) async fn agent(
        &self,
        role: Role,
        plane: &Arc<dyn ControlPlane>,
    ) -> anyhow::Result<Agent> {
        let identity = Identity {
            instance: self.instance()?,
            ..Identity::new(role, self.private_address()?.port())
        };
        tracing::info!(node = %identity.node, boot = %identity.boot, "node registered");
        let memory = match role {
            // Only the API needs the ingest policy.
            Role::Api => Some(Memory::new(&self.config.data()?, &self.config.stack)),
            Role::Worker => None,
        };
        Ok(Agent::begin(identity, Arc::clone(plane), memory).await?)
    }

    /// Sets the instance ID of the nodes of this process, unless the operator did.
    pub(crate) fn name_instance(&self, name: &str) {
        if self.config.instance_id.is_none() {
            // The lookup has not started yet.
            let _ = self.instance.set(Arc::new(OnceLock::from(name.to_owned())));
        }
    }

    /// The instance ID of all nodes of this process, looked up once.
    fn instance(&self) -> anyhow::Result<Arc<OnceLock<String>>> {
        if let Some(instance) = self.instance.get() {
            return Ok(Arc::clone(instance));
        }
        let found = instance::find(&self.config, &self.lifecycle)?;
        Ok(Arc::clone(self.instance.get_or_init(|| found)))
    }
}
