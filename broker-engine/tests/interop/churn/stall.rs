//! Rounds that do not end, and whose fault that is.
//!
//! Whatever stands still counts as the broker's fault, with one exception that is proved: the kernel holds for one of
//! the client's sockets what the broker sent, for seconds, while the client's threads sleep. The client's library has
//! lost a wake-up then (lapin 4.12 does, once in thousands of connections on a busy machine): the broker closes that
//! connection, and the round counts as deaf.
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

use super::sockets::{is_any_running, threads, to_port};
use super::{Actor, Doing};
use crate::api::{ADMINISTRATOR, Api};
use crate::support::PATIENCE;

/// How often a round is found where it was, while others get on, before it hangs.
const STILL_MAX: u32 = 3;

/// How often nobody is found to get on, on a machine that has no time for these tests.
const STARVED_MAX: u32 = 15;

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
        if all == 0 {
            starved += 1;
        } else {
            still += 1;
        }
        println!("{}", outside(actor, still, all));
        let deaf = unread(actor).await;
        if deaf.is_empty() && still < STILL_MAX && starved < STARVED_MAX {
            continue;
        }
        let (told, names) = asked(actor).await;
        println!("{told}");
        let is_deaf = |(port, _): &&(u16, String)| deaf.contains(port);
        if let Some((port, name)) = names.iter().find(is_deaf) {
            println!("the client does not read from port {port}: {name} is closed");
            return cut(actor, name, round).await;
        }
        if still < STILL_MAX && starved < STARVED_MAX {
            continue;
        }
        let goes_on = timeout(AWAKENING, &mut round).await.is_ok() || steps(actor) > before.0;
        let why = if goes_on {
            "went on only when the broker was asked about its connections"
        } else {
            "hangs"
        };
        return End::Hangs(why);
    }
}

fn steps(actor: &Actor) -> u64 {
    actor.steps.load(Ordering::Relaxed)
}

/// What the kernel says, without asking the broker.
fn outside(actor: &Actor, still: u32, others: u64) -> String {
    let (clients, servers) = to_port(actor.place.amqp.port());
    let mut text = format!(
        "{} stands at {} for the {still}th time; all others made {others} steps\n",
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

/// What the broker says, and the ports and names of the actor's connections.
async fn asked(actor: &Actor) -> (String, Vec<(u16, String)>) {
    let api = Api::at(actor.place.management);
    let mut text = String::new();
    let mut names = Vec::new();
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
            if one.get("user_provided_name").and_then(Value::as_str) == Some(actor.name)
                && let (Some(port), Some(name)) = (port, one["name"].as_str())
            {
                names.push((port, name.to_owned()));
            }
        }
    }
    (text, names)
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
