//! What the exit code of every command says.

use std::process::ExitCode;

/// How a command ended. The numbers are stable: scripts decide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done, or it was so already.
    Done = 0,
    /// Something failed that was not expected to.
    Failed = 1,
    /// The command line or the configuration cannot be meant.
    Usage = 2,
    /// Some of it was done, and some was not.
    Partial = 3,
    /// A guard refused it, or what it stands on is not so.
    Refused = 4,
    /// Who asks is not known, or may not do this.
    Forbidden = 5,
    /// A limit is reached: asked too often, or no room.
    Capacity = 6,
    /// It may still be under way, and was not waited for any longer.
    TimedOut = 7,
    /// A condition of `--fail-if` holds.
    Threshold = 8,
    /// A signal ended it.
    Interrupted = 130,
}

/// All of them, for the end of `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done, or so already
  1    unexpected failure
  2    usage: the command line or the configuration cannot be meant
  3    done in part
  4    refused by a guard or a precondition: nothing was changed
  5    not permitted, or not logged in
  6    a limit is reached: asked too often, or no room
  7    not waited for any longer; it may still be under way
  8    a threshold is passed (skictl load --fail-if)
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Partial,
            Exit::Refused,
            Exit::Forbidden,
            Exit::Capacity,
            Exit::TimedOut,
            Exit::Threshold,
            Exit::Interrupted,
        ] {
            let code = format!("\n  {:<5}", exit as u8);
            assert!(EXIT_CODES.contains(&code), "{exit:?}");
        }
    }
}
