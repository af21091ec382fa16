use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn generate() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (
            params.signed_by(&key, &self.0).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

async fn serve(authority: &Authority, clients: Clients) -> SocketAddr {
    let (chain, key) = authority.issue("localhost");
    let certificates = Arc::new(Certificates::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
    let tls = Tls {
        certificates,
        clients,
    };
    let listener = Listener::tls("127.0.0.1:0".parse().unwrap(), &tls)
        .await
        .unwrap();
    let address = listener.address();
    let router = Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<Peer>| async move {
            format!("certificate={}", peer.certificate.is_some())
        }),
    );
    let service = router.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn fetch(
    address: SocketAddr,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_delays_nobody() {
    let authority = Authority::generate();
    let address = serve(&authority, Clients::Anonymous).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = fetch(address, &authority, None).await.unwrap();
    assert!(answer.ends_with("certificate=false"), "{answer}");
}

#[tokio::test]
async fn an_optional_client_certificate_reaches_the_handler() {
    let authority = Authority::generate();
    let clients = Clients::Optional {
        ca_pem: authority.0.pem(),
    };
    let address = serve(&authority, clients).await;
    let with = fetch(address, &authority, Some(authority.issue("client")))
        .await
        .unwrap();
    assert!(with.ends_with("certificate=true"), "{with}");
    let without = fetch(address, &authority, None).await.unwrap();
    assert!(without.ends_with("certificate=false"), "{without}");
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_turned_away() {
    let authority = Authority::generate();
    let clients = Clients::Optional {
        ca_pem: authority.0.pem(),
    };
    let address = serve(&authority, clients).await;
    let stranger = Authority::generate().issue("client");
    assert!(fetch(address, &authority, Some(stranger)).await.is_err());
}

#[tokio::test]
async fn a_required_client_certificate_is_required() {
    let authority = Authority::generate();
    let clients = Clients::Required {
        ca_pem: authority.0.pem(),
    };
    let address = serve(&authority, clients).await;
    assert!(fetch(address, &authority, None).await.is_err());
    let with = fetch(address, &authority, Some(authority.issue("client")))
        .await
        .unwrap();
    assert!(with.ends_with("certificate=true"), "{with}");
}

#[tokio::test]
async fn a_taken_port_is_named_in_the_error() {
    let holder = Listener::plain("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let error = Listener::plain(holder.address()).await.unwrap_err();
    assert!(
        error.to_string().contains(&holder.address().to_string()),
        "{error}"
    );
}
