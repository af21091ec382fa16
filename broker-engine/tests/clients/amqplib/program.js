// An order service with amqplib: what it relies on, one step each. It connects again by itself,
// as applications of this client do.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const http = require("node:http");
const readline = require("node:readline");
const amqp = require("amqplib");

const HOST = "127.0.0.1";
const PORT = process.env.AMQP_PORT;
const LOGIN = Buffer.from("guest:guest").toString("base64");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function restart(how) {
  console.log(`restart ${how}`);
  const { value } = await lines.next();
  assert.equal(value, "restarted");
}

const connect = (options = {}, socket = {}) =>
  amqp.connect(
    { hostname: HOST, port: PORT, username: "guest", password: "guest", ...options },
    socket,
  );

const closed = (emitter) =>
  new Promise((resolve) => {
    let error;
    emitter.on("error", (cause) => (error = cause));
    emitter.on("close", (cause) => resolve(error ?? cause));
  });

async function eventually(what, probe) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function connectAgain(options) {
  return eventually("the broker is not back", () => connect(options).catch(() => undefined));
}

function api(method, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = {
      host: HOST,
      port: process.env.MANAGEMENT_PORT,
      path: `/api/${path}`,
      method,
      headers: { authorization: `Basic ${LOGIN}`, ...headers },
    };
    const request = http.request(options, (response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode, body: body && JSON.parse(body) }),
      );
    });
    request.on("error", reject);
    request.end();
  });
}

async function connecting() {
  const ca = [fs.readFileSync(process.env.AMQP_CA)];
  const ways = [
    [{ protocol: "amqps", port: process.env.AMQPS_PORT, hostname: "localhost" }, { ca }],
    [{}, { credentials: amqp.credentials.amqplain("guest", "guest") }],
    [{ frameMax: 8192, heartbeat: 5, channelMax: 3 }, {}],
  ];
  if (process.env.AMQP_PORT_V6) ways.push([{ hostname: "::1", port: process.env.AMQP_PORT_V6 }, {}]);
  for (const [options, socket] of ways) {
    const connection = await connect(options, socket);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true });
    const body = Buffer.alloc(300_000, "x");
    channel.sendToQueue(queue, body);
    const message = await eventually("no message", () => channel.get(queue, { noAck: true }));
    assert.deepEqual(message.content, body);
    await connection.close();
  }
  await assert.rejects(connect({ password: "wrong" }), /403|ACCESS.REFUSED/);
  await assert.rejects(connect({ vhost: "none" }), /ConnectionClose/);
  const distrusted = { protocol: "amqps", port: process.env.AMQPS_PORT, hostname: "localhost" };
  await assert.rejects(connect(distrusted), /certificate/);
}

async function topology(connection) {
  const channel = await connection.createChannel();
  await channel.assertExchange("unrouted", "fanout");
  await channel.assertExchange("orders", "topic", { alternateExchange: "unrouted" });
  await channel.assertExchange("copies", "fanout");
  await channel.bindExchange("copies", "orders", "order.#");
  await channel.assertQueue("lost");
  await channel.bindQueue("lost", "unrouted", "");
  await channel.assertQueue("refused");
  await channel.assertQueue("eu", { deadLetterExchange: "", deadLetterRoutingKey: "refused" });
  await channel.bindQueue("eu", "orders", "order.*.eu");
  await channel.assertQueue("all");
  await channel.bindQueue("all", "copies", "");
  await channel.close();
}

async function publishing(connection) {
  const channel = await connection.createConfirmChannel();
  const returned = [];
  channel.on("return", (message) => returned.push(message));
  const headers = { n: 2 ** 40, nested: { list: [1, "two", null] } };
  channel.publish("orders", "order.1.eu", Buffer.from("1"), { persistent: true, headers });
  channel.publish("orders", "nobody.asked", Buffer.from("2"), { mandatory: true });
  channel.publish("", "nowhere", Buffer.from("3"), { mandatory: true });
  await channel.waitForConfirms();
  assert.deepEqual(returned.map((m) => [m.fields.replyCode, m.content.toString()]), [[312, "3"]]);
  const routed = await channel.get("eu", { noAck: true });
  assert.deepEqual(routed.properties.headers, headers);
  assert.equal((await channel.get("lost", { noAck: true })).fields.routingKey, "nobody.asked");
  assert.equal((await channel.get("all", { noAck: true })).content.toString(), "1");
  await channel.close();
}

