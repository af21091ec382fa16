"""An order service with aio-pika: robust connections, which restore what they declared."""

import asyncio
import ssl

import aio_pika
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.exceptions import (
    AMQPError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused

import broker

PATIENCE_S = 30


def url(port=broker.PORT, host=broker.HOST, user=broker.USER, password=broker.PASSWORD, query=""):
    return f"amqp://{user}:{password}@{host}:{port}/?{query}"


def persistent(body, **more):
    return Message(str(body).encode(), delivery_mode=DeliveryMode.PERSISTENT, **more)


async def raises(expected, awaitable):
    try:
        await awaitable
    except expected as error:
        return error
    raise AssertionError(f"{expected} was not raised")


async def connecting():
    trusted = ssl.create_default_context(cafile=broker.CA)
    secure = dict(host=broker.HOST, port=broker.TLS_PORT, ssl=True, ssl_context=trusted)
    ways = [
        aio_pika.connect(url(query="name=orders&heartbeat=30")),
        aio_pika.connect(login=broker.USER, password=broker.PASSWORD, **secure),
    ]
    if broker.PORT_V6:
        ways.append(aio_pika.connect(url(host="[::1]", port=broker.PORT_V6)))
    for way in ways:
        async with await way as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            body = bytes(range(256)) * 1000
            await channel.default_exchange.publish(Message(body), queue.name)
            assert (await queue.get(no_ack=True)).body == body
    await raises(ProbableAuthenticationError, aio_pika.connect(url(password="wrong")))


async def topology(channel):
    unrouted = await channel.declare_exchange("unrouted", ExchangeType.FANOUT, durable=True)
    orders = await channel.declare_exchange(
        "orders", ExchangeType.TOPIC, durable=True, arguments={"alternate-exchange": "unrouted"}
    )
    lost = await channel.declare_queue("lost", durable=True)
    await lost.bind(unrouted)
    refused = await channel.declare_queue("refused", durable=True)
    eu = await channel.declare_queue(
        "eu",
        durable=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "refused"},
    )
    await eu.bind(orders, "order.*.eu")
    return orders, eu, lost, refused


async def publishing(channel, orders, eu, lost):
    await orders.publish(persistent(1, headers={"n": 2**40, "nested": {"a": [1, "b"]}}), "order.1.eu")
    message = await eu.get()
    assert message.headers == {"n": 2**40, "nested": {"a": [1, "b"]}}
    await message.ack()
    await orders.publish(persistent(2), "order.2.us")
    assert (await lost.get(no_ack=True)).routing_key == "order.2.us"
    error = await raises(
        DeliveryError, channel.default_exchange.publish(persistent(3), "nowhere")
    )
    assert "312" in repr(error) or "NO_ROUTE" in repr(error), repr(error)


async def consuming(channel, orders, eu, refused):
    await channel.set_qos(prefetch_count=3)
    await asyncio.gather(*(orders.publish(persistent(n), f"order.{n}.eu") for n in range(10)))
    held, seen = [], []
    full = asyncio.Event()

    async def take(message):
        seen.append((int(message.body), message.redelivered))
        held.append(message)
        if len(held) == 3:
            full.set()

    tag = await eu.consume(take)
    await asyncio.wait_for(full.wait(), PATIENCE_S)
    assert [number for number, _ in seen] == [0, 1, 2], seen
    await held[0].ack()
    await held[1].nack(requeue=True)
    await held[2].reject(requeue=False)
    full.clear()
    del held[:]
    await asyncio.wait_for(full.wait(), PATIENCE_S)
    assert (1, True) in seen, seen
    dead = await refused.get(no_ack=True)
    assert dead.headers["x-death"][0]["reason"] == "rejected"
    await eu.cancel(tag)
    await held[-1].ack(multiple=True)
    await eu.purge()


async def errors(connection):
    async def on_channel(call):
        channel = await connection.channel()
        return await call(channel)

    cases = [
        (ChannelNotFoundEntity, lambda c: c.declare_queue("none", passive=True)),
        (ChannelNotFoundEntity, lambda c: c.declare_exchange("none", passive=True)),
        (ChannelPreconditionFailed, lambda c: c.declare_queue("eu", durable=False)),
        (ChannelAccessRefused, lambda c: c.declare_queue("amq.mine")),
    ]
    for expected, call in cases:
        async with await aio_pika.connect(url()) as connection:
            await raises(expected, on_channel(call))
            # The error was the channel's alone.
            assert await on_channel(lambda c: c.declare_queue(exclusive=True))


async def transaction(connection):
    channel = await connection.channel(publisher_confirms=False)
    queue = await channel.declare_queue(exclusive=True)
    async with channel.transaction():
        await channel.default_exchange.publish(Message(b"meant"), queue.name)
        assert await queue.get(fail=False) is None
    assert (await queue.get(no_ack=True)).body == b"meant"
    await channel.close()


async def restarts(connection, orders, eu):
    """A consumer and a publisher go on through restarts, and nothing that was confirmed is lost."""
    confirmed, received = set(), {}
    stop = asyncio.Event()

    async def publish():
        number = 0
        while not stop.is_set():
            try:
                await asyncio.wait_for(orders.publish(persistent(number), "order.x.eu"), 5)
                confirmed.add(number)
            except (AMQPError, OSError, RuntimeError, asyncio.TimeoutError):
                await asyncio.sleep(0.05)
            number += 1
            await asyncio.sleep(0.002)

    async def take(message):
        number = int(message.body)
        assert number not in received or message.redelivered, number
        received[number] = True
        try:
            await message.ack()
        except (AMQPError, OSError, RuntimeError):
            # The acknowledgement is lost with the connection: the message comes again.
            pass

    await eu.consume(take)
    publisher = asyncio.create_task(publish())
    for how in ["killed", "stopped", "killed"]:
        before = len(confirmed)
        await until(lambda: len(confirmed) > before + 50, "nothing was confirmed")
        await asyncio.to_thread(broker.restart, how)
    before = len(confirmed)
    await until(lambda: len(confirmed) > before + 50, "publishing did not recover")
    stop.set()
    await publisher
    await until(lambda: confirmed <= received.keys(), "a confirmed message is missing")


async def until(condition, complaint):
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, complaint
        await asyncio.sleep(0.02)


async def main():
    broker.step("connecting")
    await connecting()
    connection = await aio_pika.connect_robust(url(), reconnect_interval=0.1)
    channel = await connection.channel(on_return_raises=True)
    broker.step("topology")
    orders, eu, lost, refused = await topology(channel)
    broker.step("publishing")
    await publishing(channel, orders, eu, lost)
    broker.step("consuming")
    await consuming(channel, orders, eu, refused)
    broker.step("errors")
    await errors(connection)
    broker.step("transaction")
    await transaction(connection)
    broker.step("restarts")
    await restarts(connection, orders, eu)
    await connection.close()
    broker.done()


asyncio.run(main())
