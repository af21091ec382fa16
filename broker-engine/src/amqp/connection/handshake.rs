//! From the protocol header to `connection.open-ok`: who the client is and what both agree on.

use super::super::error::Error;
use super::super::refusal::Refusal;
use super::super::reply_code::ReplyCode;
use super::super::server::{CHANNEL_ZERO, FRAME_MAX, FRAME_MAX_OPENING};
use super::peer::Certified;
use super::session::{Client, Session, Stage};
use crate::broker::{DEFAULT_VHOST, Identity};
use crate::codec::amqp::{
    ConnectionOpen, ConnectionOpenOk, ConnectionStart, ConnectionStartOk, ConnectionTune,
    ConnectionTuneOk, FieldTable, FieldValue, HeaderParse, Method, PROTOCOL_HEADER, encode_table,
    parse_protocol_header,
};

const MECHANISMS: &[u8] = b"PLAIN AMQPLAIN";

/// What a client may choose from that showed a certificate.
const MECHANISMS_CERTIFIED: &[u8] = b"PLAIN AMQPLAIN EXTERNAL";

const LOCALES: &[u8] = b"en_US";

/// The well-known login, which RabbitMQ keeps from other machines whatever its password is.
const LOOPBACK_ONLY_USER: &str = "guest";

impl Session {
    /// Consumes the protocol header; any other one is answered with ours, and the end.
    pub(super) fn on_header(&mut self, bytes: &[u8]) -> usize {
        match parse_protocol_header(bytes) {
            HeaderParse::Incomplete => 0,
            HeaderParse::Refused => {
                self.outbox()
                    .append(|buffer| buffer.extend_from_slice(&PROTOCOL_HEADER));
                self.finish();
                bytes.len()
            }
            HeaderParse::Accepted => {
                self.outbox().set_frame_max(FRAME_MAX_OPENING);
                let start = ConnectionStart {
                    version_major: 0,
                    version_minor: 9,
                    server_properties: self.server.properties().clone(),
                    mechanisms: self.mechanisms(),
                    locales: LOCALES,
                };
                self.outbox().send(CHANNEL_ZERO, &start);
                self.stage = Stage::Start;
                PROTOCOL_HEADER.len()
            }
        }
    }

    /// The methods of the handshake, each of them only when it is due.
    pub(super) fn on_opening_method(&mut self, method: &Method<'_>) -> Result<(), Error> {
        match (self.stage, method) {
            (Stage::Start, Method::ConnectionStartOk(start)) => self.on_start_ok(start),
            (Stage::Tune, Method::ConnectionTuneOk(tune)) => self.on_tune_ok(tune),
            (Stage::Open, Method::ConnectionOpen(open)) => self.on_open(open),
            _ => Err(self.server.refuse(&Refusal::OutOfPlace("opening"))),
        }
    }

    fn on_start_ok(&mut self, start: &ConnectionStartOk<'_>) -> Result<(), Error> {
        self.client = Client::new(&start.client_properties, start.mechanism);
        let identity = self.identify(start.mechanism, start.response)?;
        let Some(identity) = identity else {
            tracing::info!(peer = %self.peer, "login refused");
            if !self.client.handles_refusal {
                // Without the capability a client takes the closed socket as the refusal.
                self.finish();
                return Ok(());
            }
            let mechanism = start.mechanism;
            let error = self.server.refuse(&Refusal::Login { mechanism });
            return Err(if self.server.is_lavinmq() {
                error
            } else {
                error.about_none()
            });
        };
        self.identity = Some(identity);
        let tune = ConnectionTune {
            channel_max: self.server.channels_max(),
            frame_max: FRAME_MAX,
            heartbeat_s: self.server.heartbeat_s(),
        };
        self.outbox().send(CHANNEL_ZERO, &tune);
        self.stage = Stage::Tune;
        Ok(())
    }

