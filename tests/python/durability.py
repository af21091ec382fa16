"""Publishes persistent messages and keeps count of what was confirmed, whatever happens to the broker.

Told `stop`, it waits until every message is confirmed, drains the queue and compares: every
confirmed message is there, and only republished ones may be there twice.

Usage: durability.py HOST PORT [plain]
"""

import collections
import sys
import threading

import pika
import scenario

HOST, PORT, TLS = sys.argv[1], int(sys.argv[2]), "plain" not in sys.argv
QUEUE = "durability"
WINDOW = 200
REPORT_EACH = 200


class Publisher:
    """Keeps WINDOW messages on their way; republishes what was not confirmed after a reconnect."""

    def __init__(self):
        self.published = 0
        self.confirmed = 0
        self.connections = 0
        self.unconfirmed = {}
        self.outstanding = collections.OrderedDict()
        self.republished = set()
        self.stopping = False
        self.channel = None
        self.loop = None
        self.tag = 0

    def run(self):
        connection = self.connect()
        self.loop = connection.ioloop
        self.loop.start()

    def connect(self):
        return pika.SelectConnection(
            scenario.parameters(HOST, PORT, tls=TLS),
            on_open_callback=self.on_open,
            on_open_error_callback=self.on_closed,
            on_close_callback=self.on_closed,
            custom_ioloop=self.loop,
        )

    def on_open(self, connection):
        self.connections += 1
        connection.channel(on_open_callback=self.on_channel)

    def on_closed(self, _connection, _reason):
        self.channel = None
        if not (self.stopping and not self.unconfirmed):
            self.loop.call_later(0.05, self.connect)

    def on_channel(self, channel):
        def declared(_frame):
            channel.confirm_delivery(self.on_confirm, callback=confirming)

        def confirming(_frame):
            self.channel, self.tag = channel, 0
            self.outstanding.clear()
            again = sorted(self.unconfirmed)
            self.republished.update(again)
            for number in again:
                self.publish(number)
            self.fill()

        channel.queue_declare(QUEUE, durable=True, callback=declared)

    def publish(self, number):
        self.tag += 1
        self.outstanding[self.tag] = number
        self.unconfirmed[number] = True
        properties = pika.BasicProperties(delivery_mode=2, message_id=str(number))
        self.channel.basic_publish("", QUEUE, str(number).encode() + b"." * 100, properties)

    def fill(self):
        while not self.stopping and len(self.outstanding) < WINDOW:
            self.published += 1
            self.publish(self.published)

    def on_confirm(self, frame):
        method = frame.method
        assert method.NAME == "Basic.Ack", method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self.outstanding if tag <= method.delivery_tag]
        for tag in tags:
            del self.unconfirmed[self.outstanding.pop(tag)]
            self.confirmed += 1
            if self.confirmed % REPORT_EACH == 0:
                scenario.reached("confirmed", total=self.confirmed, connections=self.connections)
        if self.stopping and not self.unconfirmed:
            self.loop.stop()
        elif self.channel is not None:
            self.fill()

    def listen(self):
        sys.stdin.readline()
        self.loop.call_later(0, self.stop)

    def stop(self):
        self.stopping = True
        if not self.unconfirmed:
            self.loop.stop()


def drain():
    found = collections.Counter()
    connection = pika.BlockingConnection(scenario.parameters(HOST, PORT, tls=TLS))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1000)
    tag = 0
    for method, properties, body in channel.consume(QUEUE, inactivity_timeout=2):
        if method is None:
            break
        tag = method.delivery_tag
        number = int(properties.message_id)
        assert body == str(number).encode() + b"." * 100, body
        found[number] += 1
        if tag % 500 == 0:
            channel.basic_ack(tag, multiple=True)
    if tag:
        channel.basic_ack(tag, multiple=True)
    connection.close()
    return found


publisher = Publisher()
threading.Timer(0, publisher.listen).start()
publisher.run()
found = drain()
wanted = set(range(1, publisher.published + 1))
missing = sorted(wanted - set(found))
invented = sorted(set(found) - wanted)
twice = sorted(number for number, times in found.items() if times > 1)
unexplained = sorted(set(twice) - publisher.republished)
assert not missing, f"{len(missing)} confirmed messages are lost: {missing[:20]}"
assert not invented, f"never published: {invented[:20]}"
assert not unexplained, f"twice, though confirmed the first time: {unexplained[:20]}"
scenario.reached(
    "intact",
    published=publisher.published,
    connections=publisher.connections,
    republished=len(publisher.republished),
    twice=len(twice),
)
