//! Plays a scenario against one broker and writes down what is observed.
//!
//! Owns the meaning of a script's verbs: the methods by their names, and
//!
//! - `connect user=… password=… vhost=… frame_max=… channel_max=… heartbeat=… {client properties}`; a connection that
//!   is used without it is made with the defaults, and so is a channel
//! - `dial` opens a socket, `bytes "…"` and `frame KIND CHANNEL "…"` send what they say
//! - `publish EXCHANGE KEY "BODY" mandatory property=… {headers}`; `header size=…` and `body "…"` send frames of it
//! - `await METHOD COUNT` reads until so many came, `await METHOD METHOD` until one of each did, whatever came first;
//!   `confirms N` until the first N publishes have an outcome
//! - `until QUEUE N`, `consumers QUEUE N` and `gone QUEUE` look from outside until it is so
//! - `hold` leaves closes unanswered, `eof` awaits the end of the socket, `http METHOD PATH "BODY"` calls management
//!
//! A verb after `!` does not wait for its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::client::{BODY, Client, HEADER, METHOD, PATIENCE, Seen};
use crate::names::Names;
use crate::script::{Scenario, Step};
use crate::server::{PASSWORD, Server, USER};
use crate::spec::{self, Arguments, Spec};
use crate::value::{Cursor, Word};

/// How often is looked for what comes by itself.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// What a client tells of itself when the script says nothing else.
const CAPABILITIES: &str = "{product: differential, capabilities: {publisher_confirms: true, \
    exchange_exchange_bindings: true, basic.nack: true, consumer_cancel_notify: true, \
    connection.blocked: true, authentication_failure_close: true}}";

/// A scenario under way.
pub(crate) struct Run {
    server: Server,
    clients: BTreeMap<char, Client>,
    names: Names,
    log: Vec<String>,
    /// Something that was waited for did not come: what follows would tell nothing.
    is_stuck: bool,
}

/// Steps and observations, one a line.
pub(crate) fn play(server: Server, scenario: &Scenario, number: usize) -> Vec<String> {
    let mut run = Run {
        server,
        clients: BTreeMap::new(),
        names: Names::new(format!("z{number:03}.")),
        log: Vec::new(),
        is_stuck: false,
    };
    for line in &scenario.lines {
        run.log.push(line.clone());
        let step = Step::parse(&run.names.real(line)).expect("scripts are checked before");
        run.step(&step);
        if run.is_stuck {
            return run.log;
        }
    }
    run.finish();
    run.log
}

/// Says what is wrong with a line of a script.
pub(crate) fn check(line: &str) -> Result<(), String> {
    let step = Step::parse(line)?;
    match Spec::named(&step.verb) {
        Some(spec) => spec.encode(&step.arguments).map(|_| ()),
        None if VERBS.contains(&&*step.verb) => Ok(()),
        None => Err(format!("there is no verb '{}'", step.verb)),
    }
}

const VERBS: &[&str] = &[
    "connect",
    "dial",
    "bytes",
    "frame",
    "publish",
    "header",
    "body",
    "await",
    "confirms",
    "until",
    "consumers",
    "gone",
    "hold",
    "eof",
    "http",
];

impl Run {
    fn step(&mut self, step: &Step) {
        match &*step.verb {
            "connect" => self.connect(step),
            "http" => self.http(step),
            "until" | "consumers" => self.until(step),
            "gone" => self.gone(step),
            "dial" => {
                let client = Client::dial(self.server.amqp);
                self.clients.insert(step.connection, client);
            }
            _ => {
                if !self.clients.contains_key(&step.connection) {
                    self.open(step, false);
                }
                self.on_connection(step);
            }
        }
    }

    fn client(&mut self, step: &Step) -> Option<&mut Client> {
        self.clients.get_mut(&step.connection)
    }

