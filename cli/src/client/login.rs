//! `skictl login`: logs in with a password or a code, and stores the token. `skictl whoami`: whose token that is.

use serde::Serialize;
use skilift_console::view::access::{LoginRequest, LoginView, WhoView};
use url::Url;

use super::Client;
use super::access::word;
use super::connection::{ApiRequest, Console};
use super::contexts::{Context, Contexts, check_name};
use super::error::ClientError;
use super::figures::{TerminalStyle, moment};
use super::page::Page;
use super::prompt;
use super::server::Server;
use super::show::{print, refuse_csv};
use crate::args::access::{LoginArgs, WhoArgs};
use crate::args::client::{Form, WatchArgs};
use crate::exit::Exit;

/// Result of a login, without the token, which is only in its file.
#[derive(Debug, Serialize)]
struct LoggedIn {
    /// The context that holds the token.
    context: String,
    /// URL of the console.
    server: Url,
    /// Expiry of the token, in milliseconds since 1970.
    expires_at_ms: u64,
    /// The logged-in user.
    user: WhoView,
}

/// Runs the command.
pub(crate) async fn run(args: &LoginArgs) -> anyhow::Result<Exit> {
    refuse_csv(args.client.output)?;
    if args.client.token_file.is_some() {
        return Err(ClientError::Usage(
            "--token-file cannot be used with login: a login creates a new token".to_owned(),
        )
        .into());
    }
    let server = Server::choose_for_login(&args.client)?;
    let name = match &server.context {
        Some(name) => name.clone(),
        None => context_of(&server.url),
    };
    check_name(&name)?;
    let request = request(args).await?;
    let console = Console::new(&server)?;
    let view: LoginView = console.post(&ApiRequest::new(["login"]), &request).await?;
    let token_file = Contexts::keep_token(&name, &view.token)?;
    let mut contexts = Contexts::read()?;
    contexts.contexts.insert(
        name.clone(),
        Context {
            server: server.url.clone(),
            token_file: Some(token_file),
            ca_file: server
                .ca_file
                .as_ref()
                .map(std::path::absolute)
                .transpose()?,
        },
    );
    if server.context.is_none() {
        contexts.current = Some(name.clone());
    }
    contexts.write()?;
    let logged_in = LoggedIn {
        context: name,
        server: server.url,
        expires_at_ms: view.expires_at_ms,
        user: view.user,
    };
    match args.client.output {
        Form::Json => print(&(serde_json::to_string(&logged_in)? + "\n"))?,
        Form::Table | Form::Csv => {
            let mut page = Page::new(TerminalStyle::stdout());
            let who = &logged_in.user;
            page.pair("logged in as", format!("{}, {}", who.name, word(who.role)));
            page.pair("at", logged_in.server.as_str());
            page.pair("until", moment(logged_in.expires_at_ms));
            page.pair("context", &logged_in.context);
            print(&page.finish())?
        }
    };
    Ok(Exit::Done)
}

/// Shows who the token of the command is at the console.
pub(crate) async fn show_user(args: &WhoArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let request = || ApiRequest::new(["whoami"]);
    let render = |who: &WhoView, page: &mut Page| {
        page.pair("user", &who.name);
        page.pair("role", word(who.role));
        if who.read_only {
            page.pair("console", "read-only");
        }
    };
    let show = client.show_command(WatchArgs::default());
    show.show(request, render, None).await
}

/// Name of a new context: host and port of the console, limited to valid characters.
fn context_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let name = match url.port() {
        Some(port) => format!("{host}-{port}"),
        None => host.to_owned(),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().filter(|c| fits(*c)).take(64).collect()
}

async fn request(args: &LoginArgs) -> anyhow::Result<LoginRequest> {
    let can_prompt = prompt::can_prompt(args.no_input);
    let nobody = |what: &str| {
        ClientError::Usage(format!(
            "{what} required, but cannot prompt (stdin is not a terminal); use `--{what}-stdin`"
        ))
    };
    let Some(name) = args.user.clone() else {
        let code = match (args.code_stdin, can_prompt) {
            (true, _) => prompt::first_line().await?,
            (false, true) => prompt::line("Login code printed by `skictl up`:".to_owned()).await?,
            (false, false) => return Err(nobody("code").into()),
        };
        return Ok(LoginRequest::Code { code });
    };
    let password = match (args.password_stdin, can_prompt) {
        (true, _) => prompt::first_line().await?,
        (false, true) => prompt::secret(format!("Password of {name}:")).await?,
        (false, false) => return Err(nobody("password").into()),
    };
    Ok(LoginRequest::Password { name, password })
}
