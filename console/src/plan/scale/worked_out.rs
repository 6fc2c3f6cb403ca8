//! Which machines a plan starts and stops.

use super::*;

/// The machines of a plan.
pub(super) struct WorkedOut<'a> {
    console: &'a Console,
    pub(super) instances: &'a [Instance],
    /// What is wanted of each role that is counted: how many shall run.
    pub(super) targets: Vec<(ScaledRole, usize)>,
    pub(super) starts: Vec<Named<'a>>,
    pub(super) stops: Vec<Named<'a>>,
    /// Roles of which there are too few machines, and how many can be had.
    pub(super) shortages: Vec<(ScaledRole, usize, usize)>,
}

/// A machine that is named in a plan: one that is listed, or an id that is not.
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

    /// Finds out how many of a role shall run and, where the plan has not chosen before, which to start or stop for it.
    pub(super) fn count(&mut self, wanted: &RoleCount, scale: &Scale) -> Result<(), ApiError> {
        let role = wanted.role;
        let now = up(self.instances, role).count();
        if let Some(expected) = scale.expect_running
            && expected as usize != now
        {
            return Err(ApiError::conflict(format!(
                "{now} machines of the role {role} run or start, not {expected}: somebody has changed it; look at skictl ec2 list"
            )));
        }
        let target = match wanted.count {
            Count::To(count) => count as usize,
            Count::By(by) => now.checked_add_signed(by as isize).ok_or_else(|| {
                ApiError::invalid(format!("{role}{by}: only {now} of them run or start"))
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

    /// Takes up machines that are named.
    pub(super) fn name(&mut self, start: &[String], stop: &[String]) {
        let find = |id: &String| Named {
            id: id.chars().take(100).collect(),
            instance: self.instances.iter().find(|of| of.id.as_str() == id),
        };
        let mut seen = BTreeSet::new();
        let mut once = |id: &&String| seen.insert((*id).clone());
        self.starts.extend(start.iter().filter(&mut once).map(find));
        self.stops.extend(stop.iter().filter(&mut once).map(find));
        // What is so already is left out, unless nothing is: then it is said.
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

    /// How many of a role run or start, and how many will.
    pub(super) fn before_and_after(&self, role: ScaledRole) -> (usize, usize) {
        let before = up(self.instances, role).count();
        // What cannot be started or stopped stays as it is.
        let of = |named: &&Named<'_>| {
            let instance = named.instance.filter(|of| of.obstacle.is_none());
            named.is_of(role) && instance.is_some()
        };
        let more = self.starts.iter().filter(of).filter(|named| !named.is_up());
        let fewer = self.stops.iter().filter(of).filter(|named| named.is_up());
        (before, before + more.count() - fewer.count())
    }

    /// How many of a role shall run, where that was said.
    pub(super) fn wanted(&self, role: ScaledRole) -> Option<usize> {
        let said = self.targets.iter().find(|(of, _)| *of == role);
        said.map(|(_, count)| *count)
    }

    /// The machines that stop, those that cannot left out.
    pub(super) fn stopped(&self) -> Vec<&'a Instance> {
        self.stops
            .iter()
            .filter_map(|named| named.instance)
            .filter(|instance| instance.obstacle.is_none())
            .collect()
    }

    pub(super) fn actions(&self) -> Vec<ActionView> {
        let action = |does: &str, named: &Named<'_>, after: &str| ActionView {
            does: does.to_owned(),
            to: named.id.clone(),
            before: Some(named.instance.map_or_else(
                || "not listed".to_owned(),
                |instance| instance.state.to_string(),
            )),
            after: Some(after.to_owned()),
            machine: named.instance.map(machine_view),
        };
        let starts = self.starts.iter();
        let starts = starts.map(|named| action(START, named, "running, its node heard"));
        let stops = self.stops.iter();
        let stops = stops.map(|named| action(STOP, named, "drained, then stopped"));
        starts.chain(stops).collect()
    }

    /// All that the plan stands on but rates, which change each second.
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
            for node in fleet::on_it(&nodes, instance).filter(|node| fleet::is_heard(node)) {
                basis += &format!(" {} {}", node.id, node.boot);
            }
        }
        for named in self.starts.iter().chain(&self.stops) {
            basis += &format!(" {}", named.id);
        }
        let generation = |section| {
            crate::desired::section_of(document, section).map(|(number, hash, _)| (number, hash))
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

    /// The change with the machines that were chosen.
    pub(super) fn resolved(&self, scale: &Scale) -> Scale {
        let ids = |named: &[Named<'_>]| named.iter().map(|named| named.id.clone()).collect();
        let target = |(role, count): &(ScaledRole, usize)| RoleCount {
            role: *role,
            // At most as many as there are machines.
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

/// A machine as a plan shows it.
pub(crate) fn machine_view(instance: &Instance) -> MachineView {
    MachineView {
        role: instance.role.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
    }
}
