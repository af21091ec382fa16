"""What the test scripts share: the API and broker clients, waiting, and talking to the test.

A script is driven by the test that started it: `reached` prints where it is and, when asked to,
waits for one line on standard input.
"""

import json
import os
import ssl
import sys
import time
from urllib.parse import urlparse

import boto3
import pika
from botocore.config import Config
from botocore.exceptions import ClientError

PASSWORD = "correct-horse-battery"
USER = "operator"

# What a request to create a broker says, but for its name.
RABBITMQ = {
    "EngineType": "RABBITMQ",
    "EngineVersion": "4.2",
    "DeploymentMode": "SINGLE_INSTANCE",
    "HostInstanceType": "mq.m7g.medium",
    "PubliclyAccessible": False,
    "AutoMinorVersionUpgrade": True,
    "Users": [{"Username": USER, "Password": PASSWORD}],
}


def reached(event, wait=False, **facts):
    print(event, json.dumps(facts), flush=True)
    if wait:
        sys.stdin.readline()


def mq(**options):
    """A client that never retries: a test wants to see the first answer."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
    return boto3.client("mq", config=config, **options)


def create(client, name, **changes):
    request = {"BrokerName": name} | RABBITMQ | changes
    return client.create_broker(**request)["BrokerId"]


def wait_state(client, broker_id, wanted, patience=60.0, pause=0.05):
    """Describes the broker until it is in the wanted state, every `pause` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            broker = client.describe_broker(BrokerId=broker_id)
        except ClientError as error:
            assert is_throttled(error), error
            time.sleep(1)
            continue
        if broker["BrokerState"] == wanted:
            return broker
        if broker["BrokerState"] == "CREATION_FAILED" or time.monotonic() > deadline:
            raise AssertionError(f"{broker['BrokerState']} and not {wanted}: {broker}")
        time.sleep(pause)


def wait_gone(client, broker_id, patience=60.0):
    deadline = time.monotonic() + patience
    while True:
        try:
            broker = client.describe_broker(BrokerId=broker_id)
        except ClientError as error:
            if is_throttled(error):
                time.sleep(1)
                continue
            assert code(error) == "NotFoundException", error
            return
        assert broker["BrokerState"] == "DELETION_IN_PROGRESS", broker
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.05)


def is_throttled(error):
    """Whoever waits beside others may ask too often: it waits longer, as SDKs do."""
    return code(error) == "TooManyRequestsException"


def code(error):
    return error.response["Error"]["Code"]


def refused(call, **arguments):
    """The code, message and attribute of the error that a call must answer with."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        response = error.response
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        return status, code(error), response["Error"]["Message"], response.get("ErrorAttribute")
    raise AssertionError(f"not refused: {answer}")


def endpoint(broker, scheme="amqps"):
    """Host and port of a running broker's endpoint."""
    endpoints = broker["BrokerInstances"][0]["Endpoints"]
    url = next(urlparse(found) for found in endpoints if found.startswith(scheme + "://"))
    return url.hostname, url.port


def parameters(host, port, tls=True, user=USER, password=PASSWORD, **options):
    secure = None
    if tls:
        context = ssl.create_default_context(cafile=os.environ["WARREN_CA"])
        secure = pika.SSLOptions(context, server_hostname=host)
    return pika.ConnectionParameters(
        host=host,
        port=port,
        credentials=pika.PlainCredentials(user, password),
        ssl_options=secure,
        connection_attempts=1,
        socket_timeout=5,
        stack_timeout=10,
        blocked_connection_timeout=20,
        **options,
    )


def connect(broker, **options):
    return pika.BlockingConnection(parameters(*endpoint(broker), **options))


def version(connection):
    """The version that a broker presented itself with; pika keeps it to itself."""
    return connection._impl.server_properties["version"]
