//! Whole connections: bytes in any pieces, on two of them, with time passing and the log being written in between.
//!
//! The input is a list of pieces: an octet that says what happens, an octet for the length, and so many bytes.

use crate::{
    amqp::DryConnection,
    codec::amqp::{FrameKind, FrameParse, Method, PROTOCOL_HEADER, parse_frame},
};

use super::node::{Node, peer};

/// The piece is for the other connection.
const OTHER: u8 = 1;
/// What follows the piece, in two bits.
const AFTER: u8 = 0b110;
const WRITE: u8 = 0b010;
const PASS: u8 = 0b100;
const CLOSE: u8 = 0b110;

/// More than a connection may leave unread: the largest frame, and what came after it.
const UNREAD_MAX: usize = 256 * 1024;

/// Clients that may say anything.
pub fn connection(bytes: &[u8]) {
    let node = Node::new();
    let server = node.server();
    let mut connections = [(); 2].map(|()| DryConnection::new(&server, peer()));
    let mut rest = bytes;
    while let [what, len, following @ ..] = rest {
        let (piece, behind) = following.split_at(following.len().min(usize::from(*len)));
        rest = behind;
        let connection = &mut connections[usize::from(what & OTHER)];
        connection.receive(piece);
        listen(connection);
        assert!(connection.unread_len() <= UNREAD_MAX);
        match what & AFTER {
            WRITE => {
                node.broker.store().write();
                node.broker.store().keep();
            }
            PASS => node.pass(u64::from(what >> 3) * 100),
            CLOSE => *connection = DryConnection::new(&server, peer()),
            _ => {}
        }
        connections.iter_mut().for_each(|connection| {
            connection.poll();
            listen(connection);
        });
    }
    drop(connections);
    assert_eq!(server.connections_len(), 0, "a connection is left");
    // Whatever clients did, what lies on the disk is sound.
    node.broker.store().write();
    assert!(node.broker.failed().is_none());
    let again = Node::open(node.disk.kill()).expect("the log can be opened");
    assert_eq!(again.damage, []);
}

/// Takes what the server says, which is frames and methods.
fn listen(connection: &DryConnection) {
    let said = connection.take();
    let mut at = 0;
    while at < said.len() {
        if said[at..] == PROTOCOL_HEADER {
            return;
        }
        let parsed = parse_frame(&said[at..], 0).expect("the server sends frames");
        let FrameParse::Complete { frame, consumed } = parsed else {
            panic!("half a frame");
        };
        if frame.kind == FrameKind::Method {
            Method::decode(frame.payload).expect("the server sends methods");
        }
        at += consumed;
    }
}
