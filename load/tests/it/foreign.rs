//! A small server that speaks the API and is not ours: it keeps its rides in memory, and does to them what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use skilift_core::ride::Ride;
use skilift_load::target::Target;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A skier day: resort, day, skier.
pub(crate) type Key = (u64, u64, u64);
/// The rides of skier days, each a minute and a lift, as often as they are stored.
pub(crate) type Ledger = BTreeMap<Key, Vec<(u64, u64)>>;
type Edit = Box<dyn FnOnce(&mut Ledger) + Send>;

/// What the server does.
pub(crate) struct Behaviour {
    /// Whether there is a list of each skier day's rides.
    pub(crate) lists: bool,
    /// Metres that a lift rises.
    pub(crate) metres: fn(u64) -> u64,
    /// Metres that a skier's verticals tell too much.
    pub(crate) too_much: fn(u64) -> u64,
    /// What is answered to the `n`th post of a ride, from 0, and whether the ride is stored: none for 201 and yes.
    pub(crate) post: fn(u64) -> Option<(u16, bool)>,
    /// Seconds of `Retry-After` beside a 503.
    pub(crate) retry_after: Option<u64>,
    /// How long the `n`th post takes.
    pub(crate) post_takes: fn(u64) -> Duration,
    /// Skiers whose days cannot be asked for.
    pub(crate) unreadable: fn(u64) -> bool,
    /// Rides that `GET /statistics` tells of; none when there is no such page.
    pub(crate) backlog: Option<u64>,
    /// How long after its post a ride can be seen.
    pub(crate) delay: Duration,
    /// Questions that are answered, before there is silence.
    pub(crate) answers: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            lists: true,
            metres: |lift| lift * 10,
            too_much: |_| 0,
            post: |_| None,
            retry_after: None,
            post_takes: |_| Duration::ZERO,
            unreadable: |_| false,
            backlog: None,
            delay: Duration::ZERO,
            answers: u64::MAX,
        }
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct Foreign {
    pub(crate) target: Target,
    shared: Arc<Shared>,
    serving: JoinSet<()>,
}

struct Shared {
    behaviour: Behaviour,
    state: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    ledger: Ledger,
    posts: u64,
    reads: u64,
    /// Is done to the ledger before the first question behind so many posts.
    edit: Option<(u64, Edit)>,
}

impl Foreign {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour,
            state: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            target: format!("http://{address}/prefix").parse().unwrap(),
            shared,
            serving,
        }
    }

    /// Changes the ledger before the first question behind so many posts.
    pub(crate) fn edit_after(&self, posts: u64, edit: impl FnOnce(&mut Ledger) + Send + 'static) {
        self.lock().edit = Some((posts, Box::new(edit)));
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.lock().ledger.clone()
    }

    /// Stores a ride that nobody posted.
    pub(crate) fn store(&self, key: Key, ride: (u64, u64)) {
        self.lock().ledger.entry(key).or_default().push(ride);
    }

    pub(crate) fn posts(&self) -> u64 {
        self.lock().posts
    }

    pub(crate) fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Ends the listener and every connection.
    pub(crate) async fn kill(&mut self) {
        self.serving.shutdown().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.state.lock().unwrap()
    }
}

/// The key of a ride.
pub(crate) fn key(ride: &Ride) -> Key {
    let (resort, day) = (ride.resort.get().into(), ride.day.get().into());
    (resort, day, ride.skier.get().into())
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap_or_default();
    let path = head.uri.path().to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/prefix/").split('/').collect();
    if head.method == Method::POST {
        return post(&shared, &parts, &body).await;
    }
    let is_mute = shared.state.lock().unwrap().reads >= shared.behaviour.answers;
    if is_mute {
        return std::future::pending().await;
    }
    let mut state = shared.state.lock().unwrap();
    let posts = state.posts;
    if let Some((_, edit)) = state.edit.take_if(|(after, _)| *after <= posts) {
        edit(&mut state.ledger);
    }
    state.reads += 1;
    let behaviour = &shared.behaviour;
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    let (status, body) = match parts[..] {
        ["statistics"] => match behaviour.backlog {
            Some(rides) => (200, json!({ "backlogRides": rides })),
            None => (404, Value::Null),
        },
        [
            "skiers",
            resort,
            "seasons",
            _,
            "days",
            day,
            "skiers",
            skier,
            ref list @ ..,
        ] => {
            let key = (number(resort), number(day), number(skier));
            match (list, state.ledger.get(&key)) {
                _ if (behaviour.unreadable)(key.2) => (500, Value::Null),
                (["rides"], _) if !behaviour.lists => (404, Value::Null),
                (_, None) => (404, Value::Null),
                ([], Some(rides)) => {
                    let metres = rides.iter().map(|(_, lift)| (behaviour.metres)(*lift));
                    (
                        200,
                        (metres.sum::<u64>() + (behaviour.too_much)(key.2)).into(),
                    )
                }
                (["rides"], Some(rides)) => {
                    let ride = |(time, lift): &(u64, u64)| json!({"time": time, "liftID": lift});
                    (
                        200,
                        json!({ "rides": rides.iter().map(ride).collect::<Vec<_>>() }),
                    )
                }
                _ => (404, Value::Null),
            }
        }
        ["skiers", _, "vertical"] => (
            200,
            json!({"resorts": [{"seasonID": "2025", "totalVert": 1}]}),
        ),
        ["resorts", ..] => (200, json!({"time": "x", "numSkiers": 1})),
        _ => (404, Value::Null),
    };
    respond(status, body.to_string(), None)
}

async fn post(shared: &Arc<Shared>, parts: &[&str], body: &[u8]) -> Response<Body> {
    // A ride to its skier's day, or several.
    let rides: Vec<(Key, (u64, u64))> = match parts {
        ["skiers", resort, "seasons", _, "days", day, "skiers", skier] => {
            let ride: Value = serde_json::from_slice(body).unwrap();
            let key = [resort, day, skier].map(|text| text.parse().unwrap());
            vec![(key.into(), boarded(&ride))]
        }
        ["rides"] => serde_json::Deserializer::from_slice(body)
            .into_iter::<Ride>()
            .map(|ride| ride.unwrap())
            .map(|ride| (key(&ride), boarded(&json!(ride))))
            .collect(),
        _ => return respond(404, String::new(), None),
    };
    let behaviour = &shared.behaviour;
    let number = {
        let mut state = shared.state.lock().unwrap();
        state.posts += 1;
        state.posts - 1
    };
    let (status, stores) = (behaviour.post)(number).unwrap_or((201, true));
    if stores {
        let (shared, delay) = (Arc::clone(shared), behaviour.delay);
        let store = move || {
            let mut state = shared.state.lock().unwrap();
            for (key, ride) in rides {
                let stored = state.ledger.entry(key).or_default();
                if !stored.contains(&ride) {
                    stored.push(ride);
                }
            }
        };
        if delay.is_zero() {
            store();
        } else {
            let mut later = JoinSet::new();
            later.spawn(async move {
                tokio::time::sleep(delay).await;
                store();
            });
            later.detach_all();
        }
    }
    tokio::time::sleep((behaviour.post_takes)(number)).await;
    respond(status, format!("answer {status}"), behaviour.retry_after)
}

/// Minute and lift.
fn boarded(ride: &Value) -> (u64, u64) {
    let number = |name: &str| ride[name].as_u64().unwrap();
    (number("time"), number("liftID"))
}

fn respond(status: u16, body: String, retry_after: Option<u64>) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after.filter(|_| status == 503) {
        response = response.header("retry-after", seconds);
    }
    response.body(body.into()).unwrap()
}
