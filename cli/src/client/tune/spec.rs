//! The specification of a sweep: flags over a file.

use anyhow::Context as _;
use skilift_console::view::tuning::{SweepLatency, SweepSpec};

use crate::args::tune::{Latency, RunArgs};
use crate::client::ClientError;

/// The specification.
///
/// # Errors
/// If the file cannot be read or is invalid.
pub(super) fn of(args: &RunArgs) -> anyhow::Result<SweepSpec> {
    let mut spec = match &args.file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            toml::from_str(&text).map_err(|error| {
                ClientError::Usage(format!("invalid file {}: {error}", file.display()))
            })?
        }
        None => SweepSpec::default(),
    };
    let lists = [
        (&args.workers, &mut spec.space.workers),
        (&args.threads, &mut spec.space.threads),
        (&args.batch, &mut spec.space.batch),
        (&args.api, &mut spec.space.api),
    ];
    for (given, list) in lists {
        if !given.is_empty() {
            list.clone_from(given);
        }
    }
    if !args.worker_types.is_empty() {
        spec.space.worker_types.clone_from(&args.worker_types);
    }
    let (load, objective) = (&mut spec.load, &mut spec.objective);
    if args.target.is_some() {
        load.target.clone_from(&args.target);
    }
    load.rate = args.rate.or(load.rate);
    let p99_ms = args.p99.map(|p99| p99.as_secs_f64() * 1_000.0);
    objective.p99_ms = p99_ms.or(objective.p99_ms);
    objective.latency = match args.latency {
        Some(Latency::AcceptToStored) => SweepLatency::AcceptToStored,
        Some(Latency::Request) => SweepLatency::Request,
        None => objective.latency,
    };
    objective.min_rate = args.min_rate.or(objective.min_rate);
    objective.max_usd_per_h = args.max_hourly.or(objective.max_usd_per_h);
    spec.max_usd = args.max_spend.or(spec.max_usd);
    spec.repeats = args.repeats.unwrap_or(spec.repeats);
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    spec.warm_up_s = args.warm_up.map_or(spec.warm_up_s, seconds);
    spec.measure_s = args.measure.map_or(spec.measure_s, seconds);
    spec.seed = args.seed.or(spec.seed);
    spec.apply |= args.apply;
    if spec.objective.p99_ms.is_none() && spec.objective.min_rate.is_none() {
        let why = "an objective is required: --p99, --min-rate or both";
        return Err(ClientError::Usage(why.to_owned()).into());
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_repository_are_specifications() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/tuning");
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let spec: SweepSpec =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let objective = spec.objective;
            assert!(
                objective.p99_ms.or(objective.min_rate).is_some(),
                "{}",
                path.display()
            );
            files += 1;
        }
        assert!(files >= 5, "{files}");
    }
}
