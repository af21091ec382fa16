"""An order service with pika's blocking adapter: what it relies on, one step each."""

import functools
import ssl

import pika
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)

import broker

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


def parameters(**changed):
    settings = dict(
        host=broker.HOST,
        port=broker.PORT,
        credentials=pika.PlainCredentials(broker.USER, broker.PASSWORD),
        connection_attempts=5,
        retry_delay=0.2,
    )
    return pika.ConnectionParameters(**{**settings, **changed})


def connect(**changed):
    return pika.BlockingConnection(parameters(**changed))


def raises(expected, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except expected as error:
        return error
    raise AssertionError(f"{call} did not raise {expected}")


def get(channel, queue, **named):
    method, properties, body = channel.basic_get(queue, **named)
    assert method is not None, f"{queue} is empty"
    return method, properties, body


def connecting():
    trusted = ssl.create_default_context(cafile=broker.CA)
    ways = [
        dict(port=broker.TLS_PORT, ssl_options=pika.SSLOptions(trusted, broker.HOST)),
        dict(heartbeat=0, frame_max=8192, channel_max=7),
        dict(client_properties={"connection_name": "orders"}),
    ]
    if broker.PORT_V6:
        ways.append(dict(host="::1", port=int(broker.PORT_V6)))
    for way in ways:
        with connect(**way) as connection:
            channel = connection.channel()
            name = channel.queue_declare("", exclusive=True).method.queue
            body = bytes(range(256)) * 1000
            channel.basic_publish("", name, body)
            assert get(channel, name, auto_ack=True)[2] == body

    wrong = pika.PlainCredentials(broker.USER, "wrong")
    raises(ProbableAuthenticationError, connect, credentials=wrong, connection_attempts=1)
    raises(ProbableAccessDeniedError, connect, virtual_host="none", connection_attempts=1)
    stranger = pika.SSLOptions(ssl.create_default_context(), broker.HOST)
    raises(
        ssl.SSLCertVerificationError,
        connect,
        port=broker.TLS_PORT,
        ssl_options=stranger,
        connection_attempts=1,
    )


def topology(connection):
    channel = connection.channel()
    channel.exchange_declare("unrouted", "fanout", durable=True)
    channel.exchange_declare(
        "orders", "topic", durable=True, arguments={"alternate-exchange": "unrouted"}
    )
    channel.exchange_declare("audit", "headers", durable=True)
    channel.exchange_bind("audit", "orders", "order.*.eu")
    channel.queue_declare("lost", durable=True)
    channel.queue_bind("lost", "unrouted")
    channel.queue_declare("refused", durable=True)
    channel.queue_declare(
        "eu",
        durable=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "refused"},
    )
    channel.queue_bind("eu", "orders", "order.*.eu")
    channel.queue_declare("big", durable=True)
    big = {"x-match": "all", "size": "big"}
    channel.queue_bind("big", "audit", "", arguments=big)
    # What is there may be declared again.
    channel.exchange_declare("orders", passive=True)
    assert channel.queue_declare("eu", passive=True).method.message_count == 0
    channel.close()


