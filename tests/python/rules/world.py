"""The servers that scenarios run against, as boto3 sees them, and what the test that started them does at their request.

Every answer is held against the service model, and remembered for the inventory.
"""

import itertools
import json
import os

import boto3
import validate_shapes
from botocore.config import Config
from botocore.exceptions import ClientError
from scenario import PASSWORD, RABBITMQ, reached

REGION, OTHER_REGION = "us-east-1", "us-west-2"
NUMBERS = itertools.count(1)

LAVINMQ = RABBITMQ | {"EngineType": "LAVINMQ", "EngineVersion": "2.9"}
ACTIVEMQ = RABBITMQ | {"EngineType": "ACTIVEMQ", "EngineVersion": "5.19", "HostInstanceType": "mq.m5.large"}
STANDBY = ACTIVEMQ | {"DeploymentMode": "ACTIVE_STANDBY_MULTI_AZ"}
CLUSTER = RABBITMQ | {"DeploymentMode": "CLUSTER_MULTI_AZ"}


class World:
    """One server, and the calls to it. `seen` is a set of operations with the code of their answer, None for success."""

    def __init__(self, name, facts, seen):
        self.name, self.endpoint, self.account = name, facts["endpoint"], facts["account"]
        self.keys, self.seen = facts["keys"], seen
        self.mq = self.client(self.keys["root"])

    def client(self, key, region=REGION, token=None, **config):
        """A client that checks nothing by itself and never retries: the first answer of the server counts."""
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, **config)
        client = boto3.client(
            "mq",
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=token,
            config=config,
        )
        client.meta.events.register("after-call.mq", self.note)
        return client

    def note(self, http_response, parsed, model, **_):
        deviations = validate_shapes.check_answer(
            {
                "operation": model.name,
                "status": http_response.status_code,
                "headers": {name.lower(): value for name, value in http_response.headers.items()},
                "body": http_response.text,
            }
        )
        assert not (found := list(deviations)), (model.name, found, http_response.text)
        self.seen.add((model.name, parsed.get("Error", {}).get("Code")))

    def create(self, request=RABBITMQ, client=None, **changes):
        """A broker with a name of its own, which nothing makes run."""
        request = without_nothing({"BrokerName": name("broker")} | request | changes)
        return (client or self.mq).create_broker(**request)["BrokerId"]

    def running(self, request=RABBITMQ, client=None, **changes):
        broker_id = self.create(request, client, **changes)
        self.settle(broker_id)
        return broker_id

    def settle(self, broker_id):
        """Makes it true that the broker runs as it shall."""
        self.ask("settle", broker=broker_id)

    def ask(self, event, **facts):
        """Has the test do what no caller can."""
        reached(event, wait=True, world=self.name, **facts)

    def state(self, broker_id, client=None):
        return (client or self.mq).describe_broker(BrokerId=broker_id)["BrokerState"]


def worlds(seen):
    return {name: World(name, facts, seen) for name, facts in json.loads(os.environ["WARREN_WORLDS"]).items()}


def name(kind):
    return f"{kind}-{next(NUMBERS)}"


def without_nothing(request):
    """A change to None takes the member out of a request."""
    return {member: value for member, value in request.items() if value is not None}


def refused(call, status, code, attribute, message, **request):
    """Holds that a call is refused in exactly these words."""
    try:
        answer = call(**request)
    except ClientError as error:
        response = error.response
        found = (
            response["ResponseMetadata"]["HTTPStatusCode"],
            response["Error"]["Code"],
            response.get("ErrorAttribute"),
            response["Error"]["Message"],
        )
        expected = (status, code, attribute, message)
        assert found == expected, f"{request}\n  found    {found}\n  expected {expected}"
        return
    raise AssertionError(f"not refused with {message!r}: {request}: {answer}")


def bad(call, attribute, message, **request):
    refused(call, 400, "BadRequestException", attribute, message, **request)


def conflict(call, attribute, message, **request):
    refused(call, 409, "ConflictException", attribute, message, **request)


def unknown(call, noun, attribute, value, **request):
    message = f"Can't find requested {noun} [{value}]. Make sure your {noun} exists."
    refused(call, 404, "NotFoundException", attribute, message, **request)
