//! Peers that do not speak the protocol, or speak it badly: they get the right answer and nothing
//! else breaks.

use std::io::{Read, Write};

use broker_engine::codec::amqp::{ConnectionTuneOk, FrameKind};

use crate::raw::Raw;
use crate::support::TestBroker;

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_answered_with_the_header_of_ours() {
    let broker = TestBroker::start().await;
    for hello in [
        b"AMQP\x01\x01\x08\x00".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
    ] {
        let mut raw = Raw::dial(broker.address());
        raw.write(hello);
        let mut answer = Vec::new();
        raw.stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"AMQP\x00\x00\x09\x01");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_in_rabbitmqs_words() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::log_in(broker.address(), "wrong");
    raw.expect_close(
        0,
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
         For details see the broker logfile.",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_outside_the_offer_are_refused() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::log_in(broker.address(), "secret");
    raw.expect(0, "connection.tune");
    raw.send(
        0,
        &ConnectionTuneOk {
            channel_max: 2047,
            frame_max: 1 << 20,
            heartbeat_s: 0,
        },
    );
    raw.expect_close(
        0,
        530,
        "NOT_ALLOWED - negotiated frame_max = 1048576 is higher than the maximum allowed value \
         (131072)",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_end_the_connection_with_501() {
    let broker = TestBroker::start().await;
    let frames: [&[u8]; 5] = [
        // Larger than negotiated.
        b"\x03\x00\x01\x7f\xff\xff\xff",
        // A wrong end octet.
        b"\x08\x00\x00\x00\x00\x00\x00\x00",
        // No such frame type.
        b"\x63\x00\x00\x00\x00\x00\x00\xce",
        // queue.declare that ends in the middle of a name.
        b"\x01\x00\x01\x00\x00\x00\x08\x00\x32\x00\x0a\x00\x00\x09a\xce",
        // queue.purge of a name that is not UTF-8.
        b"\x01\x00\x01\x00\x00\x00\x0a\x00\x32\x00\x1e\x00\x00\x02\xc3\x28\x00\xce",
    ];
    for bytes in frames {
        let mut raw = Raw::open_with(broker.address(), 8192, 0);
        raw.open_channel(1);
        raw.write(bytes);
        let payload = raw.expect(0, "connection.close");
        assert_eq!(payload[4..6], 501_u16.to_be_bytes(), "{bytes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_at_any_stage_leave_the_engine_serving() {
    let broker = TestBroker::start().await;
    let mut random = fastrand::Rng::with_seed(0x0068_6f73_7469_6c65);
    for round in 0..60 {
        let mut raw = match round % 3 {
            0 => Raw::dial(broker.address()),
            1 => Raw::log_in(broker.address(), "secret"),
            _ => Raw::open(broker.address()),
        };
        let mut noise: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        if random.bool() {
            // A well-formed frame around the noise gets further.
            let size = u32::try_from(noise.len()).unwrap();
            let head = [&[1, 0, 1], size.to_be_bytes().as_slice(), &[0, 60, 0, 40]].concat();
            noise = [head, noise[4.min(noise.len())..].to_vec(), vec![0xce]].concat();
        }
        // The server may have hung up already.
        let _ = raw.stream.write_all(&noise);
    }
    let mut raw = Raw::open(broker.address());
    raw.open_channel(2);
    assert_eq!(broker.engine.broker().vhost("/").unwrap().queues().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_sent_and_a_silent_client_is_dropped() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open_with(broker.address(), 131_072, 1);
    let mut beats = 0;
    while let Some(frame) = raw.next() {
        assert_eq!((frame.kind, frame.channel), (FrameKind::Heartbeat, 0));
        beats += 1;
    }
    assert!((1..=4).contains(&beats), "{beats}");
}
