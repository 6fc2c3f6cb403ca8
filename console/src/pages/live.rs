//! Live updates: a stream per page that sends what has changed.
//!
//! The stream renders the page once per second, as a request for it would, and compares it with what it sent before. Whatever changes
//! without structure is a leaf: an element whose start tag ends with ` data-live>`, with an id and without links or controls. Around
//! leaves that appear and disappear is a part: from ` data-part>` to `<!--/part-->`, replaced as a whole when anything but its leaves
//! has changed. Nothing else ever changes on an open page, so that forms keep what was typed.
//!
//! Users with the same role and page share one rendering.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::http::{Request, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::error::PageError;
use crate::access::{Caller, Origin};
use crate::console::Console;
use crate::error::Error;
use crate::view::access::UserRole;

/// How often a page is rendered.
const STEP: Duration = Duration::from_secs(1);
/// Maximum pages that are rendered at once.
const MAX_PAGES: usize = 200;
/// Maximum open streams.
const MAX_STREAMS: usize = 2_000;

/// The pages that are open in browsers.
pub(super) struct LivePages {
    console: Arc<Console>,
    /// The pages.
    router: Router,
    drain: CancellationToken,
    open: Mutex<HashMap<Key, watch::Sender<Arc<Frame>>>>,
}

/// Path and query of a page, and the role of the users who see it.
type Key = (String, UserRole);

