//! The command lines of `skictl users`, `tokens`, `keys`, `login` and `context`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use skilift_console::view::access::UserRole;
use skilift_core::ride::ResortId;

use super::client::{ClientArgs, ConsentArgs, Form};

/// A role on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// See everything but secrets
    Viewer,
    /// Besides, change what can be undone
    Operator,
    /// Everything
    Admin,
}

impl From<RoleName> for UserRole {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<UsersCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Show all users (the default)
    List,
    /// Let somebody in by name and password
    Add {
        /// The name
        name: String,
        /// What he may do
        #[arg(long)]
        role: RoleName,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Give a user another password; it ends his logins
    Password {
        /// The name
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a user do more or less; it ends his logins
    Role {
        /// The name
        name: String,
        /// What he may do
        role: RoleName,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a user in no more
    Remove {
        /// The name
        name: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Where a password comes from. Flags and the environment can be seen by others, so that it is neither.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from stdin, up to the end of its first line
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

pub(super) const USERS_EXAMPLES: &str = "\
Examples:
  skictl users add anna --role operator
  skictl users add ben --role viewer --password-stdin --yes < ben.password
  skictl users role anna admin";

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<TokensCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Show all tokens and logins, without their secrets (the default)
    List,
    /// Make a token for a script; it is printed once, on stdout
    Add {
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long)]
        role: RoleName,
        /// How long it counts
        #[arg(long, value_name = "TIME", default_value = "90days", value_parser = humantime::parse_duration)]
        expires_in: Duration,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a token count no more
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

pub(super) const TOKENS_EXAMPLES: &str = "\
Examples:
  (umask 077; skictl tokens add nightly --role viewer --expires-in 30days --yes > nightly.token)
  skictl queue --token-file nightly.token
  skictl tokens revoke 3f2a";

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show all ingest keys, without their secrets (the default)
    List,
    /// Make an ingest key for a gate; it is printed once, on stdout
    Add {
        /// What it is for
        name: String,
        /// The resorts for which it counts [default: all]
        #[arg(long, value_name = "N,..", value_delimiter = ',')]
        resort: Option<Vec<ResortId>>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let an ingest key count no more
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

pub(super) const KEYS_EXAMPLES: &str = "\
Examples:
  (umask 077; skictl keys add gate-7 --resort 1,2 --yes > gate-7.key)
  skictl keys revoke 9c01
  skictl settings set ingest keys";

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Who logs in, by password [default: by the code that skictl up printed]
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Read the password from stdin, up to the end of its first line
    #[arg(long, requires = "user")]
    pub(crate) password_stdin: bool,
    /// Read the code from stdin, up to the end of its first line
    #[arg(long, conflicts_with = "user")]
    pub(crate) code_stdin: bool,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    pub(crate) no_input: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(super) const LOGIN_EXAMPLES: &str = "\
The token that the login gives is kept for the context in use. Without one a context is made, named after the server, and \
becomes the current one.

Examples:
  skictl login anna --server https://console.example.com
  skictl login anna --context summit --password-stdin < anna.password
  skictl login";

#[derive(Debug, Args)]
pub(crate) struct ContextArgs {
    /// Form of what stands on stdout
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(crate) output: Form,
    #[command(subcommand)]
    pub(crate) command: Option<ContextCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Show all contexts (the default)
    List,
    /// Show a context
    Show {
        /// Which [default: the current one]
        name: Option<String>,
    },
    /// Make a context the current one
    Use {
        /// Which
        name: String,
    },
    /// Give a console a name, or change what is known by it
    Add {
        /// The name
        name: String,
        #[arg(long, help = "The console, as http://127.0.0.1:8081 or https://HOST", value_name = "URL", value_hint = ValueHint::Url)]
        server: String,
        /// File that holds the token to show
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        token_file: Option<PathBuf>,
    },
    /// Forget a context, and the token that a login left for it
    Remove {
        /// Which
        name: String,
    },
}

pub(super) const CONTEXT_EXAMPLES: &str = "\
Contexts are kept in skilift/contexts.toml in the folder for configuration ($XDG_CONFIG_HOME, else ~/.config).

Examples:
  skictl context add summit --server https://console.example.com --token-file ~/summit.token
  skictl context use summit
  skictl context";
