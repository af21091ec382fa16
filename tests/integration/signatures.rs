//! Who is let in: Signature Version 4 as header and as presigned query, and each way it can be
//! wrong. No failure may be a `ForbiddenException`: Terraform takes that for "not found".

use chrono::TimeDelta;
use serde_json::json;

use crate::server::{Server, broker};
use crate::signer::{Key, Signing};

#[tokio::test]
async fn each_wrong_signature_has_its_own_error() {
    let server = Server::start().await;
    let host = server.host();
    let good = Signing {
        key: &server.key,
        method: "GET",
        host: &host,
        path: "/v1/brokers",
        query: "",
        body: b"",
        at: server.now(),
        region: "us-east-1",
        service: "mq",
    };
    let unknown = Key {
        id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret: server.key.secret.clone(),
        token: None,
    };
    let forged = Key {
        id: server.key.id.clone(),
        secret: "forged".into(),
        token: None,
    };
    let late = TimeDelta::minutes(16);
    let cases = [
        (
            "an unknown key",
            Signing {
                key: &unknown,
                ..good.clone()
            },
            "UnrecognizedClientException",
        ),
        (
            "a wrong secret",
            Signing {
                key: &forged,
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another method",
            Signing {
                method: "DELETE",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another path",
            Signing {
                path: "/v1/other",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another query",
            Signing {
                query: "maxResults=1",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another body",
            Signing {
                body: b"{}",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another host",
            Signing {
                host: "example.com",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another region",
            Signing {
                region: "eu-west-1",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "another service",
            Signing {
                service: "s3",
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "the past",
            Signing {
                at: server.now() - late,
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
        (
            "the future",
            Signing {
                at: server.now() + late,
                ..good.clone()
            },
            "InvalidSignatureException",
        ),
    ];
    for (what, signing, code) in cases {
        let answer = server
            .raw("GET", "/v1/brokers", "", &signing.headers(), b"")
            .await;
        crate::shapes::check("ListBrokers", &answer);
        assert_eq!(answer.error_type(), code, "{what}: {}", answer.text);
        assert_eq!(answer.status, 403, "{what}");
    }
    server
        .raw("GET", "/v1/brokers", "", &good.headers(), b"")
        .await
        .ok();
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let server = Server::start().await;
    for minutes in [-14, 14] {
        let host = server.host();
        let signing = Signing {
            key: &server.key,
            method: "GET",
            host: &host,
            path: "/v1/brokers",
            query: "",
            body: b"",
            at: server.now() + TimeDelta::minutes(minutes),
            region: "us-east-1",
            service: "mq",
        };
        server
            .raw("GET", "/v1/brokers", "", &signing.headers(), b"")
            .await
            .ok();
    }
}

#[tokio::test]
async fn without_a_signature_nobody_is_let_in() {
    let server = Server::start().await;
    let answer = server.unsigned("GET", "/v1/brokers").await;
    answer.is_error(403, "MissingAuthenticationTokenException");
    for header in [
        "AWS4-HMAC-SHA256 Credential=x",
        "AWS4-HMAC-SHA256 Signature=",
        "AWS4-HMAC-SHA256 ",
    ] {
        let headers = [("authorization", header.to_owned())];
        let answer = server.raw("GET", "/v1/brokers", "", &headers, b"").await;
        answer.is_error(400, "IncompleteSignatureException");
    }
}

#[tokio::test]
async fn a_tampered_body_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let host = server.host();
    let (sent, signed) = (broker("sent").to_string(), broker("signed").to_string());
    let signing = Signing {
        key: &server.key,
        method: "POST",
        host: &host,
        path: "/v1/brokers",
        query: "",
        body: signed.as_bytes(),
        at: server.now(),
        region: "us-east-1",
        service: "mq",
    };
    let answer = server
        .raw(
            "POST",
            "/v1/brokers",
            "",
            &signing.headers(),
            sent.as_bytes(),
        )
        .await;
    answer.is_error(403, "InvalidSignatureException");
    assert_eq!(server.count("brokers").await, 0);
}

#[tokio::test]
async fn a_presigned_request_holds_until_it_expires() {
    let server = Server::start().await;
    let host = server.host();
    let signing = Signing {
        key: &server.key,
        method: "GET",
        host: &host,
        path: "/v1/brokers",
        query: "maxResults=7",
        body: b"",
        at: server.now() - TimeDelta::minutes(5),
        region: "us-east-1",
        service: "mq",
    };
    let answer = server
        .raw("GET", "/v1/brokers", &signing.presigned(600), &[], b"")
        .await;
    assert_eq!(answer.ok(), json!({"brokerSummaries": []}));

    let expired = server
        .raw("GET", "/v1/brokers", &signing.presigned(60), &[], b"")
        .await;
    assert_eq!(expired.status, 403);
    assert!(["InvalidSignatureException", "ExpiredTokenException"].contains(&expired.error_type()));

    let tampered = signing
        .presigned(600)
        .replace("maxResults=7", "maxResults=8");
    let tampered = server.raw("GET", "/v1/brokers", &tampered, &[], b"").await;
    tampered.is_error(403, "InvalidSignatureException");
}

/// Clients send a head and a body apart, and read only then: a connection that is closed between the two loses the answer.
#[tokio::test]
async fn whoever_is_refused_may_send_to_the_end_and_ask_again() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.host())
        .await
        .expect("the API listens");
    let mut answer = [0; 4096];
    for _ in 0..3 {
        let head = "POST /v1/brokers HTTP/1.1\r\nhost: a\r\ncontent-length: 40000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("it reads");
        for _ in 0..40 {
            // Each piece is a segment of its own.
            stream.write_all(&[b' '; 1000]).await.expect("it reads on");
            tokio::task::yield_now().await;
        }
        let read = stream.read(&mut answer).await.expect("it answers");
        let text = String::from_utf8_lossy(&answer[..read]);
        assert!(text.starts_with("HTTP/1.1 403"), "{text}");
        assert!(
            text.contains("MissingAuthenticationTokenException"),
            "{text}"
        );
    }
}
