//! Rounds that do not end, and whose fault that is.
//!
//! Whatever stands still counts as the broker's fault, with two exceptions that are proved:
//!
//! - The kernel holds for one of the client's sockets what the broker sent, for seconds, while the client's threads
//!   sleep. The client's library has lost a wake-up then (lapin 4.12 does, once in thousands of connections on a busy
//!   machine): the broker closes that connection, and the round counts as deaf.
//! - The client waits for its connection to open, and neither the kernel nor the broker has one of its. The broker has
//!   given up a client that was too slow to log in, and lapin does not tell: the round counts as late.
//!
//! The kernel is looked at before the broker is asked, because asking wakes every connection of the broker: a round
//! that goes on then is proof of a wake-up that the broker had lost.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, anyhow};
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};

use super::sockets::{Socket, is_any_running, threads, to_port};
use super::{Actor, Doing};
use crate::api::{ADMINISTRATOR, Api};
use crate::support::PATIENCE;

/// How often a round is found where it was, while others get on, before it hangs.
const STILL_MAX: u32 = 3;

/// Steps that all others make together in [`PATIENCE`] where they do get on; where there is a processor it is thousands.
const OTHERS_STEPS_MIN: u64 = 200;

/// How often nobody is found to get on, on a machine that has no time for these tests.
const STARVED_MAX: u32 = 30;

/// Looks at a socket, and time between them, after which bytes that are unread will stay so.
const LOOKS: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Of these looks, how many must find all of the client's threads asleep.
const LOOKS_ASLEEP_MIN: u32 = 5;

/// What lapin calls the threads that read its sockets.
const READER_THREAD: &str = "lapin-io-loop";

/// Time after which a round goes on because the broker was asked, and not by chance.
const AWAKENING: Duration = Duration::from_secs(1);

