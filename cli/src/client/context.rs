//! `skictl context`: names for consoles.

use std::path::PathBuf;

use serde::Serialize;
use url::Url;

use super::contexts::{Context, Contexts, check_name};
use super::error::ClientError;
use super::look::Look;
use super::page::{Page, Tone, plain};
use super::server::{parse_url, refuse_in_the_clear};
use super::show::{print, refuse_csv};
use crate::args::access::{ContextArgs, ContextCommand};
use crate::args::client::Form;
use crate::exit::Exit;

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
    current: bool,
}

/// Runs the command.
pub(crate) fn run(args: &ContextArgs) -> anyhow::Result<Exit> {
    refuse_csv(args.output)?;
    let mut contexts = Contexts::read()?;
    match args.command.as_ref().unwrap_or(&ContextCommand::List) {
        ContextCommand::List => list(&contexts, args.output)?,
        ContextCommand::Show { name } => {
            let current = || contexts.current.clone();
            let name = name.clone().or_else(current).ok_or_else(|| {
                ClientError::Usage(
                    "no context is the current one; skictl context use NAME makes one".to_owned(),
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
        } => {
            check_name(name)?;
            let server = parse_url(server)?;
            refuse_in_the_clear(&server)?;
            // A relative path would lead elsewhere from another folder.
            let token_file = token_file.as_ref().map(std::path::absolute).transpose()?;
            let context = Context { server, token_file };
            contexts.contexts.insert(name.clone(), context.clone());
            contexts.write()?;
            show(&view(name, &contexts, &context), args.output)?;
        }
        ContextCommand::Remove { name } => {
            let context = contexts.get(name)?.clone();
            contexts.contexts.remove(name);
            let was_current = contexts.current.as_deref() == Some(name.as_str());
            if was_current {
                contexts.current = None;
            }
            contexts.write()?;
            Contexts::forget_token(name)?;
            show(&view(name, &contexts, &context), args.output)?;
            if was_current {
                eprintln!("skictl: no context is the current one any more");
            }
        }
    }
    Ok(Exit::Done)
}

fn view(name: &str, contexts: &Contexts, context: &Context) -> ContextView {
    ContextView {
        name: name.to_owned(),
        server: context.server.clone(),
        token_file: context.token_file.clone(),
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
    let mut page = Page::new(Look::stdout());
    let rows = all.contexts.iter().map(|context| {
        let current = if context.current { "current" } else { "" };
        [
            plain(&context.name),
            plain(context.server.as_str()),
            plain(token(context)),
            (current.to_owned(), Tone::Good),
        ]
    });
    page.table(
        ["context", "server", "token file", ""],
        rows,
        "no contexts: skictl context add makes one",
    );
    print(&page.finish())?;
    Ok(())
}

fn show(context: &ContextView, form: Form) -> anyhow::Result<()> {
    if form == Form::Json {
        print(&(serde_json::to_string(context)? + "\n"))?;
        return Ok(());
    }
    let mut page = Page::new(Look::stdout());
    page.pair("context", &context.name);
    page.pair("server", context.server.as_str());
    page.pair("token file", token(context));
    page.pair("current", if context.current { "yes" } else { "no" });
    print(&page.finish())?;
    Ok(())
}
