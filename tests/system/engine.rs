//! The engine alone, as `brokerd` and as `warren node`, with pika over TLS and in the clear.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use test_support::process::{Family, Process};
use test_support::{directory, network, python};

use crate::certificates;
use crate::patience::{PATIENCE, repeated};
use crate::tree::clean;

const PASSWORD: &str = "correct-horse-battery";

struct Engine {
    process: Process,
    family: Family,
    plain: u16,
    secure: u16,
    management: u16,
    directory: TempDir,
}

impl Engine {
    fn start(program: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        certificates::write(directory.path());
        let family = Family::new();
        let [plain, secure, management] = [(); 3].map(|()| network::free_port());
        let mut command = command(program, directory.path(), [plain, secure, management]);
        let mut process = family.spawn("engine", &mut command);
        process.line("ready", PATIENCE);
        Self {
            process,
            family,
            plain,
            secure,
            management,
            directory,
        }
    }

    fn restart(&mut self, program: &[&str]) {
        let ports = [self.plain, self.secure, self.management];
        self.process = self.family.spawn(
            "engine",
            &mut command(program, self.directory.path(), ports),
        );
        self.process.line("ready", PATIENCE);
    }

    fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn script(&self, name: &str) -> Command {
        let mut script = python::script(name);
        script.env("WARREN_CA", self.ca());
        script
    }

    fn chat(&self, port: u16, kind: &str) {
        python::succeed(self.script("chat.py").args([
            "127.0.0.1",
            &port.to_string(),
            kind,
            "operator",
            PASSWORD,
        ]));
    }
}

fn command(program: &[&str], directory: &Path, [plain, secure, management]: [u16; 3]) -> Command {
    let at = |port: u16| format!("127.0.0.1:{port}");
    let mut command = Command::new(directory::binary(program[0]));
    command
        .args(&program[1..])
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args([
            "--amqp",
            &at(plain),
            "--amqps",
            &at(secure),
            "--management",
            &at(management),
        ])
        .arg("--tls-cert")
        .arg(directory.join("leaf.pem"))
        .arg("--tls-key")
        .arg(directory.join("leaf.key"))
        .args(["--user", &format!("operator:{PASSWORD}")]);
    clean(&mut command);
    command
}

#[test]
fn brokerd_talks_to_pika_with_and_without_tls() {
    let mut engine = Engine::start(&["brokerd"]);
    engine.chat(engine.plain, "plain");
    engine.chat(engine.secure, "tls");
    assert!(engine.process.terminate(Duration::from_secs(15)).success());
}

#[test]
fn kills_of_the_engine_lose_nothing_that_was_confirmed() {
    let program = ["warren", "node"];
    let mut engine = Engine::start(&program);
    let port = engine.plain.to_string();
    let outside = Family::new();
    let mut publisher = outside.spawn(
        "durability.py",
        engine
            .script("durability.py")
            .args(["127.0.0.1", &port, "plain"]),
    );
    for _ in 0..repeated(6) {
        publisher.skip_printed();
        for _ in 0..4 {
            publisher.line("confirmed", PATIENCE);
        }
        engine.process.kill();
        engine.restart(&program);
    }
    publisher.skip_printed();
    publisher.line("confirmed", PATIENCE);
    publisher.tell("stop");
    println!("{}", publisher.line("intact", PATIENCE));
    assert!(publisher.exit(PATIENCE).success());
}

#[test]
fn garbage_closes_its_own_connection_only() {
    let engine = Engine::start(&["warren", "node"]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..length).map(next).collect()
    };
    let header = b"AMQP\x00\x00\x09\x01".to_vec();
    let enormous = [
        header.clone(),
        b"\x01\x00\x00\xff\xff\xff\xff".to_vec(),
        vec![0; 4096],
    ]
    .concat();
    let samples = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"AMQP\x00\x01\x00\x00".to_vec(),
        b"AM".to_vec(),
        header.clone(),
        enormous,
        [header.clone(), noise(5000)].concat(),
        noise(7),
        noise(100_000),
        Vec::new(),
    ];
    for port in [engine.plain, engine.secure, engine.management] {
        for sample in &samples {
            throw(([127, 0, 0, 1], port).into(), sample);
        }
    }
    engine.chat(engine.plain, "plain");
    engine.chat(engine.secure, "tls");
}

/// Sends everything and reads until the other side closes, or a moment has passed.
fn throw(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("the engine accepts connections");
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout can be set");
    // The engine may close before it has read everything.
    if stream.write_all(bytes).is_ok() {
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.take(1 << 20).read_to_end(&mut Vec::new());
    }
}