    fn on_connection(&mut self, step: &Step) {
        let Some(client) = self.clients.get_mut(&step.connection) else {
            return;
        };
        match &*step.verb {
            "hold" => client.answers_close = false,
            "bytes" => client.write(&step.arguments.words.concat()),
            "frame" => {
                let kind = match &*step.word(0) {
                    "method" => METHOD,
                    "header" => HEADER,
                    "body" => BODY,
                    other => other.parse().expect("a kind of frame"),
                };
                let channel = step.word(1).parse().expect("a channel number");
                let payload = step.arguments.words.get(2).cloned().unwrap_or_default();
                client.frame(kind, channel, &payload);
            }
            "header" => {
                let class = step.number("class").unwrap_or(60);
                let size = step.number("size").unwrap_or_default();
                let properties = spec::encode_properties(&step.arguments).unwrap();
                client.frame(
                    HEADER,
                    step.channel,
                    &head(class, size as usize, &properties),
                );
            }
            "body" => client.frame(BODY, step.channel, &step.arguments.words.concat()),
            "eof" => {
                self.collect(step, &["closed"]);
            }
            "await" => self.await_each(step),
            "confirms" => self.confirms(step),
            "publish" => {
                if self.open_channel(step) {
                    self.publish(step);
                }
            }
            method => {
                let spec = Spec::named(method).expect("scripts are checked before");
                let is_usable = step.channel == 0 || method == "channel.open" || step.is_hasty;
                if is_usable || self.open_channel(step) {
                    self.call(step, spec);
                }
            }
        }
    }

    fn call(&mut self, step: &Step, spec: &'static Spec) {
        let payload = spec.encode(&step.arguments).unwrap();
        let Some(client) = self.client(step) else {
            return;
        };
        client.frame(METHOD, step.channel, &payload);
        let waits = !step.is_hasty && !step.has("no_wait") && !spec.replies.is_empty();
        if waits && self.collect(step, spec.replies) && spec.name == "connection.close" {
            // Who closes the socket is not agreed.
            self.clients.remove(&step.connection);
        }
    }

    fn publish(&mut self, step: &Step) {
        let mut words = step.arguments.words.clone();
        words.retain(|word| word != b"mandatory" && word != b"immediate");
        let mut words = words.into_iter();
        let mut method = Arguments::default();
        method.words.extend(words.by_ref().take(2));
        let flags = ["mandatory", "immediate"].into_iter();
        let flags = flags.filter(|flag| step.has(flag));
        method
            .words
            .extend(flags.map(|flag| flag.as_bytes().to_vec()));
        let body = words.next().unwrap_or_default();
        let spec = Spec::named("basic.publish").expect("it is in the table");
        let payload = spec.encode(&method).unwrap();
        let properties = spec::encode_properties(&step.arguments).unwrap();
        let Some(client) = self.client(step) else {
            return;
        };
        client.frame(METHOD, step.channel, &payload);
        client.frame(HEADER, step.channel, &head(60, body.len(), &properties));
        for part in body.chunks(client.frame_max - 8) {
            client.frame(BODY, step.channel, part);
        }
    }

    /// Opens the step's channel unless it is open.
    fn open_channel(&mut self, step: &Step) -> bool {
        let Some(client) = self.client(step) else {
            return false;
        };
        if client.channels.contains(&step.channel) || !client.is_open {
            return true;
        }
        client.frame(METHOD, step.channel, &[0, 20, 0, 10, 0]);
        loop {
            let Some(seen) = self
                .client(step)
                .and_then(|client| client.next(step.channel))
            else {
                self.stuck(step, "channel.open-ok");
                return false;
            };
            if seen.name == "channel.open-ok" {
                return true;
            }
            self.note(step.connection, &seen);
            if seen.is_end_of_connection() {
                return false;
            }
        }
    }

    /// Makes the connection as the script says, and tells how far it came.
    fn connect(&mut self, step: &Step) {
        self.open(step, true);
    }

    fn open(&mut self, step: &Step, is_told: bool) {
        let connection = Step {
            channel: 0,
            verb: "connect".to_owned(),
            is_hasty: false,
            connection: step.connection,
            arguments: Arguments::default(),
        };
        let explicit = is_told.then_some(step);
        let given = |name: &str, default: &str| {
            let given = explicit.and_then(|step| step.pair(name));
            given.unwrap_or_else(|| default.to_owned())
        };
        let table = explicit.and_then(|step| step.arguments.table.clone());
        let properties = table.unwrap_or_else(|| match Cursor::new(CAPABILITIES).word() {
            Ok(Some(Word::Table(table))) => table,
            other => panic!("{other:?}"),
        });
        let mut client = Client::dial(self.server.amqp);
        client.write(b"AMQP\0\0\x09\x01");
        self.clients.insert(step.connection, client);
        let response = format!("\0{}\0{}", given("user", USER), given("password", PASSWORD));
        let start_ok = arguments(&["PLAIN", &response, "en_US"], Some(properties));
        let frame_max = given("frame_max", "131072");
        let tune_ok = [
            &*given("channel_max", "2047"),
            &frame_max,
            &given("heartbeat", "0"),
        ];
        let said = [
            ("connection.start", "connection.start-ok", start_ok),
            (
                "connection.tune",
                "connection.tune-ok",
                arguments(&tune_ok, None),
            ),
            (
                "",
                "connection.open",
                arguments(&[&given("vhost", "/")], None),
            ),
            ("connection.open-ok", "", arguments(&[], None)),
        ];
        for (awaited, answer, arguments) in said {
            if !awaited.is_empty() {
                loop {
                    let next = self.client(step).and_then(|client| client.next(0));
                    let Some(seen) = next else {
                        return self.stuck(&connection, awaited);
                    };
                    let is_awaited = seen.name == awaited;
                    if !is_awaited || (is_told && awaited != "connection.start") {
                        self.note(step.connection, &seen);
                    }
                    if seen.is_end_of_connection() {
                        return;
                    }
                    if is_awaited {
                        break;
                    }
                }
            }
            if let (Some(spec), Some(client)) = (Spec::named(answer), self.client(step)) {
                client.frame(METHOD, 0, &spec.encode(&arguments).unwrap());
            }
        }
        if let Some(client) = self.client(step) {
            client.frame_max = frame_max.parse().unwrap_or(4096);
        }
    }

