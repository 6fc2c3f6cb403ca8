//! The command lines of `skictl users`, `tokens`, `keys`, `login` and `context`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use skilift_console::view::access::UserRole;
use skilift_core::ride::ResortId;

use crate::client::completion;

use super::client::{ClientArgs, ConsentArgs, Form, WatchArgs};
use super::ranges::{named, time};

/// Range of a token's lifetime.
const LIFE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);

/// A user role on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    Viewer,
    Operator,
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
    /// Add a user with a password
    Add {
        /// Name
        #[arg(value_parser = named("the name of a user"))]
        name: String,
        /// Role of the user: viewer reads everything except secrets, operator also makes changes that can be reverted, admin all
        #[arg(long)]
        role: RoleName,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Change a user's password; logs the user out everywhere
    Password {
        /// Name
        #[arg(value_parser = named("the name of a user"), add = completion::user())]
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Change a user's role; logs the user out everywhere
    Role {
        /// Name
        #[arg(value_parser = named("the name of a user"), add = completion::user())]
        name: String,
        /// Role of the user: viewer reads everything except secrets, operator also makes changes that can be reverted, admin all
        role: RoleName,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Remove a user
    Remove {
        /// Name
        #[arg(value_parser = named("the name of a user"), add = completion::user())]
        name: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Source of a password; never a flag or a variable, because other users can see those.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of stdin
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
    /// Show all tokens and sessions, without their secrets (default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Create a token for a script; it is printed once, on stdout
    Add {
        /// Name that describes its use
        #[arg(value_parser = named("a name"))]
        name: String,
        /// Role of the token: viewer reads everything except secrets, operator also makes changes that can be reverted, admin all
        #[arg(long)]
        role: RoleName,
        /// Lifetime, 1m to 366days
        #[arg(long, value_name = "TIME", default_value = "90days", value_parser = time(LIFE))]
        expires_in: Duration,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Revoke a token
    Revoke {
        /// ID, as shown by the list
        #[arg(value_parser = named("an ID, as shown by the list"))]
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
    /// Show all ingest keys, without their secrets (default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Create an ingest key for a gate; it is printed once, on stdout
    Add {
        /// Name that describes its use
        #[arg(value_parser = named("a name"))]
        name: String,
        /// Resorts that the key is valid for [default: all]
        #[arg(long, value_name = "N,..", value_delimiter = ',')]
        resort: Option<Vec<ResortId>>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Revoke an ingest key
    Revoke {
        /// ID, as shown by the list
        #[arg(value_parser = named("an ID, as shown by the list"))]
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// User name, to log in with a password [default: log in with the code printed by `skictl up`]
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long, requires = "user")]
    pub(crate) password_stdin: bool,
    /// Read the code from the first line of stdin
    #[arg(long, conflicts_with = "user")]
    pub(crate) code_stdin: bool,
    /// Never prompt, even on a terminal
    #[arg(long)]
    pub(crate) no_input: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Where the token is stored, for the end of `--help`.
pub(super) const LOGIN_TOKEN: &str = "\
The token of the login is stored in the context in use. Without a context, skictl creates one that is named after the \
server, and makes it the current one.";

#[derive(Debug, Args)]
pub(crate) struct ContextArgs {
    /// Output format
    #[arg(
        long,
        short,
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Form,
    #[command(subcommand)]
    pub(crate) command: Option<ContextCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Show all contexts (default)
    List,
    /// Show a context
    Show {
        /// Context [default: the current one]
        name: Option<String>,
    },
    /// Select the current context
    Use {
        /// Context
        #[arg(add = completion::context())]
        name: String,
    },
    /// Add a context, or update an existing one
    Add {
        /// Name
        name: String,
        #[arg(long, help = "URL of the console, for example http://127.0.0.1:8081 or https://HOST", value_name = "URL", value_hint = ValueHint::Url)]
        server: String,
        /// File with the access token
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        token_file: Option<PathBuf>,
        /// File with trusted certificates, as PEM
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        ca_file: Option<PathBuf>,
    },
    /// Remove a context and end its login session
    Remove {
        /// Context
        #[arg(add = completion::context())]
        name: String,
    },
}

/// Location of the contexts file, for the end of `--help`.
pub(super) const CONTEXTS_FILE: &str = "\
Contexts are stored in skilift/contexts.toml in the configuration directory ($XDG_CONFIG_HOME, else ~/.config).";
