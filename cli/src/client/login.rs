//! `skictl login`: shows a password or a code, and keeps the token that comes back.

use serde::Serialize;
use skilift_console::view::access::{LoginRequest, LoginView, WhoView};
use url::Url;

use super::access::word;
use super::ask;
use super::connection::{Console, Question};
use super::contexts::{Context, Contexts, check_name};
use super::error::ClientError;
use super::look::{Look, moment};
use super::page::Page;
use super::server::Server;
use super::show::{print, refuse_csv};
use crate::args::access::LoginArgs;
use crate::args::client::Form;
use crate::exit::Exit;

/// What a login came to; the token itself stands in its file alone.
#[derive(Debug, Serialize)]
struct LoggedIn {
    /// The context that holds the token.
    context: String,
    /// The console.
    server: Url,
    /// When the token ends, in milliseconds since 1970.
    expires_at_ms: u64,
    /// Who logged in.
    who: WhoView,
}

/// Runs the command.
pub(crate) async fn run(args: &LoginArgs) -> anyhow::Result<Exit> {
    refuse_csv(args.client.output)?;
    if args.client.token_file.is_some() {
        return Err(ClientError::Usage(
            "a login makes a token: --token-file names one that is there already".to_owned(),
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
    let view: LoginView = console.post(&Question::new(["login"]), &request).await?;
    let token_file = Contexts::keep_token(&name, &view.token)?;
    let mut contexts = Contexts::read()?;
    contexts.contexts.insert(
        name.clone(),
        Context {
            server: server.url.clone(),
            token_file: Some(token_file),
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
        who: view.who,
    };
    match args.client.output {
        Form::Json => print(&(serde_json::to_string(&logged_in)? + "\n"))?,
        Form::Table | Form::Csv => {
            let mut page = Page::new(Look::stdout());
            let who = &logged_in.who;
            page.pair("logged in as", format!("{}, {}", who.name, word(who.role)));
            page.pair("at", logged_in.server.as_str());
            page.pair("until", moment(logged_in.expires_at_ms));
            page.pair("context", &logged_in.context);
            print(&page.finish())?
        }
    };
    Ok(Exit::Done)
}

/// How the context of a console is called that has none yet: host and port, as far as a name can hold them.
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
    let can_ask = ask::can_ask(args.no_input);
    let nobody = |what: &str| {
        ClientError::Usage(format!(
            "a {what} is needed and nobody can be asked for it: --{what}-stdin reads it"
        ))
    };
    let Some(name) = args.user.clone() else {
        let code = match (args.code_stdin, can_ask) {
            (true, _) => ask::first_line().await?,
            (false, true) => ask::line("Login code that skictl up printed:".to_owned()).await?,
            (false, false) => return Err(nobody("code").into()),
        };
        return Ok(LoginRequest::Code { code });
    };
    let password = match (args.password_stdin, can_ask) {
        (true, _) => ask::first_line().await?,
        (false, true) => ask::secret(format!("Password of {name}:")).await?,
        (false, false) => return Err(nobody("password").into()),
    };
    Ok(LoginRequest::Password { name, password })
}
