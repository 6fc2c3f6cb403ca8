//! The nodes of this process: each role that it plays is one, to the console.

use std::sync::{Arc, OnceLock};

use skilift_core::control::{Agent, ControlPlane, Identity, Memory, RedisPlane, Role};

use crate::config::Servers;
use crate::instance;
use crate::process::Process;

impl Process {
    /// The way to the console of a fleet.
    pub(crate) fn fleet_plane(&self, servers: &Servers) -> anyhow::Result<Arc<dyn ControlPlane>> {
        let plane = RedisPlane::new(&servers.redis_url, &self.config.stack)?;
        Ok(Arc::new(plane))
    }

    /// What speaks for this process in a role, and knows what the console says.
    pub(crate) async fn agent(
        &self,
        role: Role,
        plane: &Arc<dyn ControlPlane>,
    ) -> anyhow::Result<Agent> {
        let identity = Identity {
            instance: self.instance()?,
            ..Identity::new(role, self.private_address()?.port())
        };
        tracing::info!(node = %identity.node, boot = %identity.boot, "known to the console");
        let memory = match role {
            // Who may post rides is asked of the API alone.
            Role::Api => Some(Memory::new(&self.config.data()?, &self.config.stack)),
            Role::Worker => None,
        };
        Ok(Agent::begin(identity, Arc::clone(plane), memory).await?)
    }

    /// Says which instance the nodes of this process run on, where its operator did not.
    pub(crate) fn name_instance(&self, name: &str) {
        if self.config.instance_id.is_none() {
            // Nobody has looked for it yet.
            let _ = self.instance.set(Arc::new(OnceLock::from(name.to_owned())));
        }
    }

    /// The instance that all nodes of this process run on, which is looked for once.
    fn instance(&self) -> anyhow::Result<Arc<OnceLock<String>>> {
        if let Some(instance) = self.instance.get() {
            return Ok(Arc::clone(instance));
        }
        let found = instance::find(&self.config, &self.life)?;
        Ok(Arc::clone(self.instance.get_or_init(|| found)))
    }
}