async function consuming(connection) {
  const channel = await connection.createConfirmChannel();
  for (let n = 0; n < 6; n++) {
    channel.publish("orders", `order.${n}.eu`, Buffer.from(String(n)), { persistent: true });
  }
  await channel.waitForConfirms();
  await channel.prefetch(3);
  const seen = [];
  const { consumerTag } = await channel.consume("eu", (message) => seen.push(message));
  await eventually("too few deliveries", () => seen.length === 3);
  channel.ack(seen[0]);
  channel.nack(seen[1], false, true);
  channel.reject(seen[2], false);
  await eventually("too few deliveries", () => seen.length === 6);
  const again = seen.slice(3).find((message) => message.content.toString() === "1");
  assert(again && again.fields.redelivered);
  const dead = await channel.get("refused", { noAck: true });
  assert.equal(dead.properties.headers["x-death"][0].reason, "rejected");
  await channel.cancel(consumerTag);
  await channel.close();
  const rest = await connection.createChannel();
  const { messageCount } = await rest.purgeQueue("eu");
  assert.equal(messageCount, 4);
  await rest.deleteQueue("all");
  await rest.close();
}

async function errors(connection) {
  const cases = [
    [404, (channel) => channel.checkQueue("none")],
    [406, (channel) => channel.assertQueue("eu", { durable: false })],
    [403, (channel) => channel.assertQueue("amq.mine")],
    [404, (channel) => channel.bindQueue("eu", "none", "")],
  ];
  for (const [code, call] of cases) {
    const channel = await connection.createChannel();
    const end = closed(channel);
    await assert.rejects(call(channel), new RegExp(String(code)));
    assert.equal((await end).code, code);
  }
  const channel = await connection.createChannel();
  const end = closed(channel);
  channel.publish("none", "", Buffer.from("x"));
  assert.equal((await end).code, 404);
}

async function cancelled(connection) {
  const channel = await connection.createChannel();
  await channel.assertQueue("short-lived");
  let hear;
  const heard = new Promise((resolve) => (hear = resolve));
  await channel.consume("short-lived", (message) => message === null && hear());
  const other = await connection.createChannel();
  await other.deleteQueue("short-lived");
  await heard;
  await channel.close();
  await other.close();
}

async function renewedSecret(connection) {
  await connection.updateSecret(Buffer.from("again"), "expired");
}

async function closedByOperator() {
  const options = { clientProperties: { connection_name: "to be closed" } };
  const connection = await connect({}, options);
  const end = closed(connection);
  const found = await eventually("the connection is not listed", async () => {
    const { body } = await api("GET", "connections");
    return body.find((other) => other.user_provided_name === "to be closed");
  });
  assert.equal(found.state, "running");
  const path = `connections/${encodeURIComponent(found.name)}`;
  const { status } = await api("DELETE", path, { "x-reason": "maintenance" });
  assert.equal(status, 204);
  const error = await end;
  assert.equal(error.code, 320);
  assert.match(error.message, /maintenance/);
  assert.equal((await api("GET", path)).status, 404);
  await (await connectAgain()).close();
}

async function restarts() {
  for (const how of ["killed", "stopped"]) {
    const connection = await connectAgain();
    const end = closed(connection);
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => {});
    await channel.purgeQueue("eu");
    for (let n = 0; n < 100; n++) {
      channel.publish("orders", "order.x.eu", Buffer.from(String(n)), { persistent: true });
    }
    await channel.waitForConfirms();
    for (let n = 0; n < 5; n++) await channel.get("eu");
    await restart(how);
    const error = await end;
    if (how === "stopped") assert.equal(error.code, 320);

    const again = await connectAgain();
    const reader = await again.createChannel();
    for (let n = 0; n < 100; n++) {
      const message = await reader.get("eu", { noAck: true });
      assert.equal(message.content.toString(), String(n));
      assert(message.fields.redelivered || n >= 5);
      if (how === "stopped") assert.equal(message.fields.redelivered, n < 5);
    }
    assert.equal(await reader.get("eu"), false);
    await again.close();
  }
}

async function main() {
  await connecting();
  const connection = await connect();
  for (const scenario of [
    topology,
    publishing,
    consuming,
    errors,
    cancelled,
    renewedSecret,
  ]) {
    console.log("--", scenario.name);
    await scenario(connection);
  }
  await connection.close();
  await closedByOperator();
  await restarts();
  console.log("done");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
