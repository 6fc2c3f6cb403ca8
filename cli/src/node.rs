//! The nodes of this process; the console sees each of its roles as one node.

use std::sync::{Arc, OnceLock};

use skilift_core::control::{
    Agent, ControlChannel, Identity, RedisControlChannel, Role, StateCache,
};

use crate::config::Servers;
use crate::instance;
use crate::process::Process;

impl Process {
    /// The control channel of a fleet.
    pub(crate) fn fleet_control_channel(
        &self,
        servers: &Servers,
    ) -> anyhow::Result<Arc<dyn ControlChannel>> {
        let control_channel = RedisControlChannel::new(&servers.redis_url, &self.config.stack)?;
        Ok(Arc::new(control_channel))
    }

    /// The agent of a role of this process: sends heartbeats and receives the desired state.
    pub(crate) async fn agent(
        &self,
        role: Role,
        control_channel: &Arc<dyn ControlChannel>,
    ) -> anyhow::Result<Agent> {
        let identity = Identity {
            instance: self.instance()?,
            ..Identity::new(role, self.private_address()?.port())
        };
        tracing::info!(node = %identity.node, boot = %identity.boot, "node registered");
        let state_cache = match role {
            // Only the API needs the ingest policy.
            Role::Api => Some(StateCache::new(&self.config.data()?, &self.config.stack)),
            Role::Worker => None,
        };
        Ok(Agent::begin(identity, Arc::clone(control_channel), state_cache).await?)
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
