//! The command lines of `skictl users`, `tokens`, `keys`, `login` and `context`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use skilift_console::view::access::UserRole;
use skilift_core::ride::ResortId;

use super::client::{ClientArgs, ConsentArgs, Form, WatchArgs};
use super::ranges::{named, time};

/// How long a token may count.
const LIFE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);

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
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<UsersCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Show all users (the default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Let somebody in by name and password
    Add {
        /// The name
        #[arg(value_parser = named("a user's name"))]
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
        #[arg(value_parser = named("a user's name"))]
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a user do more or less; it ends his logins
    Role {
        /// The name
        #[arg(value_parser = named("a user's name"))]
        name: String,
        /// What he may do
        role: RoleName,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a user in no more
    Remove {
        /// The name
        #[arg(value_parser = named("a user's name"))]
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

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<TokensCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Show all tokens and logins, without their secrets (the default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Make a token for a script; it is printed once, on stdout
    Add {
        /// What it is for
        #[arg(value_parser = named("a name"))]
        name: String,
        /// What it may do
        #[arg(long)]
        role: RoleName,
        /// How long it counts, 1m to 366days
        #[arg(long, value_name = "TIME", default_value = "90days", value_parser = time(LIFE))]
        expires_in: Duration,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a token count no more
    Revoke {
        /// Its id, as the list shows it
        #[arg(value_parser = named("an id, as the list shows it"))]
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show all ingest keys, without their secrets (the default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Make an ingest key for a gate; it is printed once, on stdout
    Add {
        /// What it is for
        #[arg(value_parser = named("a name"))]
        name: String,
        /// The resorts for which it counts [default: all]
        #[arg(long, value_name = "N,..", value_delimiter = ',')]
        resort: Option<Vec<ResortId>>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let an ingest key count no more
    Revoke {
        /// Its id, as the list shows it
        #[arg(value_parser = named("an id, as the list shows it"))]
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

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

/// Where the token goes, for the end of `--help`.
pub(super) const LOGIN_TOKEN: &str = "\
The token that the login gives is kept for the context in use. Without one a context is made, named after the server, and \
becomes the current one.";

#[derive(Debug, Args)]
pub(crate) struct ContextArgs {
    /// Form of what stands on stdout
    #[arg(long, global = true, value_name = "FORM", default_value = "table")]
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
    /// Forget a context, and end the login that was kept for it
    Remove {
        /// Which
        name: String,
    },
}

/// Where contexts are, for the end of `--help`.
pub(super) const CONTEXTS_FILE: &str = "\
Contexts are kept in skilift/contexts.toml in the folder for configuration ($XDG_CONFIG_HOME, else ~/.config).";