impl LivePages {
    pub(super) fn new(
        console: Arc<Console>,
        router: Router,
        drain: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            console,
            router,
            drain,
            open: Mutex::default(),
        })
    }

    /// Subscribes to a page.
    async fn subscribe(
        self: &Arc<Self>,
        page: String,
        caller: &Caller,
    ) -> Result<watch::Receiver<Arc<Frame>>, Error> {
        let key = (page, caller.role);
        if let Some(sender) = self.open().get(&key) {
            return Ok(sender.subscribe());
        }
        let first = Frame::first(self.render(&key).await?);
        let mut open = self.open();
        if let Some(sender) = open.get(&key) {
            return Ok(sender.subscribe());
        }
        if open.len() >= MAX_PAGES {
            return Err(Error::unavailable("too many different pages are open"));
        }
        let (sender, receiver) = watch::channel(Arc::new(first));
        open.insert(key.clone(), sender.clone());
        drop(open);
        self.console
            .tasks
            .spawn(Arc::clone(self).refresh(key, sender));
        Ok(receiver)
    }

    /// Renders a page every second, until no browser has it open.
    async fn refresh(self: Arc<Self>, key: Key, sender: watch::Sender<Arc<Frame>>) {
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        steps.tick().await;
        while self.drain.run_until_cancelled(steps.tick()).await.is_some() {
            if sender.is_closed() {
                let mut open = self.open();
                // A browser may have subscribed meanwhile.
                if sender.is_closed() {
                    open.remove(&key);
                    return;
                }
            }
            match self.render(&key).await {
                Ok(page) => {
                    let next = sender.borrow().next(page);
                    sender.send_replace(Arc::new(next));
                }
                Err(error) => tracing::debug!("cannot render {}: {}", key.0, error.message()),
            }
        }
        self.open().remove(&key);
    }

    async fn render(&self, (page, role): &Key) -> Result<LivePage, Error> {
        let caller = Caller {
            name: String::new(),
            role: *role,
            token: String::new(),
            from: Origin::default(),
        };
        let request = Request::get(page).extension(caller).body(Body::empty());
        let request = request.map_err(|_| Error::invalid("this is not the URL of a page"))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (status, body) = (response.status(), response.into_body());
        if status != StatusCode::OK {
            return Err(Error::not_found("there is no such page to keep up to date"));
        }
        let body = body.collect().await.map_err(Error::internal)?.to_bytes();
        let text = std::str::from_utf8(&body).map_err(Error::internal)?;
        Ok(LivePage::read(text))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<Key, watch::Sender<Arc<Frame>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page that a stream keeps up to date.
#[derive(Deserialize)]
pub(super) struct LiveQuery {
    page: String,
}

/// `GET /live?page=`
pub(super) async fn stream(
    State(pages): State<Arc<LivePages>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<LiveQuery>,
) -> Result<Response, PageError> {
    let frames = pages.subscribe(query.page, &caller).await?;
    let streams: usize = pages
        .open()
        .values()
        .map(watch::Sender::receiver_count)
        .sum();
    if streams > MAX_STREAMS {
        return Err(Error::unavailable("too many pages are open").into());
    }
    let messages = stream::unfold((frames, None), move |(mut frames, sent)| {
        let (pages, token) = (Arc::clone(&pages), caller.token.clone());
        async move {
            if sent.is_some() {
                pages
                    .drain
                    .run_until_cancelled(frames.changed())
                    .await?
                    .ok()?;
            }
            // A session that was revoked or has expired sees nothing more.
            if !pages.console.access.is_valid(&token) {
                return None;
            }
            let frame = Arc::clone(&frames.borrow_and_update());
            let event = Event::default().data(frame.message_after(sent));
            Some((Ok::<_, Infallible>(event), (frames, Some(frame.number))))
        }
    });
    Ok(Sse::new(messages).into_response())
}

/// One rendering of a page, and what changed since the one before.
struct Frame {
    number: u64,
    page: LivePage,
    changes: String,
}

impl Frame {
    fn first(page: LivePage) -> Self {
        Self {
            number: 0,
            changes: String::new(),
            page,
        }
    }

    fn next(&self, page: LivePage) -> Self {
        Self {
            number: self.number + 1,
            changes: page.changes_since(Some(&self.page)),
            page,
        }
    }

    /// What a browser needs that has received the frame `sent`.
    fn message_after(&self, sent: Option<u64>) -> String {
        if sent.is_some_and(|sent| sent + 1 == self.number) {
            self.changes.clone()
        } else {
            self.page.changes_since(None)
        }
    }
}

/// What may change on a page.
#[derive(Debug, Default, PartialEq)]
struct LivePage {
    title: String,
    /// Leaves outside of parts.
    leaves: Vec<Leaf>,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
struct Leaf {
    id: String,
    content: String,
}

#[derive(Debug, PartialEq)]
struct Part {
    id: String,
    /// The whole element.
    whole: String,
    /// The element without the content of its leaves.
    frame: String,
    leaves: Vec<Leaf>,
}

const LEAF: &str = " data-live>";
const PART: &str = " data-part>";
const PART_END: &str = "<!--/part-->";

impl LivePage {
    fn read(html: &str) -> Self {
        let mut page = Self {
            title: between(html, "<title>", "</title>")
                .unwrap_or_default()
                .to_owned(),
            ..Self::default()
        };
        let mut rest = html;
        while let Some(at) = rest.find(PART) {
            let open = rest[..at].rfind('<').unwrap_or(at);
            read_leaves(&rest[..open], &mut page.leaves);
            let tag = &rest[open..at];
            let name = tag[1..].split_ascii_whitespace().next().unwrap_or_default();
            let end_tag = format!("</{name}>");
            let end = rest[at..].find(PART_END).and_then(|end| {
                let after = at + end;
                Some(after + rest[after..].find(&end_tag)? + end_tag.len())
            });
            let Some(end) = end else { break };
            let whole = &rest[open..end];
            let mut leaves = Vec::new();
            let frame = read_leaves(whole, &mut leaves);
            page.parts.push(Part {
                id: id_of(tag),
                whole: whole.to_owned(),
                frame,
                leaves,
            });
            rest = &rest[end..];
        }
        read_leaves(rest, &mut page.leaves);
        page
    }

    /// The message that turns `earlier` into this page; without it, the message that turns any earlier rendering into this page.
    fn changes_since(&self, earlier: Option<&Self>) -> String {
        let mut message = String::new();
        if earlier.is_none_or(|earlier| earlier.title != self.title) {
            message += &format!("<title>{}</title>", self.title);
        }
        for part in &self.parts {
            let known =
                earlier.and_then(|earlier| earlier.parts.iter().find(|of| of.id == part.id));
            match known.filter(|known| known.frame == part.frame) {
                Some(known) => put_leaves(&part.leaves, Some(&known.leaves), &mut message),
                None => put(&part.id, "outerMorph", &part.whole, &mut message),
            }
        }
        let earlier = earlier.map(|earlier| &*earlier.leaves);
        put_leaves(&self.leaves, earlier, &mut message);
        message
    }
}

/// Adds the leaves of a fragment to `leaves`, and returns the fragment without their content.
fn read_leaves(html: &str, leaves: &mut Vec<Leaf>) -> String {
    let mut frame = String::new();
    let mut rest = html;
    while let Some(at) = rest.find(LEAF) {
        let open = rest[..at].rfind('<').unwrap_or(at);
        let tag = &rest[open..at];
        let name = tag[1..].split_ascii_whitespace().next().unwrap_or_default();
        let start = at + LEAF.len();
        let Some(length) = rest[start..].find(&format!("</{name}>")) else {
            break;
        };
        leaves.push(Leaf {
            id: id_of(tag),
            content: rest[start..start + length].to_owned(),
        });
        frame.push_str(&rest[..start]);
        rest = &rest[start + length..];
    }
    frame.push_str(rest);
    frame
}

fn put_leaves(leaves: &[Leaf], earlier: Option<&[Leaf]>, message: &mut String) {
    for (number, leaf) in leaves.iter().enumerate() {
        let is_same = earlier.is_some_and(|earlier| {
            // Mostly it is at the same place.
            earlier.get(number) == Some(leaf) || earlier.contains(leaf)
        });
        if !is_same {
            put(&leaf.id, "innerHTML", &leaf.content, message);
        }
    }
}

fn put(id: &str, swap: &str, content: &str, message: &mut String) {
    *message +=
        &format!(r##"<hx-partial hx-target="#{id}" hx-swap="{swap}">{content}</hx-partial>"##);
}

fn id_of(tag: &str) -> String {
    between(tag, " id=\"", "\"").unwrap_or_default().to_owned()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    let length = text[from..].find(end)?;
    Some(&text[from..from + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<title>Queue</title><p id="a" data-live>1</p><div class="x" id="p" data-part>
        <p>rows</p><table><tr><td id="b" data-live>2<b>!</b></td></tr></table><div></div><!--/part--></div><form><input></form>"#;

    #[test]
    fn only_what_changed_is_sent() {
        let page = LivePage::read(PAGE);
        assert_eq!(page.changes_since(Some(&page)), "");
        let later = LivePage::read(&PAGE.replace("2<b>", "3<b>").replace(">1<", ">4<"));
        assert_eq!(
            later.changes_since(Some(&page)),
            r##"<hx-partial hx-target="#b" hx-swap="innerHTML">3<b>!</b></hx-partial><hx-partial hx-target="#a" hx-swap="innerHTML">4</hx-partial>"##
        );
        let titled = LivePage::read(&PAGE.replace("Queue", "WARNING: Queue"));
        assert_eq!(
            titled.changes_since(Some(&page)),
            "<title>WARNING: Queue</title>"
        );
    }

    #[test]
    fn a_part_is_replaced_when_its_structure_changes_and_a_form_never_is() {
        let page = LivePage::read(PAGE);
        let later = LivePage::read(&PAGE.replace("rows", "more rows"));
        let message = later.changes_since(Some(&page));
        assert!(message.starts_with(r##"<hx-partial hx-target="#p" hx-swap="outerMorph"><div class="x" id="p" data-part>"##), "{message}");
        assert!(message.ends_with("</div></hx-partial>"), "{message}");
        let typed = LivePage::read(&PAGE.replace("<input>", "<input value=1>"));
        assert_eq!(typed.changes_since(Some(&page)), "");
        let all = page.changes_since(None);
        assert!(
            all.contains("#p") && all.contains("#a") && !all.contains("<input"),
            "{all}"
        );
    }
}
