//! Which instances a plan starts and stops.

use super::*;

/// The instances of a plan.
pub(super) struct WorkedOut<'a> {
    console: &'a Console,
    pub(super) instances: &'a [Instance],
    /// Target number of running instances per role.
    pub(super) targets: Vec<(ScaledRole, usize)>,
    pub(super) starts: Vec<Named<'a>>,
    pub(super) stops: Vec<Named<'a>>,
    /// Roles with too few instances: the target and how many are possible.
    pub(super) shortages: Vec<(ScaledRole, usize, usize)>,
}

/// An instance named in a plan: a listed one, or an id that is not listed.
pub(super) struct Named<'a> {
    pub(super) id: String,
    pub(super) instance: Option<&'a Instance>,
}

impl Named<'_> {
    /// Whether it is up, as far as is known.
    fn is_up(&self) -> bool {
        self.instance.is_some_and(|instance| instance.state.is_up())
    }

    pub(super) fn is_of(&self, role: ScaledRole) -> bool {
        let name = role.to_string();
        self.instance.is_some_and(|instance| instance.role == name)
    }
}

impl<'a> WorkedOut<'a> {
    pub(super) fn new(console: &'a Console, instances: &'a [Instance]) -> Self {
        Self {
            console,
            instances,
            targets: Vec::new(),
            starts: Vec::new(),
            stops: Vec::new(),
            shortages: Vec::new(),
        }
    }

    /// Computes how many instances of a role should run and, if the plan has not chosen yet, which ones to start or stop.
    pub(super) fn count(&mut self, wanted: &RoleCount, scale: &Scale) -> Result<(), Error> {
        let role = wanted.role;
        let now = up(self.instances, role).count();
        if let Some(expected) = scale.expect_running
            && expected as usize != now
        {
            return Err(Error::conflict(format!(
                "{now} instances of the role {role} are running or starting, not {expected}: the fleet has changed; check `skictl ec2 list` and retry"
            )));
        }
        let target = match wanted.count {
            Count::To(count) => count as usize,
            Count::By(by) => now.checked_add_signed(by as isize).ok_or_else(|| {
                Error::invalid(format!("{role}={by}: only {now} are running or starting"))
            })?,
        };
        self.targets.push((role, target));
        let is_chosen = !scale.start.is_empty() || !scale.stop.is_empty();
        if is_chosen {
            return Ok(());
        }
        if target > now {
            let chosen = to_start(self.instances, role, target - now);
            if chosen.len() < target - now {
                self.shortages.push((role, target, now + chosen.len()));
            }
            self.starts.extend(chosen.into_iter().map(named));
        } else {
            let nodes = fleet::nodes(self.console);
            let chosen = to_stop(self.instances, &nodes, role, now - target);
            if chosen.len() < now - target {
                self.shortages.push((role, target, now - chosen.len()));
            }
            self.stops.extend(chosen.into_iter().map(named));
        }
        Ok(())
    }