/// How a round ended.
pub(super) enum End {
    Done(Result<()>),
    /// It did not; that is how.
    Hangs(&'static str),
    /// Its client does not read what it was sent.
    Deaf,
    /// Its client waits for a connection that the broker has given up and the kernel has not either.
    Gone,
}

/// A connection that the broker has.
struct Open {
    port: u16,
    name: String,
    /// The name that its actor gave it.
    whose: String,
}

/// Waits for the end of a round, and looks after it while it stands still.
pub(super) async fn outlast(actor: &Actor, mut round: Doing) -> End {
    let (mut still, mut starved) = (0, 0);
    loop {
        let before = (steps(actor), actor.all_steps.load(Ordering::Relaxed));
        if let Ok(outcome) = timeout(PATIENCE, &mut round).await {
            return End::Done(outcome);
        }
        let own = steps(actor) - before.0;
        let all = actor.all_steps.load(Ordering::Relaxed) - before.1;
        if own > 0 {
            still = 0;
            continue;
        }
        if all < OTHERS_STEPS_MIN {
            starved += 1;
        } else {
            still += 1;
        }
        println!("{}", outside(actor, still + starved, all));
        let deaf = unread(actor).await;
        let is_connecting = actor.at.lock().0 == "connect";
        let is_patient = still < STILL_MAX && starved < STARVED_MAX;
        if deaf.is_empty() && is_patient && !is_connecting {
            continue;
        }
        let (told, open) = asked(actor).await;
        println!("{told}");
        let own = open.iter().filter(|one| one.whose == actor.name);
        if let Some(one) = own.clone().find(|one| deaf.contains(&one.port)) {
            println!("the client does not read: {} is closed", one.name);
            return cut(actor, &one.name, round).await;
        }
        if is_connecting && own.count() == 0 && is_of(&to_port(actor.place.amqp.port()).0, &open) {
            println!("the client waits for a connection that is gone");
            return End::Gone;
        }
        let outcome = timeout(AWAKENING, &mut round).await;
        let goes_on = outcome.is_ok() || steps(actor) > before.0;
        if goes_on && all >= OTHERS_STEPS_MIN {
            return End::Hangs("went on only when the broker was asked about its connections");
        }
        if let Ok(outcome) = outcome {
            return End::Done(outcome);
        }
        if !goes_on && !is_patient {
            return End::Hangs("hangs");
        }
    }
}

fn steps(actor: &Actor) -> u64 {
    actor.steps.load(Ordering::Relaxed)
}

/// What the kernel says, without asking the broker.
fn outside(actor: &Actor, times: u32, others: u64) -> String {
    let (clients, servers) = to_port(actor.place.amqp.port());
    let mut text = format!(
        "{} stands at {}, seen {times} times; all others made {others} steps\n",
        actor.name,
        actor.at.lock().0
    );
    for (whose, ends) in [("client", clients), ("broker", servers)] {
        for end in ends {
            // Writing to a text does not fail.
            let _ = writeln!(text, "  {whose} {end}");
        }
    }
    for (whose, process) in [
        ("client", std::process::id()),
        ("broker", actor.place.process),
    ] {
        let _ = writeln!(text, "  {whose}'s threads: {:?}", threads(process));
    }
    text
}

/// Ports of clients for which the kernel holds something all the time, although the threads that should read it sleep.
async fn unread(actor: &Actor) -> Vec<u16> {
    let waiting = || {
        let (clients, _) = to_port(actor.place.amqp.port());
        let waiting = clients.into_iter().filter(|end| end.unread > 0);
        waiting.map(|end| end.port).collect::<Vec<_>>()
    };
    let mut ports = waiting();
    let mut asleep = 0;
    for _ in 0..LOOKS {
        if ports.is_empty() {
            return ports;
        }
        // Also the proof that the reactor turns which lapin's sockets are registered with.
        sleep(LOOK_PAUSE).await;
        let now = waiting();
        ports.retain(|port| now.contains(port));
        asleep += u32::from(!is_any_running(READER_THREAD));
    }
    if asleep < LOOKS_ASLEEP_MIN {
        ports.clear();
    }
    ports
}

/// Whether every one of these ends is one of a connection that the broker has.
fn is_of(ends: &[Socket], open: &[Open]) -> bool {
    let is_known = |end: &Socket| open.iter().any(|one| one.port == end.port);
    ends.iter().all(is_known)
}

/// What the broker says, and the connections that it has.
async fn asked(actor: &Actor) -> (String, Vec<Open>) {
    let api = Api::at(actor.place.management);
    let mut text = String::new();
    let mut open = Vec::new();
    for (path, members) in [
        (
            "/connections",
            "name user_provided_name state vhost channels recv_oct send_oct",
        ),
        (
            "/channels",
            "name consumer_count messages_unacknowledged messages_unconfirmed prefetch_count",
        ),
        (
            "/queues",
            "vhost name messages_ready messages_unacknowledged consumers",
        ),
    ] {
        let answer = timeout(PATIENCE, api.get(path)).await;
        let Ok(Value::Array(listed)) = answer else {
            let _ = writeln!(text, "  {path} is not answered");
            continue;
        };
        for one in listed {
            let shown = members.split(' ');
            let shown = shown.filter_map(|name| Some((name.to_owned(), one.get(name)?.clone())));
            let _ = writeln!(
                text,
                "  {path}: {}",
                Value::Object(shown.collect::<Map<_, _>>())
            );
            let port = one.get("peer_port").and_then(Value::as_u64);
            let port = port.and_then(|port| u16::try_from(port).ok());
            let text_of = |name: &str| Some(one.get(name)?.as_str()?.to_owned());
            if let (Some(port), Some(name)) = (port, text_of("name")) {
                let whose = text_of("user_provided_name").unwrap_or_default();
                open.push(Open { port, name, whose });
            }
        }
    }
    (text, open)
}

/// Has the broker close the connection, which the client must notice.
async fn cut(actor: &Actor, name: &str, mut round: Doing) -> End {
    let api = Api::at(actor.place.management);
    let path = format!("/connections/{name}");
    let (status, body) = api.ask(Method::DELETE, &path, ADMINISTRATOR, None).await;
    if status.as_u16() != 204 {
        return End::Done(Err(anyhow!("{path}: {status} {body}")));
    }
    match timeout(PATIENCE, &mut round).await {
        Ok(_) => End::Deaf,
        Err(_) => End::Hangs("hangs although its connection is gone"),
    }
}
