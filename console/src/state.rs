//! The console's state, in typed tables of its own data directory.
//!
//! A change is committed together with its audit entries in one atomic write.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skilift_core::clock::epoch_ms;
use skilift_core::control::{ApiSettings, BootId, Document, FleetBounds, Ingest, WorkerSettings};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::copy::CopyError;
use skilift_core::embedded::records::{Records, Table, WriteBatch};
use skilift_core::ride::ResortId;
use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::access::IDLE_MS;
use crate::view::access::UserRole;
use crate::view::alarm::Severity;
use crate::view::audit::AuditEntry;
use crate::view::export::ExportHeader;
use crate::view::plan::{PlanState, PlanView};
use crate::view::settings::Section;

/// The key of the one document.
const DOCUMENT: &[u8] = b"document";
/// Key of the one serial of the ingest keys.
const KEYS_SERIAL: &[u8] = b"serial";
/// Maximum audit entries; the oldest ones are removed.
const MAX_AUDIT: u64 = 1_000_000;
/// Maximum plans; the oldest ones are removed.
const MAX_PLANS: u64 = 10_000;
/// Maximum versions of a section; the oldest ones are removed.
const MAX_VERSIONS: u64 = 1_000;

/// A user, by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) role: UserRole,
    /// A PHC string.
    pub(crate) password: String,
    pub(crate) since_ms: u64,
    pub(crate) last_login_ms: Option<u64>,
}

/// A token, by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: UserRole,
    pub(crate) by: String,
    /// The user of a session; `None` for a token created for a program.
    pub(crate) login_of: Option<String>,
    /// The SHA-256 of its text, as hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) made_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) last_used_ms: Option<u64>,
}

impl Token {
    /// When it ends, in milliseconds since 1970. A session ends earlier if it is not used.
    pub(crate) fn ends_at_ms(&self, last_used_ms: Option<u64>) -> u64 {
        let is_session = self.login_of.is_some();
        let used = last_used_ms.unwrap_or(self.made_at_ms).max(self.made_at_ms);
        if is_session {
            self.expires_at_ms.min(used + IDLE_MS)
        } else {
            self.expires_at_ms
        }
    }
}

/// A raised alarm, by its code.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RaisedAlarm {
    /// When it was raised, in milliseconds since 1970.
    pub(crate) since_at_ms: u64,
}

/// The acknowledgement of an alarm, by its code. It ends with the alarm, and when the alarm grows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Acknowledgement {
    /// Since when the alarm was raised, in milliseconds since 1970.
    pub(crate) since_at_ms: u64,
    /// What it was about then: so many messages, nodes or dead letters.
    #[serde(default)]
    pub(crate) count: u64,
    /// How severe it was; `None` if that is not known.
    #[serde(default)]
    pub(crate) severity: Option<Severity>,
    pub(crate) by: String,
    pub(crate) at_ms: u64,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// An ingest key, by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) resorts: Option<Vec<ResortId>>,
    pub(crate) sha256: String,
    pub(crate) by: String,
    pub(crate) made_at_ms: u64,
}

/// A version of a section, by section and number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) hash: u32,
    pub(crate) value: Settings,
    pub(crate) at_ms: u64,
    pub(crate) by: String,
    pub(crate) plan: Option<String>,
}

/// The values of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Settings {
    Worker(WorkerSettings),
    Api(ApiSettings),
    Ingest(Ingest),
    Fleet(FleetBounds),
}

/// All tables of the console.
pub(crate) struct ConsoleState {
    records: Arc<Records>,
    pub(crate) users: Table<User>,
    pub(crate) tokens: Table<Token>,
    pub(crate) keys: Table<Key>,
    /// The serial of the document that the ingest keys belong to.
    keys_serial: Table<u64>,
    pub(crate) versions: Table<Version>,
    pub(crate) acknowledgements: Table<Acknowledgement>,
    /// Written by the sampler too, in which an alarm is raised and ends.
    pub(crate) raised_alarms: Table<RaisedAlarm>,
    /// The boot of each node that is to be removed from the registry.
    pub(crate) forgotten_nodes: Table<BootId>,
    documents: Table<Document>,
    plans: Table<PlanView>,
    /// The plans that are being applied.
    under_way: Table<()>,
    audit: Table<AuditEntry>,
    /// The write lock, with the last numbers.
    write_lock: Mutex<Numbers>,
    /// Set after a failed write: the process must end.
    failed: watch::Sender<Option<String>>,
}

/// The last assigned numbers.
struct Numbers {
    audit: u64,
    plan: u64,
}