    /// Adds the named instances.
    pub(super) fn name(&mut self, start: &[String], stop: &[String]) {
        let find = |id: &String| Named {
            id: id.chars().take(100).collect(),
            instance: self.instances.iter().find(|of| of.id.as_str() == id),
        };
        let mut seen = BTreeSet::new();
        let mut once = |id: &&String| seen.insert((*id).clone());
        self.starts.extend(start.iter().filter(&mut once).map(find));
        self.stops.extend(stop.iter().filter(&mut once).map(find));
        // Instances already in the requested state are left out.
        let is_done = |named: &Named<'_>, wanted: InstanceState| {
            let of = named.instance;
            of.is_some_and(|of| of.state == wanted && of.is_scaled())
        };
        self.starts
            .retain(|named| !is_done(named, InstanceState::Running));
        self.stops
            .retain(|named| !is_done(named, InstanceState::Stopped));
    }

    pub(super) fn has_machines(&self) -> bool {
        !(self.starts.is_empty() && self.stops.is_empty() && self.shortages.is_empty())
    }

    /// How many instances of a role are up now and after the plan.
    pub(super) fn before_and_after(&self, role: ScaledRole) -> (usize, usize) {
        let before = up(self.instances, role).count();
        // Instances that cannot be started or stopped stay unchanged.
        let of = |named: &&Named<'_>| {
            let instance = named.instance.filter(|of| of.obstacle.is_none());
            named.is_of(role) && instance.is_some()
        };
        let more = self.starts.iter().filter(of).filter(|named| !named.is_up());
        let fewer = self.stops.iter().filter(of).filter(|named| named.is_up());
        (before, before + more.count() - fewer.count())
    }

    /// The target number of a role, if set.
    pub(super) fn wanted(&self, role: ScaledRole) -> Option<usize> {
        let said = self.targets.iter().find(|(of, _)| *of == role);
        said.map(|(_, count)| *count)
    }

    /// The instances that will stop, without those that cannot be stopped.
    pub(super) fn stopped(&self) -> Vec<&'a Instance> {
        self.stops
            .iter()
            .filter_map(|named| named.instance)
            .filter(|instance| instance.obstacle.is_none())
            .collect()
    }

    pub(super) fn actions(&self) -> Vec<ActionView> {
        let action = |does: &str, named: &Named<'_>, after: &str| ActionView {
            action: does.to_owned(),
            target: named.id.clone(),
            before: Some(named.instance.map_or_else(
                || "not listed".to_owned(),
                |instance| instance.state.to_string(),
            )),
            after: Some(after.to_owned()),
            instance: named.instance.map(machine_view),
        };
        let starts = self.starts.iter();
        let starts = starts.map(|named| action(START, named, "running, node up"));
        let stops = self.stops.iter();
        let stops = stops.map(|named| action(STOP, named, "drained, then stopped"));
        starts.chain(stops).collect()
    }

    /// The state that the plan depends on, except rates, which change every second.
    pub(super) fn basis(&self, document: &Document) -> String {
        let roles: BTreeSet<&str> = self
            .starts
            .iter()
            .chain(&self.stops)
            .filter_map(|named| named.instance.map(|instance| &*instance.role))
            .collect();
        let mut basis = format!(" {:?}", self.targets);
        let stands_on = |instance: &&Instance| {
            let is_counted = self
                .targets
                .iter()
                .any(|(role, _)| instance.role == role.to_string());
            is_counted || roles.contains(&*instance.role)
        };
        for instance in self.instances.iter().filter(stands_on) {
            basis += &format!(" {} {}", instance.id, instance.state);
        }
        let nodes = fleet::nodes(self.console);
        for instance in self.stopped() {
            for node in fleet::on_it(&nodes, instance).filter(|node| fleet::is_live(node)) {
                basis += &format!(" {} {}", node.id, node.boot_id);
            }
        }
        for named in self.starts.iter().chain(&self.stops) {
            basis += &format!(" {}", named.id);
        }
        let generation = |section| {
            crate::desired::settings_of(document, section).map(|(number, hash, _)| (number, hash))
        };
        basis += &format!(
            " {:?} {:?} {:?} {}",
            generation(Section::Worker),
            generation(Section::Api),
            fleet::bounds(self.console),
            self.console.config.prices.view().date
        );
        basis
    }

    /// The change with the chosen instances.
    pub(super) fn resolved(&self, scale: &Scale) -> Scale {
        let ids = |named: &[Named<'_>]| named.iter().map(|named| named.id.clone()).collect();
        let target = |(role, count): &(ScaledRole, usize)| RoleCount {
            role: *role,
            // At most the number of instances.
            count: Count::To(u32::try_from(*count).unwrap_or(u32::MAX)),
        };
        Scale {
            roles: self.targets.iter().map(target).collect(),
            start: ids(&self.starts),
            stop: ids(&self.stops),
            ..scale.clone()
        }
    }

    /// How many of a role could be started.
    pub(super) fn startable(&self, role: ScaledRole) -> usize {
        startable(self.instances, role).count()
    }
}

fn named(instance: &Instance) -> Named<'_> {
    Named {
        id: instance.id.to_string(),
        instance: Some(instance),
    }
}

/// An instance as shown in a plan.
pub(crate) fn machine_view(instance: &Instance) -> MachineView {
    MachineView {
        role: instance.role.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
    }
}