def publishing(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("orders", "order.1.eu", b"1", PERSISTENT, mandatory=True)
    headers = pika.BasicProperties(headers={"size": "big", "n": 2**40, "nested": {"a": [1, None]}})
    channel.basic_publish("orders", "order.2.eu", b"2", headers, mandatory=True)
    # Nobody asked for it: the alternate exchange takes it, which counts as routed.
    channel.basic_publish("orders", "order.3.us", b"3", PERSISTENT, mandatory=True)
    returned = raises(
        UnroutableError, channel.basic_publish, "", "nowhere", b"4", mandatory=True
    ).messages[0]
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert returned.body == b"4"

    assert get(channel, "big", auto_ack=True)[1].headers == headers.headers
    # The other order carried no such header.
    assert channel.basic_get("big") == (None, None, None)
    method, _, body = get(channel, "lost", auto_ack=True)
    assert (method.exchange, method.routing_key, body) == ("orders", "order.3.us", b"3")
    channel.close()


def consuming(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_purge("eu")
    for number in range(10):
        channel.basic_publish("orders", f"order.{number}.eu", str(number), PERSISTENT)
    channel.basic_qos(prefetch_count=4)
    taken = []
    for method, properties, body in channel.consume("eu", inactivity_timeout=1):
        if method is None:
            break
        taken.append((method.delivery_tag, method.redelivered, body))
    # The bound held: nothing came beyond it, although six more were ready.
    assert taken == [(n + 1, False, str(n).encode()) for n in range(4)], taken

    channel.basic_ack(taken[1][0], multiple=True)
    channel.basic_nack(taken[2][0], requeue=True)
    channel.basic_reject(taken[3][0], requeue=False)
    # What the generator holds goes back when it is cancelled.
    channel.cancel()
    first = get(channel, "eu")
    assert (first[0].redelivered, first[2]) == (True, b"2"), first
    channel.basic_ack(first[0].delivery_tag)
    dead = get(channel, "refused", auto_ack=True)
    death = dead[1].headers["x-death"][0]
    assert (dead[2], death["reason"], death["queue"], death["count"]) == (b"3", "rejected", "eu", 1)

    # Closed with a message in hand, a channel gives it back.
    held = get(channel, "eu")
    channel.close()
    channel = connection.channel()
    again = get(channel, "eu")
    assert (again[2], again[0].redelivered) == (held[2], True)
    channel.basic_recover(requeue=True)
    assert get(channel, "eu")[0].redelivered
    channel.close()


def request_and_reply(connection):
    server, client = connection.channel(), connection.channel()
    server.queue_declare("upper", exclusive=True)

    def serve(channel, method, properties, body):
        reply = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, body.upper(), reply)

    server.basic_consume("upper", serve, auto_ack=True)
    replies = []
    client.basic_consume(
        "amq.rabbitmq.reply-to", lambda *reply: replies.append(reply), auto_ack=True
    )
    request = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7")
    client.basic_publish("", "upper", b"question", request)
    while not replies:
        connection.process_data_events(1)
    (_, _, properties, body) = replies[0]
    assert (properties.correlation_id, body) == ("7", b"QUESTION")
    server.close()
    client.close()


def errors(connection):
    """Each error closes its channel with the code of the specification, and no other one."""
    bystander = connection.channel()
    cases = [
        (404, lambda c: c.queue_declare("none", passive=True)),
        (404, lambda c: c.queue_bind("eu", "none", "")),
        (406, lambda c: c.queue_declare("eu", durable=False)),
        (406, lambda c: c.exchange_declare("orders", "direct", durable=True)),
        (403, lambda c: c.queue_declare("amq.mine")),
        (403, lambda c: c.exchange_delete("")),
    ]
    for code, call in cases:
        channel = connection.channel()
        assert raises(ChannelClosedByBroker, call, channel).reply_code == code
        assert channel.is_closed
    assert bystander.queue_declare("", exclusive=True).method.queue
    bystander.close()


def publish_to_missing_exchange(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    error = raises(ChannelClosedByBroker, channel.basic_publish, "none", "", b"")
    assert error.reply_code == 404, error


def acknowledged_twice(connection):
    channel = connection.channel()
    channel.queue_declare("twice", exclusive=True)
    channel.basic_publish("", "twice", b"")
    tag = get(channel, "twice")[0].delivery_tag
    channel.basic_ack(tag)
    channel.basic_ack(tag)
    error = raises(ChannelClosedByBroker, channel.queue_declare, "twice", passive=True)
    assert error.reply_code == 406 and "unknown delivery tag" in error.reply_text, error


def transaction(connection):
    channel = connection.channel()
    channel.queue_declare("tx", exclusive=True)
    channel.tx_select()
    channel.basic_publish("", "tx", b"taken back")
    channel.tx_rollback()
    channel.basic_publish("", "tx", b"meant")
    assert channel.queue_declare("tx", passive=True).method.message_count == 0
    channel.tx_commit()
    assert get(channel, "tx", auto_ack=True)[2] == b"meant"
    channel.close()


def renewed_secret(connection):
    answered = []
    connection._impl.update_secret("again", "expired", callback=answered.append)
    while not answered:
        connection.process_data_events(1)


def restarts():
    """What was confirmed survives a kill; what was in hand comes back flagged."""
    for how in ["killed", "stopped"]:
        connection = connect()
        channel = connection.channel()
        channel.queue_purge("eu")
        channel.confirm_delivery()
        for number in range(100):
            channel.basic_publish("orders", f"order.{number}.eu", str(number), PERSISTENT)
        channel.basic_publish("orders", "order.transient.eu", b"transient")
        held = [get(channel, "eu")[2] for _ in range(5)]
        broker.restart(how)
        lost = raises(AMQPConnectionError, connection.process_data_events, 10)
        if how == "stopped":
            assert isinstance(lost, ConnectionClosedByBroker) and lost.reply_code == 320, lost

        connection = connect()
        channel = connection.channel()
        back = [get(channel, "eu", auto_ack=True) for _ in range(100)]
        assert [body for _, _, body in back] == [str(n).encode() for n in range(100)]
        assert [m.redelivered for m, _, _ in back[: len(held)]] == [True] * len(held)
        if how == "stopped":
            # The broker had time to write down exactly what was out.
            assert not any(m.redelivered for m, _, _ in back[len(held) :])
        assert channel.basic_get("eu") == (None, None, None)
        # The topology is back as well.
        channel.confirm_delivery()
        channel.basic_publish("orders", "order.1.eu", b"", mandatory=True)
        connection.close()


def main():
    broker.step("connecting")
    connecting()
    connection = connect()
    for scenario in [
        topology,
        publishing,
        consuming,
        request_and_reply,
        errors,
        publish_to_missing_exchange,
        acknowledged_twice,
        transaction,
        renewed_secret,
    ]:
        broker.step(scenario.__name__)
        scenario(connection)
    connection.close()
    broker.step("restarts")
    restarts()
    broker.done()


main()
