//! Servers of artefacts that behave, and all the others.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::super::*;
use super::Publisher;

const ENGINE: &[u8] = b"#!/bin/sh\nexec true\n";

/// What a server does with one connection.
#[derive(Debug, Clone)]
enum Answer {
    /// This body, and a good end.
    Body(&'static [u8]),
    /// A head that promises more bytes than come.
    CutOff,
    /// A status without a body, and perhaps a place to go to.
    Status(&'static str, Option<String>),
    /// Nothing at all.
    Silence,
    /// A head, and half of the body, and then nothing.
    Stall,
    /// A byte now and then, for ever.
    Drip,
}

/// A server that answers each connection as it was told, the last one for ever.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// A connection that will not get any further.
    stuck: Arc<Notify>,
}

impl Server {
    async fn start(answers: Vec<Answer>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            stuck: Arc::default(),
        };
        let (connections, stuck) = (Arc::clone(&server.connections), Arc::clone(&server.stuck));
        tokio::spawn(async move {
            let mut answers = VecDeque::from(answers);
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let next = answers.pop_front().unwrap();
                if answers.is_empty() {
                    answers.push_back(next.clone());
                }
                tokio::spawn(answer(stream, next, Arc::clone(&stuck)));
            }
        });
        server
    }

    /// The artefact as it is there.
    fn offer(&self, engine: &EngineArtefact) -> EngineArtefact {
        EngineArtefact {
            artefact: format!("http://{}/engine", self.address),
            ..engine.clone()
        }
    }
}

