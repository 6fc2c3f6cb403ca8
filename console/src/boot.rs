//! Puts the parts of the console together, starts them and serves them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::store::leaders::Leaders;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::config::{ConsoleConfig, ConsoleError, EngineKind};
use crate::console::{Console, Sources};
use crate::dead_letters::{self, DeadLetterStore};
use crate::desired::Desired;
use crate::doctor::Doctor;
use crate::fleet::{self, machines::Machines};
use crate::management::{self, Management};
use crate::pages;
use crate::plan::job_runner::JobRunner;
use crate::roster::Roster;
use crate::sampler::{self, monitor::Monitor};
use crate::state::ConsoleState;
use crate::tuning::{self, Tuning};
use crate::{admin, archived_files, plan, publish};

/// How often the last use of tokens is written.
const USE_STEP: Duration = Duration::from_secs(60);

/// Opens the console's data directory and starts its background tasks. They end when `lifecycle` drains.
///
/// # Errors
/// If the data directory cannot be used.
pub async fn start(
    config: ConsoleConfig,
    sources: Sources,
    lifecycle: &Lifecycle,
) -> Result<Arc<Console>, ConsoleError> {
    let (folder, seeds) = (config.folder.clone(), config.seeds);
    let draining = lifecycle.draining();
    let opening = tokio::task::spawn_blocking(move || -> Result<_, DiskError> {
        let state = ConsoleState::open(&folder)?;
        let access = Access::open(&state)?;
        let desired = Desired::open(&state, seeds)?;
        let dead_letters = DeadLetterStore::open(&state)?;
        let monitor = Monitor::open(&state)?;
        let tuning = Tuning::open(&state, draining)?;
        Ok((state, access, desired, dead_letters, monitor, tuning))
    });
    let opened = opening.await.map_err(|_| DiskError::Ending)??;
    let (state, access, desired, dead_letters, monitor, tuning) = opened;
    let management = config.management.as_ref();
    let management = management.map(|source| Arc::new(Management::new(source, &config.stack)));
    let console = Arc::new(Console {
        doctor: Doctor::new(Arc::clone(&sources.checks)),
        machines: Machines::new(sources.fleet.clone()),
        archive_faults: Arc::default(),
        management,
        config,
        sources,
        access,
        state,
        roster: Roster::default(),
        leaders: Leaders::default(),
        desired,
        dead_letters,
        monitor,
        jobs: JobRunner::new(lifecycle.draining()),
        tuning,
        tasks: TaskTracker::new(),
    });
    if !console.config.read_only {
        plan::apply::resume(&console)
            .await
            .map_err(|error| ConsoleError::Resume(error.message().to_owned()))?;
        tuning::recover(&console)?;
    }
    // Stored settings apply from the nodes' first moment, if they can be published by then.
    publish::reconcile_at_start(&console).await?;
    let drain = lifecycle.draining();
    if !console.config.read_only {
        let reading = dead_letters::read(Arc::clone(&console), drain.clone());
        lifecycle.spawn("dead letters", reading);
    }
    if let Some(management) = &console.management {
        let polling = management::poll(Arc::clone(management), drain.clone());
        lifecycle.spawn("management api", polling);
    }
    lifecycle.spawn(
        "publishing",
        publish::run(Arc::clone(&console), drain.clone()),
    );
    lifecycle.spawn("sampler", sampler::run(Arc::clone(&console), drain.clone()));
    lifecycle.spawn("machines", fleet::run(Arc::clone(&console), drain.clone()));
    // Only rides in Redis are archived.
    if console.config.engine == EngineKind::Servers {
        let looking = archived_files::watch(
            Arc::clone(&console.archive_faults),
            Arc::clone(&console.sources.reader),
            console.config.archive.clone(),
            drain.clone(),
        );
        lifecycle.spawn("archived files", looking);
    }
    lifecycle.spawn("plans", finish_plans(console.tasks.clone(), drain.clone()));
    lifecycle.spawn(
        "console data directory",
        watch_folder(Arc::clone(&console), drain.clone()),
    );
    lifecycle.spawn("token use", record_last_used(Arc::clone(&console), drain));
    Ok(console)
}

/// Serves the web console and the admin API until `lifecycle` drains.
pub fn serve(console: &Arc<Console>, listener: Listener, lifecycle: &Lifecycle) {
    let drain = lifecycle.draining();
    let router = router(console, drain.clone());
    lifecycle.spawn("admin api", async move {
        skilift_http::serve(listener, router, drain).await;
        Ok(())
    });
}

/// All URLs: pages for people, and the admin API for programs. Streams end when `drain` is cancelled.
pub(crate) fn router(console: &Arc<Console>, drain: CancellationToken) -> Router {
    let of_unknown = Arc::clone(console);
    let unknown_url = async move |uri: Uri, headers: HeaderMap| {
        if uri.path().starts_with("/admin/") {
            admin::unknown_url(&uri).into_response()
        } else {
            pages::not_found(&of_unknown, &headers)
        }
    };
    pages::router(console, drain)
        .merge(admin::router(Arc::clone(console)))
        .fallback(unknown_url)
}

/// Waits for plans that are being applied before the process ends.
async fn finish_plans(tasks: TaskTracker, drain: CancellationToken) -> Result<(), TaskError> {
    drain.cancelled().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Ends the process after a failed write to the data directory: its content is only certain after the next start.
async fn watch_folder(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    match drain.run_until_cancelled(console.state.failure()).await {
        Some(why) => Err(why.into()),
        None => Ok(()),
    }
}

/// Periodically writes the last use of tokens, and removes expired ones.
async fn record_last_used(
    console: Arc<Console>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    loop {
        let waited = drain
            .run_until_cancelled(tokio::time::sleep(USE_STEP))
            .await;
        let mut changes = WriteBatch::default();
        // A token that was revoked meanwhile must not be written again.
        let _write_lock = console.desired.write_lock.lock().await;
        if console.access.put_last_used(&console.state, &mut changes) {
            let noting = console
                .state
                .commit("write the last use of tokens", changes, vec![]);
            noting.await?;
        }
        if waited.is_none() {
            return Ok(());
        }
    }
}
