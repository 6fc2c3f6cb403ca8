//! The findings of a check of the deployment; `skictl doctor` prints the same JSON.

use serde::Serialize;

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// The check could not run; this does not affect the overall state.
    NotChecked,
    /// No problem.
    #[default]
    Ok,
    /// It works, but needs attention.
    Warning,
    /// It does not work, or rides can be lost.
    Failed,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Name of the check, for example "redis durability".
    pub check: String,
    /// Its result.
    pub state: FindingState,
    /// Observation.
    pub found: String,
    /// Suggested fix, if one is needed.
    pub fix: Option<String>,
}

/// All findings.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Findings {
    /// The worst state.
    pub state: FindingState,
    /// The findings, by part of the deployment.
    pub findings: Vec<Finding>,
}

impl Findings {
    /// Adds the findings about a part of the deployment.
    pub fn add(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
        let worst = self.findings.iter().map(|finding| finding.state).max();
        // Skipped checks do not affect the overall state.
        self.state = worst.unwrap_or_default().max(FindingState::Ok);
    }
}
