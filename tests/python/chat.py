"""pika's two kinds of connection against one broker: declare, publish with confirms, consume, close.

Usage: chat.py HOST PORT (tls|plain) USER PASSWORD
"""

import sys

import pika
import scenario

host, port, tls, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "tls", sys.argv[4], sys.argv[5]
parameters = scenario.parameters(host, port, tls=tls, user=user, password=password)

connection = pika.BlockingConnection(parameters)
channel = connection.channel()
channel.exchange_declare("news", exchange_type="topic", durable=True)
channel.queue_declare("blocking", durable=True)
channel.queue_bind("blocking", "news", "weather.*")
channel.confirm_delivery()
for number in range(50):
    channel.basic_publish("news", "weather.today", b"%d" % number, pika.BasicProperties(headers={"n": number}))
try:
    channel.basic_publish("news", "sports", b"nobody listens", mandatory=True)
    raise AssertionError("an unroutable mandatory message came through")
except pika.exceptions.UnroutableError:
    pass
channel.basic_qos(prefetch_count=10)
bodies = []
for method, properties, body in channel.consume("blocking", inactivity_timeout=10):
    assert method is not None, f"only {len(bodies)} messages came"
    assert properties.headers == {"n": len(bodies)}, properties
    bodies.append(body)
    channel.basic_ack(method.delivery_tag)
    if len(bodies) == 50:
        break
assert bodies == [b"%d" % number for number in range(50)]
channel.cancel()
try:
    connection.channel().queue_declare("missing", passive=True)
    raise AssertionError("a missing queue was found")
except pika.exceptions.ChannelClosedByBroker as error:
    assert error.reply_code == 404, error
assert channel.is_open
connection.close()

try:
    pika.BlockingConnection(scenario.parameters(host, port, tls=tls, user=user, password="wrong-password-1"))
    raise AssertionError("a wrong password was let in")
except (pika.exceptions.ProbableAuthenticationError, pika.exceptions.ConnectionClosedByBroker):
    pass


class Selected:
    """The same in callbacks."""

    def __init__(self):
        self.received = []
        self.connection = pika.SelectConnection(parameters, on_open_callback=self.opened)
        self.connection.add_on_close_callback(lambda connection, _reason: connection.ioloop.stop())
        self.connection.ioloop.call_later(20, self.connection.ioloop.stop)
        self.connection.ioloop.start()

    def opened(self, connection):
        connection.channel(on_open_callback=self.ready)

    def ready(self, channel):
        self.channel = channel
        channel.queue_declare("", exclusive=True, callback=self.declared)

    def declared(self, frame):
        queue = frame.method.queue
        self.channel.basic_consume(queue, self.delivered)
        for number in range(20):
            self.channel.basic_publish("", queue, b"%d" % number)

    def delivered(self, channel, method, _properties, body):
        self.received.append(body)
        channel.basic_ack(method.delivery_tag)
        if len(self.received) == 20:
            self.connection.close()


assert Selected().received == [b"%d" % number for number in range(20)]
scenario.reached("understood")