    fn await_each(&mut self, step: &Step) {
        let other = step.word(1);
        if other.parse::<u32>().is_ok() || other.is_empty() {
            for _ in 0..other.parse().unwrap_or(1) {
                if !self.collect(step, &[&step.word(0)]) {
                    break;
                }
            }
            return;
        }
        let before = self.log.len();
        let mut due = vec![step.word(0), other];
        while !due.is_empty() {
            let names: Vec<&str> = due.iter().map(String::as_str).collect();
            if !self.collect(step, &names) {
                return;
            }
            let came = self.log.last().cloned().unwrap_or_default();
            due.retain(|name| !came.contains(&format!(" {name}")));
        }
        self.log[before..].sort();
    }

    /// Writes down what comes on the step's channel, up to one of these methods; false when it did not come.
    fn collect(&mut self, step: &Step, names: &[&str]) -> bool {
        loop {
            let Some(client) = self.clients.get_mut(&step.connection) else {
                return false;
            };
            let Some(seen) = client.next(step.channel) else {
                self.stuck(step, names[0]);
                return false;
            };
            self.note(step.connection, &seen);
            if names.contains(&seen.name) {
                return true;
            }
            if seen.is_end() {
                return false;
            }
        }
    }

    /// Writes an observation down, and follows the end of a connection to the end of its socket.
    fn note(&mut self, connection: char, seen: &Seen) {
        let text = self.names.plain(&seen.text);
        self.log
            .push(format!("    {connection}{} {text}", seen.channel));
        let Some(client) = self.clients.get_mut(&connection) else {
            return;
        };
        match seen.name {
            "connection.close" if client.answers_close => loop {
                match client.next(0) {
                    Some(next) if next.name == "closed" => return self.note(connection, &next),
                    // Channels may have had their say before.
                    Some(_) => {}
                    None => {
                        self.is_stuck = true;
                        self.log.push("    the socket is not closed".to_owned());
                        return;
                    }
                }
            },
            "closed" => {
                self.clients.remove(&connection);
            }
            _ => {}
        }
    }

    fn stuck(&mut self, step: &Step, awaited: &str) {
        let (connection, channel) = (step.connection, step.channel);
        self.is_stuck = true;
        self.log
            .push(format!("    {connection}{channel} {awaited} does not come"));
    }

    /// Reads until the first publishes have an outcome, however the broker groups its answers.
    fn confirms(&mut self, step: &Step) {
        let count: u64 = step.word(0).parse().expect("a number of publishes");
        loop {
            let Some(client) = self.client(step) else {
                return;
            };
            let outcomes = client.outcomes.entry(step.channel).or_default();
            if (1..=count).all(|number| outcomes.contains_key(&number)) {
                let told: Vec<_> = outcomes
                    .range(..=count)
                    .map(|(number, outcome)| format!("{outcome} {number}"))
                    .collect();
                self.log.push(format!("    outcomes: {}", told.join(", ")));
                return;
            }
            let Some(seen) = client.next(step.channel) else {
                return self.stuck(step, "an outcome");
            };
            let outcome = match seen.name {
                "basic.ack" => "ack",
                "basic.nack" => "nack",
                _ => {
                    self.note(step.connection, &seen);
                    if seen.is_end() {
                        return;
                    }
                    continue;
                }
            };
            let tag = seen.text.split("delivery_tag=").nth(1).unwrap_or_default();
            let (tag, rest) = tag.split_once(' ').unwrap_or((tag, ""));
            let tag: u64 = tag.parse().expect("a tag is a number");
            let first = if rest.contains("multiple") { 1 } else { tag };
            let outcomes = client.outcomes.entry(step.channel).or_default();
            for number in first..=tag {
                outcomes.entry(number).or_insert(outcome);
            }
        }
    }