impl ConsoleState {
    /// Opens the console's data directory, and creates it if necessary.
    pub(crate) fn open(folder: &Path) -> Result<Self, DiskError> {
        let records = Records::open(folder)?;
        let audit: Table<AuditEntry> = records.table("audit")?;
        let plans: Table<PlanView> = records.table("plans")?;
        let numbers = Numbers {
            audit: last_number(&audit)?,
            plan: last_number(&plans)?,
        };
        Ok(Self {
            users: records.table("users")?,
            tokens: records.table("tokens")?,
            keys: records.table("keys")?,
            keys_serial: records.table("keys serial")?,
            versions: records.table("versions")?,
            acknowledgements: records.table("acknowledgements")?,
            raised_alarms: records.table("alarms")?,
            forgotten_nodes: records.table("forgotten nodes")?,
            documents: records.table("documents")?,
            plans,
            under_way: records.table("plans under way")?,
            audit,
            write_lock: Mutex::new(numbers),
            failed: watch::Sender::new(None),
            records,
        })
    }

    /// Writes everything, as of one moment; returns the number of records.
    ///
    /// # Errors
    /// If the disk cannot be read, or `to` cannot be written.
    pub(crate) fn export(
        &self,
        header: &ExportHeader,
        to: &mut impl Write,
    ) -> Result<u64, CopyError> {
        self.records.export(header, to)
    }

    /// A further table, for another part of the console.
    pub(crate) fn table<T>(&self, name: &str) -> Result<Table<T>, DiskError> {
        self.records.table(name)
    }

    /// Checks that the console's directory is still there.
    ///
    /// # Errors
    /// If it was removed or replaced.
    pub(crate) async fn check_directory(&self) -> Result<(), DiskError> {
        let records = Arc::clone(&self.records);
        let checking = tokio::task::spawn_blocking(move || records.check());
        checking.await.unwrap_or(Err(DiskError::Ending))
    }

    /// Writes all changes and audit entries atomically. `doing` describes the purpose in error messages, as a verb phrase.
    ///
    /// # Errors
    /// If the write failed: the process is then about to end.
    pub(crate) async fn commit(
        &self,
        doing: &'static str,
        mut changes: WriteBatch,
        lines: Vec<AuditEntry>,
    ) -> Result<(), DiskError> {
        let mut numbers = self.write_lock.lock().await;
        for mut line in lines {
            // Assigned before the write: if the caller is cancelled, the next write must not reuse the number.
            numbers.audit += 1;
            line.number = numbers.audit;
            line.at_ms = epoch_ms();
            self.audit
                .put(&mut changes, &number_key(line.number), &line);
            if let Some(oldest) = line.number.checked_sub(MAX_AUDIT) {
                self.audit.remove(&mut changes, &number_key(oldest));
            }
        }
        let written = self.records.commit(doing, changes).await;
        if let Err(error) = &written {
            self.failed.send_replace(Some(error.to_string()));
        }
        written
    }

    /// Blocks all writes while the guard lives, as a disk that does not answer.
    #[cfg(test)]
    pub(crate) async fn stall(&self) -> impl Drop + '_ {
        self.write_lock.lock().await
    }

    /// Waits until a write has failed, and returns the reason.
    pub(crate) async fn failure(&self) -> String {
        let mut failed = self.failed.subscribe();
        let why = failed.wait_for(Option::is_some).await;
        why.map(|why| why.clone().unwrap_or_default())
            .unwrap_or_default()
    }

    /// The stored document.
    pub(crate) fn document(&self) -> Result<Option<Document>, DiskError> {
        self.documents.get(DOCUMENT)
    }

    /// The serial that the ingest keys have; `None` if it is that of the document.
    pub(crate) fn keys_serial(&self) -> Result<Option<u64>, DiskError> {
        self.keys_serial.get(KEYS_SERIAL)
    }

    /// Adds the serial of the ingest keys to `changes`.
    pub(crate) fn put_keys_serial(&self, changes: &mut WriteBatch, serial: u64) {
        self.keys_serial.put(changes, KEYS_SERIAL, &serial);
    }

    /// Adds the document to `changes`.
    pub(crate) fn put_document(&self, changes: &mut WriteBatch, document: &Document) {
        self.documents.put(changes, DOCUMENT, document);
    }

    /// Adds a version of a section to `changes`.
    pub(crate) fn put_version(
        &self,
        changes: &mut WriteBatch,
        section: Section,
        number: u64,
        version: &Version,
    ) {
        let key = version_key(section, number);
        self.versions.put(changes, &key, version);
        if let Some(oldest) = number.checked_sub(MAX_VERSIONS) {
            self.versions.remove(changes, &version_key(section, oldest));
        }
    }

    /// A version of a section.
    pub(crate) fn version(
        &self,
        section: Section,
        number: u64,
    ) -> Result<Option<Version>, DiskError> {
        self.versions.get(&version_key(section, number))
    }

    /// The versions of a section below a number, newest first.
    pub(crate) fn versions_before(
        &self,
        section: Section,
        before: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Version)>, DiskError> {
        let keys = version_key(section, 0)..version_key(section, before);
        let found = self.versions.range_back(keys, limit)?;
        Ok(found
            .into_iter()
            .map(|(key, version)| (read_number(&key[1..]), version))
            .collect())
    }

    /// A number for a new plan.
    pub(crate) async fn next_plan(&self) -> u64 {
        let mut numbers = self.write_lock.lock().await;
        numbers.plan += 1;
        numbers.plan
    }

    /// Adds a plan to `changes`, and the removal of the oldest. Plans that are being applied are never removed.
    pub(crate) fn put_plan(
        &self,
        changes: &mut WriteBatch,
        plan: &PlanView,
    ) -> Result<(), DiskError> {
        let number = plan_number(&plan.id).unwrap_or_default();
        let key = number_key(number);
        self.plans.put(changes, &key, plan);
        if plan.state == PlanState::Applying {
            self.under_way.put(changes, &key, &());
        } else {
            self.under_way.remove(changes, &key);
        }
        let oldest = number.checked_sub(MAX_PLANS).map(number_key);
        if let Some(oldest) = oldest
            && self.under_way.get(&oldest)?.is_none()
        {
            self.plans.remove(changes, &oldest);
        }
        Ok(())
    }

    /// A plan by its id.
    pub(crate) fn plan(&self, id: &str) -> Result<Option<PlanView>, DiskError> {
        match plan_number(id) {
            Some(number) => self.plans.get(&number_key(number)),
            None => Ok(None),
        }
    }

    /// The plans below a number, newest first.
    pub(crate) fn plans_before(
        &self,
        before: u64,
        limit: usize,
    ) -> Result<Vec<PlanView>, DiskError> {
        let found = self.plans.range_back(..number_key(before), limit)?;
        Ok(found.into_iter().map(|(_, plan)| plan).collect())
    }

    /// The plans that are being applied, or were when the console stopped.
    pub(crate) fn plans_under_way(&self) -> Result<Vec<PlanView>, DiskError> {
        let mut plans = Vec::new();
        for (key, ()) in self.under_way.range(.., usize::MAX)? {
            plans.extend(self.plans.get(&key)?);
        }
        Ok(plans)
    }

    /// Audit entries below a number, newest first.
    pub(crate) fn audit_before(
        &self,
        before: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, DiskError> {
        let found = self.audit.range_back(..number_key(before), limit)?;
        Ok(found.into_iter().map(|(_, line)| line).collect())
    }
}

