//! A relay of bytes without broker logic: the least that moving messages between two sockets
//! costs, to measure brokers against.
//!
//! A client greets with its role and number; publisher and consumer of a number are paired, and
//! a thread of its own copies between them.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::connection::Purpose;

/// Bytes of one read. Smaller ones cost CPU, larger ones leave the processor's cache.
const COPY_SIZE: usize = 128 * 1024;

const PUBLISHER: u8 = b'P';
const CONSUMER: u8 = b'C';

/// What a client says first.
pub(crate) fn greeting(purpose: Purpose) -> [u8; 3] {
    let (role, number) = match purpose {
        Purpose::Publish(number) => (PUBLISHER, number),
        Purpose::Consume(number) => (CONSUMER, number),
        Purpose::Control | Purpose::Idle => (0, 0),
    };
    let [high, low] = number.to_be_bytes();
    [role, high, low]
}

/// Relays until the process ends; `ready` is told the address.
///
/// # Errors
/// When the address cannot be listened on.
pub fn run(address: SocketAddr, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    ready(listener.local_addr()?);
    let mut waiting: HashMap<u16, (u8, TcpStream)> = HashMap::new();
    for stream in listener.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        let mut hello = [0; 3];
        if stream.read_exact(&mut hello).is_err() {
            continue;
        }
        let [role, high, low] = hello;
        let number = u16::from_be_bytes([high, low]);
        match (role, waiting.remove(&number)) {
            (PUBLISHER, Some((CONSUMER, consumer))) => start(stream, consumer),
            (CONSUMER, Some((PUBLISHER, publisher))) => start(publisher, stream),
            (PUBLISHER | CONSUMER, _) => {
                waiting.insert(number, (role, stream));
            }
            _ => {}
        }
    }
    Ok(())
}

fn start(from: TcpStream, to: TcpStream) {
    thread::spawn(move || {
        // Either side may go at any time; the other one sees the end of the stream.
        let _ = copy(&from, &to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; COPY_SIZE];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn bytes_go_from_the_publisher_to_the_consumer_of_the_same_number() {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            run(([127, 0, 0, 1], 0).into(), |address| {
                tell.send(address).unwrap()
            })
        });
        let address = told.recv().unwrap();
        let client = |purpose| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&greeting(purpose)).unwrap();
            stream
        };
        let mut publishers = [2, 1].map(|number| client(Purpose::Publish(number)));
        let mut consumers = [1, 2].map(|number| client(Purpose::Consume(number)));
        publishers[0].write_all(b"two").unwrap();
        publishers[1].write_all(b"one").unwrap();
        drop(publishers);
        let got = consumers.each_mut().map(|consumer| {
            let mut text = String::new();
            consumer.read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(got, ["one", "two"]);
    }
}
