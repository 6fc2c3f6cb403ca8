//! `skictl top`: the overview in a terminal, kept up to date.
//!
//! - `screen`: what is known and chosen, changed by keys. `draw`: how it looks at any size.

mod draw;
mod screen;

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use skilift_console::view::nodes::NodesView;
use skilift_console::view::queue::{HistoryView, QueueView};
use skilift_core::clock::epoch_ms;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use self::screen::{Answer, Screen};
use super::Client;
use super::connection::ApiRequest;
use super::error::ClientError;
use super::figures::TerminalStyle;
use crate::args::client::Form;
use crate::args::top::TopArgs;
use crate::exit::Exit;

/// How far back the charts go, in milliseconds.
const HISTORY_MS: u64 = 5 * 60 * 1_000;
/// How often the thread that reads keys looks whether it is still needed.
const KEY_POLL: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) async fn run(args: &TopArgs) -> anyhow::Result<Exit> {
    if args.client.output != Form::Table || !stdout().is_terminal() || !stdin().is_terminal() {
        return Err(ClientError::Usage(
            "top draws on a terminal; in scripts use `skictl status --output json` or `skictl queue --watch --output json`"
                .to_owned(),
        )
        .into());
    }
    let client = Client::new(&args.client)?;
    let mut screen = Screen::new(TerminalStyle::stdout().colour);
    // What cannot pass by itself is said before the screen is taken.
    screen.take(ask(&client).await);
    if let Some(error) = screen.take_lasting_error() {
        return Err(error.into());
    }
    let mut keys = read_keys();
    let mut terminal = ratatui::try_init()?;
    let ended = watch(&client, args, &mut screen, &mut keys, &mut terminal).await;
    ratatui::try_restore()?;
    ended?;
    Ok(Exit::Done)
}

/// Draws at each answer and each key until the user quits.
async fn watch(
    client: &Client,
    args: &TopArgs,
    screen: &mut Screen,
    keys: &mut mpsc::UnboundedReceiver<Event>,
    terminal: &mut ratatui::DefaultTerminal,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    // A console that does not answer stops neither keys nor the age.
    let mut asking = None;
    loop {
        terminal.draw(|frame| draw::draw(screen, frame))?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    if screen.press(key) {
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                if asking.is_none() && !screen.is_paused() {
                    asking = Some(Box::pin(ask(client)));
                }
            }
            answer = async {
                match &mut asking {
                    Some(asking) => asking.await,
                    None => std::future::pending().await,
                }
            } => {
                asking = None;
                screen.take(answer);
            }
        }
    }
}

async fn ask(client: &Client) -> Result<Answer, ClientError> {
    let history = ApiRequest::new(["queue", "history"])
        .with("step", 1)
        .with("since_ms", epoch_ms().saturating_sub(HISTORY_MS));
    let (queue, nodes) = (ApiRequest::new(["queue"]), ApiRequest::new(["nodes"]));
    let (queue, nodes, history) = tokio::try_join!(
        client.console.view::<QueueView>(&queue),
        client.console.view::<NodesView>(&nodes),
        client.console.view::<HistoryView>(&history),
    )?;
    Ok(Answer {
        queue,
        nodes: nodes.nodes,
        history: history.points,
    })
}

/// Keys and changes of the size, read by a thread that ends with the receiver.
fn read_keys() -> mpsc::UnboundedReceiver<Event> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::task::spawn_blocking(move || {
        while !sender.is_closed() {
            match event::poll(KEY_POLL) {
                Ok(false) => {}
                Ok(true) => match event::read() {
                    Ok(event) => drop(sender.send(event)),
                    Err(_) => break,
                },
                Err(_) => break,
            }
        }
    });
    receiver
}