/// The id of a plan.
pub(crate) fn plan_id(number: u64) -> String {
    format!("p{number}")
}

/// The number of a plan, by its id.
pub(crate) fn plan_number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('p')?;
    digits.parse().ok().filter(|&number| plan_id(number) == id)
}

/// A number as a key.
pub(crate) fn number_key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn version_key(section: Section, number: u64) -> Vec<u8> {
    let section = match section {
        Section::Worker => b'w',
        Section::Api => b'a',
        Section::Ingest => b'i',
        Section::Fleet => b'f',
    };
    [&[section][..], &number.to_be_bytes()].concat()
}

/// The number of a key.
pub(crate) fn read_number(key: &[u8]) -> u64 {
    key.try_into().map(u64::from_be_bytes).unwrap_or_default()
}

fn last_number<T: Serialize + serde::de::DeserializeOwned>(
    table: &Table<T>,
) -> Result<u64, DiskError> {
    let last = table.range_back(.., 1)?;
    Ok(last.first().map_or(0, |(key, _)| read_number(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;

    #[tokio::test]
    async fn the_audit_is_numbered_without_gaps_across_starts() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let state = ConsoleState::open(folder.path()).unwrap();
            for _ in 0..3 {
                let lines = vec![audit::own("try"), audit::own("try again")];
                let written = state.commit("write lines", WriteBatch::default(), lines);
                written.await.unwrap();
            }
        }
        let state = ConsoleState::open(folder.path()).unwrap();
        let lines = state.audit_before(u64::MAX, 100).unwrap();
        let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, (1..=12).rev().collect::<Vec<_>>());
        assert_eq!(state.audit_before(5, 2).unwrap()[0].number, 4);
    }

    #[test]
    fn a_plan_is_known_by_one_id() {
        assert_eq!(plan_number("p17"), Some(17));
        for other in ["17", "p017", "p+17", "p", "q17", ""] {
            assert_eq!(plan_number(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_a_token_does_not() {
        let token = |login_of: Option<&str>| Token {
            name: String::new(),
            role: UserRole::Viewer,
            by: String::new(),
            login_of: login_of.map(str::to_owned),
            sha256: String::new(),
            made_at_ms: 1_000,
            expires_at_ms: 1_000 + 10 * IDLE_MS,
            last_used_ms: None,
        };
        let (session, program) = (token(Some("anna")), token(None));
        for (last_used, ends) in [
            (None, 1_000 + IDLE_MS),
            (Some(5_000), 5_000 + IDLE_MS),
            (Some(20 * IDLE_MS), 1_000 + 10 * IDLE_MS),
        ] {
            assert_eq!(session.ends_at_ms(last_used), ends);
            assert_eq!(program.ends_at_ms(last_used), 1_000 + 10 * IDLE_MS);
        }
    }
}
