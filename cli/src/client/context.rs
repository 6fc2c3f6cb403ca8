//! `skictl context`: named consoles. `skictl logout`: ends the login of one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use skilift_console::view::ProblemCode;
use url::Url;

use super::columns::Columns;
use super::connection::{ApiRequest, Console};
use super::contexts::{Context, Contexts, check_name};
use super::error::ClientError;
use super::figures::TerminalStyle;
use super::page::{Page, Style, plain};
use super::server::{Server, parse_url, read_token, refuse_in_the_clear};
use super::show::{print, refuse_csv};
use crate::args::access::{ContextArgs, ContextCommand, WhoArgs};
use crate::args::client::Form;
use crate::exit::Exit;

/// Timeout of a logout.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);

/// All contexts, by name.
#[derive(Debug, Serialize)]
struct ContextsView {
    contexts: Vec<ContextView>,
}

/// A context.
#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    server: Url,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    current: bool,
}

/// Runs the command.
pub(crate) async fn run(args: &ContextArgs) -> anyhow::Result<Exit> {
    refuse_csv(args.output)?;
    let mut contexts = Contexts::read()?;
    match args.command.as_ref().unwrap_or(&ContextCommand::List) {
        ContextCommand::List => list(&contexts, args.output)?,
        ContextCommand::Show { name } => {
            let current = || contexts.current.clone();
            let name = name.clone().or_else(current).ok_or_else(|| {
                ClientError::Usage(
                    "no current context; select one with `skictl context use NAME`".to_owned(),
                )
            })?;
            show(&view(&name, &contexts, contexts.get(&name)?), args.output)?;
        }
        ContextCommand::Use { name } => {
            contexts.get(name)?;
            contexts.current = Some(name.clone());
            contexts.write()?;
            show(&view(name, &contexts, contexts.get(name)?), args.output)?;
        }
        ContextCommand::Add {
            name,
            server,
            token_file,
            ca_file,
        } => {
            check_name(name)?;
            let server = parse_url(server)?;
            refuse_in_the_clear(&server)?;
            // A relative path would change its meaning in another directory.
            let absolute =
                |file: &Option<PathBuf>| file.as_ref().map(std::path::absolute).transpose();
            let context = Context {
                server,
                token_file: absolute(token_file)?,
                ca_file: absolute(ca_file)?,
            };
            contexts.contexts.insert(name.clone(), context.clone());
            contexts.write()?;
            show(&view(name, &contexts, &context), args.output)?;
        }
        ContextCommand::Remove { name } => {
            let context = contexts.get(name)?.clone();
            if let Some(file) = contexts.login_of(name) {
                end_login(name, &context, &file).await;
            }
            contexts.contexts.remove(name);
            let was_current = contexts.current.as_deref() == Some(name.as_str());
            if was_current {
                contexts.current = None;
            }
            contexts.write()?;
            Contexts::forget_token(name)?;
            show(&view(name, &contexts, &context), args.output)?;
            if was_current {
                say!("skictl: no current context");
            }
        }
    }
    Ok(Exit::Done)
}

/// Ends the login of the context in use.
pub(crate) async fn log_out(args: &WhoArgs) -> anyhow::Result<Exit> {
    refuse_csv(args.client.output)?;
    let server = Server::choose_for_login(&args.client)?;
    let mut contexts = Contexts::read()?;
    let login = server
        .context
        .and_then(|name| Some((contexts.login_of(&name)?, name)));
    let Some((file, name)) = login else {
        return Err(ClientError::Usage(
            "no login to end: the context in use has none; see `skictl context`".to_owned(),
        )
        .into());
    };
    let context = contexts.get(&name)?.clone();
    end_login(&name, &context, &file).await;
    if let Some(context) = contexts.contexts.get_mut(&name) {
        context.token_file = None;
    }
    contexts.write()?;
    Contexts::forget_token(&name)?;
    say!("skictl: logged out of {name}");
    show(
        &view(&name, &contexts, contexts.get(&name)?),
        args.client.output,
    )?;
    Ok(Exit::Done)
}

/// Logs out at the console, which revokes the token; the context is removed even if that fails.
async fn end_login(name: &str, context: &Context, file: &Path) {
    let ending = async {
        refuse_in_the_clear(&context.server)?;
        let console = Console::new(&Server {
            url: context.server.clone(),
            token: Some(read_token(file)?),
            token_file: None,
            ca_file: context.ca_file.clone(),
            context: Some(name.to_owned()),
        })?;
        let logout = ApiRequest::new(["logout"]);
        match tokio::time::timeout(LOGOUT_TIMEOUT, console.post_without_body(&logout)).await {
            Ok(Ok(())) => Ok(()),
            // The session had already ended.
            Ok(Err(ClientError::Problem(problem)))
                if problem.code == ProblemCode::Unauthenticated =>
            {
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => anyhow::bail!(
                "{} did not respond within {LOGOUT_TIMEOUT:?}",
                context.server
            ),
        }
    };
    if let Err(error) = ending.await {
        say!(
            "skictl: cannot end the session of {name} at the console: {error:#}; the token is deleted here, but stays valid until it \
            expires or is revoked with `skictl tokens revoke`"
        );
    }
}

fn view(name: &str, contexts: &Contexts, context: &Context) -> ContextView {
    ContextView {
        name: name.to_owned(),
        server: context.server.clone(),
        token_file: context.token_file.clone(),
        ca_file: context.ca_file.clone(),
        current: contexts.current.as_deref() == Some(name),
    }
}

fn token(context: &ContextView) -> String {
    context
        .token_file
        .as_ref()
        .map_or_else(|| "-".to_owned(), |file| file.display().to_string())
}

fn list(contexts: &Contexts, form: Form) -> anyhow::Result<()> {
    let all = contexts.contexts.iter();
    let all = ContextsView {
        contexts: all
            .map(|(name, context)| view(name, contexts, context))
            .collect(),
    };
    if form == Form::Json {
        print(&(serde_json::to_string(&all)? + "\n"))?;
        return Ok(());
    }
    let mut page = Page::new(TerminalStyle::stdout());
    let rows = all.contexts.iter().map(|context| {
        let current = if context.current { "current" } else { "" };
        [
            plain(&context.name),
            plain(context.server.as_str()),
            plain(token(context)),
            (current.to_owned(), Style::Good),
        ]
    });
    page.table(
        &Columns {
            names: ["context", "server", "token file", ""],
            optional_columns: &["token file"],
        },
        rows,
        "no contexts; create one with `skictl context add`",
    );
    print(&page.finish())?;
    Ok(())
}

fn show(context: &ContextView, form: Form) -> anyhow::Result<()> {
    if form == Form::Json {
        print(&(serde_json::to_string(context)? + "\n"))?;
        return Ok(());
    }
    let mut page = Page::new(TerminalStyle::stdout());
    page.pair("context", &context.name);
    page.pair("server", context.server.as_str());
    page.pair("token file", token(context));
    page.pair("current", if context.current { "yes" } else { "no" });
    print(&page.finish())?;
    Ok(())
}