/// Whoever is gone cannot be answered, which is no failure of the server's.
async fn answer(mut stream: TcpStream, answer: Answer, stuck: Arc<Notify>) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    match answer {
        Answer::Body(body) => {
            stream.write_all(head(body.len()).as_bytes()).await.ok()?;
            stream.write_all(body).await.ok()?;
        }
        Answer::CutOff => {
            stream.write_all(head(ENGINE.len()).as_bytes()).await.ok()?;
            stream.write_all(&ENGINE[..5]).await.ok()?;
        }
        Answer::Status(status, location) => {
            let location = location.map(|url| format!("location: {url}\r\n"));
            let location = location.unwrap_or_default();
            let head = format!("HTTP/1.1 {status}\r\n{location}content-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
        }
        Answer::Silence => {
            stuck.notify_one();
            std::future::pending::<()>().await;
        }
        Answer::Stall => {
            stream.write_all(head(ENGINE.len()).as_bytes()).await.ok()?;
            stream.write_all(&ENGINE[..5]).await.ok()?;
            stuck.notify_one();
            std::future::pending::<()>().await;
        }
        Answer::Drip => {
            stream.write_all(head(ENGINE.len()).as_bytes()).await.ok()?;
            loop {
                stream.write_all(b"#").await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    stream.shutdown().await.ok()
}

/// As a host in a hurry.
fn hasty(publisher: &Publisher) -> Engines {
    Engines {
        patience: Patience {
            connect: Duration::from_millis(500),
            silence: Duration::from_millis(500),
            bytes_per_s_min: 1 << 20,
        },
        ..publisher.engines()
    }
}

fn left(engines: &Engines) -> usize {
    fs::read_dir(&engines.dir).unwrap().count()
}

#[tokio::test]
async fn a_release_is_fetched_over_http_once() {
    let (publisher, server) = (
        Publisher::new(),
        Server::start(vec![Answer::Body(ENGINE)]).await,
    );
    let (engines, engine) = (
        publisher.engines(),
        server.offer(&publisher.publish(ENGINE)),
    );
    let path = engines.provide(&engine).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), ENGINE);
    assert_eq!(engines.provide(&engine).await.unwrap(), path);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_redirect_is_followed_and_an_endless_one_is_not() {
    let publisher = Publisher::new();
    let there = Server::start(vec![Answer::Body(ENGINE)]).await;
    let to = format!("http://{}/elsewhere", there.address);
    let here = Server::start(vec![Answer::Status("302 Found", Some(to))]).await;
    let (engines, engine) = (publisher.engines(), publisher.publish(ENGINE));
    let round = Server::start(vec![Answer::Status(
        "301 Moved",
        Some("/engine".to_owned()),
    )])
    .await;
    let rejected = engines.provide(&round.offer(&engine)).await.unwrap_err();
    assert!(rejected.to_string().contains("redirect"), "{rejected}");
    engines.provide(&here.offer(&engine)).await.unwrap();
}

#[tokio::test]
async fn what_a_server_may_have_again_is_asked_for_again() {
    for (answer, words) in [
        (Answer::Status("404 Not Found", None), "404 Not Found"),
        (Answer::Status("503 Service Unavailable", None), "503"),
        (Answer::CutOff, "cannot be fetched"),
        (Answer::Silence, "cannot be fetched"),
        (Answer::Stall, "cannot be fetched"),
        (Answer::Drip, "did not arrive within"),
    ] {
        let publisher = Publisher::new();
        let server = Server::start(vec![answer.clone(), Answer::Body(ENGINE)]).await;
        let (engines, engine) = (hasty(&publisher), server.offer(&publisher.publish(ENGINE)));
        let rejected = engines.provide(&engine).await.unwrap_err();
        assert!(!rejected.is_final(), "{answer:?}: {rejected}");
        assert!(
            rejected.to_string().contains(words),
            "{answer:?}: {rejected}"
        );
        assert_eq!(left(&engines), 0, "{answer:?}");
        engines.provide(&engine).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_signed_is_not_asked_for_again() {
    for (body, words) in [
        (&b"#!/bin/sh\nexec evil\n"[..], "was signed"),
        (b"#!/bin/sh\n", "bytes that were signed"),
        (
            b"#!/bin/sh\nexec true\nexec evil\n",
            "bytes that were signed",
        ),
    ] {
        let publisher = Publisher::new();
        let server = Server::start(vec![Answer::Body(body)]).await;
        let (engines, engine) = (
            publisher.engines(),
            server.offer(&publisher.publish(ENGINE)),
        );
        let rejected = engines.provide(&engine).await.unwrap_err();
        assert!(
            rejected.is_final() && rejected.to_string().contains(words),
            "{rejected}"
        );
        assert_eq!(left(&engines), 0);
    }
}

#[tokio::test]
async fn a_server_nobody_reaches_or_knows_is_told_by_its_cause() {
    let publisher = Publisher::new();
    let engine = publisher.publish(ENGINE);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let engines = publisher.engines();
    let plain = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let over_tls = EngineArtefact {
        artefact: format!("https://{}/engine", plain.local_addr().unwrap()),
        ..engine.clone()
    };
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"no TLS here\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let nobody = EngineArtefact {
        artefact: format!("http://{address}/engine"),
        ..engine.clone()
    };
    for (engine, words) in [(over_tls, "InvalidContentType"), (nobody, "refused")] {
        let rejected = engines.provide(&engine).await.unwrap_err();
        assert!(!rejected.is_final());
        assert!(rejected.to_string().contains(words), "{rejected}");
    }
    let other = EngineArtefact {
        artefact: "ftp://127.0.0.1/engine".to_owned(),
        ..engine
    };
    assert!(engines.provide(&other).await.unwrap_err().is_final());
}

#[tokio::test]
async fn a_download_that_hangs_keeps_no_other_node_from_starting() {
    let publisher = Publisher::new();
    let server = Server::start(vec![Answer::Stall]).await;
    let kept = publisher.publish(b"kept");
    let engines = Arc::new(publisher.engines());
    let path = engines.provide(&kept).await.unwrap();
    let hanging = server.offer(&publisher.publish(ENGINE));
    let download = tokio::spawn({
        let engines = Arc::clone(&engines);
        async move { engines.provide(&hanging).await }
    });
    server.stuck.notified().await;
    let provided = tokio::time::timeout(Duration::from_secs(10), engines.provide(&kept)).await;
    assert_eq!(provided.unwrap().unwrap(), path);
    download.abort();
}

#[tokio::test]
async fn an_agent_that_dies_in_a_download_leaves_nothing_in_the_way_of_the_next() {
    let publisher = Publisher::new();
    let server = Server::start(vec![Answer::Stall, Answer::Body(ENGINE)]).await;
    let engine = server.offer(&publisher.publish(ENGINE));
    let first = Arc::new(publisher.engines());
    let download = tokio::spawn({
        let (first, engine) = (Arc::clone(&first), engine.clone());
        async move { first.provide(&engine).await.map(drop) }
    });
    server.stuck.notified().await;
    // As by a kill: nothing of the agent runs any more, and what it wrote is there.
    download.abort();
    assert!(download.await.unwrap_err().is_cancelled());
    assert_eq!(left(&first), 1);
    let next = publisher.engines();
    let path = next.provide(&engine).await.unwrap();
    assert_eq!(fs::read(path).unwrap(), ENGINE);
    assert_eq!(
        left(&next),
        1,
        "what was left of the first download is gone"
    );
}