    fn http(&mut self, step: &Step) {
        let (method, path, body) = (step.word(0), step.word(1), step.word(2));
        let status = self.server.http(&method, &path, &body).unwrap();
        self.log.push(format!("    status {status}"));
    }

    /// Looks from a connection of its own until a queue holds so many messages, or has so many consumers.
    fn until(&mut self, step: &Step) {
        let (queue, count) = (step.word(0), step.word(1));
        let field = match &*step.verb {
            "until" => "message_count=",
            _ => "consumer_count=",
        };
        let vhost = step.pair("vhost").unwrap_or_else(|| "/".to_owned());
        let probe = Step::parse(&format!("P1 connect vhost={vhost}")).expect("it is a step");
        let deadline = Instant::now() + PATIENCE;
        let spec = Spec::named("queue.declare").expect("it is in the table");
        let declare = spec.encode(&arguments(&[&queue, "passive"], None)).unwrap();
        let mut last = String::new();
        while Instant::now() < deadline {
            if !self.clients.contains_key(&'P') {
                let length = self.log.len();
                self.open(&probe, true);
                self.log.truncate(length);
            }
            if !self.open_channel(&probe) {
                break;
            }
            let Some(client) = self.clients.get_mut(&'P') else {
                break;
            };
            client.frame(METHOD, 1, &declare);
            let Some(seen) = client.next(1) else {
                break;
            };
            last = self.names.plain(&seen.text);
            let found = seen.text.split(field).nth(1).unwrap_or_default();
            if found.split(' ').next() == Some(&count) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.is_stuck = true;
        self.log.push(format!("    not so in the end: {last}"));
    }

    /// Looks by management, which does not count as use, until a queue is not there any more.
    fn gone(&mut self, step: &Step) {
        let path = format!("/api/queues/%2F/{}", step.word(0));
        let deadline = Instant::now() + PATIENCE;
        while self.server.http("GET", &path, "").unwrap() != 404 {
            if Instant::now() > deadline {
                self.is_stuck = true;
                self.log.push("    still there in the end".to_owned());
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Closes what is open, and tells what came that nobody asked for.
    fn finish(&mut self) {
        self.clients.remove(&'P');
        for connection in self.clients.keys().copied().collect::<Vec<_>>() {
            self.log.push(format!("end of {connection}"));
            let open = self.clients.get(&connection);
            let channels: Vec<u16> = open
                .map(|client| client.channels.iter().copied().collect())
                .unwrap_or_default();
            for channel in channels {
                self.close(connection, channel, "channel.close");
            }
            if self
                .clients
                .get(&connection)
                .is_some_and(|client| client.is_open)
            {
                self.close(connection, 0, "connection.close");
            }
            if let Some(mut client) = self.clients.remove(&connection) {
                for seen in client.leftovers() {
                    self.note(connection, &seen);
                }
            }
        }
    }

    fn close(&mut self, connection: char, channel: u16, method: &str) {
        let spec = Spec::named(method).expect("it is in the table");
        let Some(client) = self.clients.get_mut(&connection) else {
            return;
        };
        let payload = spec.encode(&arguments(&["200"], None)).unwrap();
        client.frame(METHOD, channel, &payload);
        loop {
            let Some(client) = self.clients.get_mut(&connection) else {
                return;
            };
            let Some(seen) = client.next(channel) else {
                self.log.push(format!("    no answer to {method}"));
                return;
            };
            if seen.channel == channel && seen.name == spec.replies[0] {
                return;
            }
            self.note(connection, &seen);
            if seen.is_end() {
                return;
            }
        }
    }
}

fn arguments(words: &[&str], table: Option<Vec<u8>>) -> Arguments {
    Arguments {
        words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
        pairs: Vec::new(),
        table,
    }
}

/// The payload of a content header.
fn head(class: u32, size: usize, properties: &[u8]) -> Vec<u8> {
    let mut payload = (class << 16).to_be_bytes().to_vec();
    payload.extend((size as u64).to_be_bytes());
    payload.extend(properties);
    payload
}