    /// EXTERNAL is offered only where it can succeed.
    fn mechanisms(&self) -> &'static [u8] {
        match self.certificate {
            Some(_) => MECHANISMS_CERTIFIED,
            None => MECHANISMS,
        }
    }

    /// The user that a response proves; `None` when it proves nothing. An error when it is no response at all.
    fn identify(&self, mechanism: &str, response: &[u8]) -> Result<Option<Identity>, Error> {
        let is_loopback = self.peer.ip().is_loopback();
        let is_welcome = |name: &str| is_loopback || name != LOOPBACK_ONLY_USER;
        let broker = self.server.broker();
        let login = match mechanism {
            "PLAIN" => plain(response, self.server.is_lavinmq())
                .map(|(name, password)| (name.to_owned(), password.to_vec())),
            "AMQPLAIN" => amqplain(response),
            // The certificate was verified in the handshake; what the response says besides is not looked at.
            "EXTERNAL" if self.certificate.is_some() => {
                let Some(Certified::As(name)) = &self.certificate else {
                    tracing::info!(peer = %self.peer, "the certificate names no user");
                    return Ok(None);
                };
                tracing::debug!(peer = %self.peer, name, "user named by the certificate");
                return Ok(broker.identify(name).filter(|_| is_welcome(name)));
            }
            other => {
                return Err(Error::new(
                    ReplyCode::CommandInvalid,
                    format!("unknown authentication mechanism '{other}'"),
                ));
            }
        };
        let Some((name, password)) = login else {
            let text = format!("invalid response to authentication mechanism {mechanism}");
            return Err(Error::new(ReplyCode::SyntaxError, text));
        };
        if !is_welcome(&name) {
            return Ok(None);
        }
        Ok(broker.authenticate(&name, &password, is_loopback))
    }

    fn on_tune_ok(&mut self, tune: &ConnectionTuneOk) -> Result<(), Error> {
        let channels_max = u32::from(self.server.channels_max());
        let frame_size = (self.server.frame_min(), FRAME_MAX);
        let refused = negotiated("frame_max", tune.frame_max, frame_size)
            .and_then(|()| negotiated("channel_max", tune.channel_max.into(), (1, channels_max)));
        refused.map_err(|refusal| self.server.refuse(&refusal))?;
        self.outbox().set_frame_max(tune.frame_max);
        self.channel_max = tune.channel_max;
        self.heartbeat_s = tune.heartbeat_s;
        self.stage = Stage::Open;
        Ok(())
    }

    fn on_open(&mut self, open: &ConnectionOpen<'_>) -> Result<(), Error> {
        let vhost = match open.virtual_host {
            "" if self.server.is_lavinmq() => DEFAULT_VHOST,
            vhost => vhost,
        };
        self.enter(vhost)?;
        self.stage = Stage::Running;
        self.outbox()
            .send(CHANNEL_ZERO, &ConnectionOpenOk { reserved_1: "" });
        tracing::debug!(peer = %self.peer, vhost = open.virtual_host, "connection open");
        Ok(())
    }
}

/// The rule of both brokers: 0 asks for no limit, which is more than any limit.
fn negotiated(
    limit: &'static str,
    chosen: u32,
    (min, max): (u32, u32),
) -> Result<(), Refusal<'static>> {
    if (min..=max).contains(&chosen) {
        return Ok(());
    }
    Err(Refusal::Negotiated {
        limit,
        chosen,
        min,
        max,
    })
}

/// Name and password of a PLAIN response (RFC 4616). Nobody can act for somebody else: where an authorisation identity
/// may be named at all, it is not used.
fn plain(response: &[u8], may_authorise: bool) -> Option<(&str, &[u8])> {
    let mut parts = response.splitn(3, |byte| *byte == 0);
    let (authorisation, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    if !authorisation.is_empty() && !may_authorise {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, password))
}

/// Name and password of an AMQPLAIN response: a table without its length.
fn amqplain(response: &[u8]) -> Option<(String, Vec<u8>)> {
    let table = FieldTable::decode(response).ok()?;
    match (table.get("LOGIN")?, table.get("PASSWORD")?) {
        (name, FieldValue::LongString(password)) => {
            Some((name.as_str()?.to_owned(), password.clone()))
        }
        _ => None,
    }
}

impl Client {
    fn new(properties: &FieldTable, mechanism: &str) -> Self {
        let can = |capability: &str| match properties.get("capabilities") {
            Some(FieldValue::Table(capabilities)) => {
                capabilities.get(capability).and_then(FieldValue::as_bool) == Some(true)
            }
            _ => false,
        };
        Self {
            handles_refusal: can("authentication_failure_close"),
            handles_blocked: can("connection.blocked"),
            handles_cancel: can("consumer_cancel_notify"),
            properties: encode_table(properties).into(),
            mechanism: mechanism.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Dialect;

    #[test]
    fn a_plain_response_has_three_parts_and_the_password_may_hold_anything() {
        assert_eq!(
            plain(b"\0guest\0gu\0est", false),
            Some(("guest", b"gu\0est".as_slice()))
        );
        assert_eq!(plain(b"guest", false), None);
        assert_eq!(plain(b"\0\xff\0x", false), None);
        assert_eq!(plain(b"other\0guest\0x", false), None);
        let login = Some(("guest", b"x".as_slice()));
        assert_eq!(plain(b"other\0guest\0x", true), login);
    }

    #[test]
    fn an_amqplain_response_is_a_table_without_its_length() {
        assert_eq!(
            amqplain(b"\x05LOGINS\0\0\0\x01a\x08PASSWORDS\0\0\0\x01b"),
            Some(("a".to_owned(), b"b".to_vec()))
        );
        assert_eq!(amqplain(b"\x05LOGINS\0\0\0\x01a"), None);
        assert_eq!(amqplain(b"\0guest\0guest"), None);
    }

    #[test]
    fn no_limit_is_more_than_any_limit() {
        assert!(negotiated("frame_max", 4096, (4096, 131_072)).is_ok());
        let text = |name, chosen, bounds| {
            let refusal = negotiated(name, chosen, bounds).unwrap_err();
            refusal.said_by(Dialect::RabbitMq4).text
        };
        assert_eq!(
            text("frame_max", 0, (4096, 131_072)),
            "negotiated frame_max = 0 is higher than the maximum allowed value (131072)"
        );
        assert_eq!(
            text("channel_max", 0, (1, 2047)),
            "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"
        );
        assert_eq!(
            text("frame_max", 100, (4096, 131_072)),
            "negotiated frame_max = 100 is lower than the minimum allowed value (4096)"
        );
    }
}
