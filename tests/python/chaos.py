"""Twenty clients that call the API at random while its processes die, each with a model of what it asked.

Usage: chaos.py SECONDS SEED ENDPOINT...
A client owns the brokers of its name and nobody else's: the last call of it that was accepted says what
must be. A call whose answer is lost is made again until there is one, as SDKs do. Prints `calls` at the
end of the time; after a line on standard input everything runs again, and it compares and prints `agreed`;
after one more it deletes all and prints `gone`.
"""

import random
import sys
import threading
import time

import scenario
from botocore.exceptions import BotoCoreError, ClientError

CLIENTS = 20
TYPES = ["mq.m7g.medium", "mq.m7g.large"]
# What a replica says that is starting or leaving: the call was not taken.
AGAIN = {"ServiceUnavailableException", "ServiceUnavailable", "ThrottlingException", "TooManyRequestsException"}
REFUSED = {"BadRequestException", "ConflictException"}


class Client(threading.Thread):
    def __init__(self, number, seed, apis, until):
        super().__init__(daemon=True)
        self.number = number
        self.random = random.Random(f"{seed}.{number}")
        self.apis = apis
        self.until = until
        # The one broker it has: id, type and tags as accepted last.
        self.broker = None
        self.made = 0
        self.calls = {}
        self.failure = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.step()
                time.sleep(self.random.uniform(0, 0.4))
        except BaseException as error:
            self.failure = f"client {self.number}: {type(error).__name__} {error}"

    def call(self, operation, patience=90.0, **request):
        """Makes the call until somebody answers; returns the answer, or the code of its refusal."""
        deadline = time.monotonic() + patience
        while True:
            api = self.random.choice(self.apis)
            try:
                answer = getattr(api, operation)(**request)
                self.count(operation)
                return answer, None
            except ClientError as error:
                code = scenario.code(error)
                if code in REFUSED or code == "NotFoundException":
                    self.count(operation, code)
                    return None, code
                if code not in AGAIN:
                    raise
            except BotoCoreError:
                pass
            self.count(operation, "lost")
            assert time.monotonic() < deadline, f"nobody answers {operation}"
            time.sleep(0.05)

    def count(self, operation, outcome="done"):
        key = f"{operation} {outcome}"
        self.calls[key] = self.calls.get(key, 0) + 1

    def step(self):
        if self.broker is None:
            self.create()
            return
        action = self.random.choices(
            [self.describe, self.resize, self.tag, self.reboot, self.delete], [6, 3, 4, 2, 2]
        )[0]
        action()

    def create(self):
        self.made += 1
        name = f"client-{self.number}-{self.made}"
        kind, tags = self.random.choice(TYPES), {"round": str(self.made)}
        answer, refusal = self.call(
            "create_broker",
            BrokerName=name,
            CreatorRequestId=name,
            EngineType="RABBITMQ",
            EngineVersion="4.2",
            DeploymentMode="SINGLE_INSTANCE",
            HostInstanceType=kind,
            PubliclyAccessible=False,
            AutoMinorVersionUpgrade=True,
            Users=[{"Username": scenario.USER, "Password": scenario.PASSWORD}],
            Tags=tags,
        )
        assert refusal is None, f"{name}: {refusal}"
        self.broker = {"id": answer["BrokerId"], "arn": answer["BrokerArn"], "name": name, "type": kind, "tags": tags}

    def describe(self):
        found, refusal = self.call("describe_broker", BrokerId=self.broker["id"])
        assert refusal is None, f"{self.broker}: {refusal}"
        self.compare(found)

    def resize(self):
        kind = self.random.choice(TYPES)
        _, refusal = self.call("update_broker", BrokerId=self.broker["id"], HostInstanceType=kind)
        if refusal is None:
            self.broker["type"] = kind
        assert refusal != "NotFoundException", self.broker

    def tag(self):
        tags = {self.random.choice("abc"): str(self.random.randrange(1000))}
        _, refusal = self.call("create_tags", ResourceArn=self.broker["arn"], Tags=tags)
        assert refusal is None, f"{self.broker}: {refusal}"
        self.broker["tags"] = self.broker["tags"] | tags

    def reboot(self):
        _, refusal = self.call("reboot_broker", BrokerId=self.broker["id"])
        assert refusal != "NotFoundException", self.broker

    def delete(self):
        _, refusal = self.call("delete_broker", BrokerId=self.broker["id"])
        # Not found: an earlier try was accepted, and its answer lost.
        if refusal in (None, "NotFoundException"):
            self.broker = None

    def compare(self, found):
        """What an accepted call asked for is in force or pending; nothing else is."""
        assert found["BrokerName"] == self.broker["name"], (found, self.broker)
        assert found["Tags"] == self.broker["tags"], (found["Tags"], self.broker)
        coming = found.get("PendingHostInstanceType", found["HostInstanceType"])
        assert coming == self.broker["type"], (found, self.broker)
        assert found["BrokerState"] in ("CREATION_IN_PROGRESS", "RUNNING", "REBOOT_IN_PROGRESS"), found

    def settle(self):
        """The broker runs, and a reboot gives it what it waits for."""
        if self.broker is None:
            return
        self.compare(scenario.wait_state(self.apis[0], self.broker["id"], "RUNNING", patience=300, pause=1))
        self.call("reboot_broker", BrokerId=self.broker["id"])
        found = scenario.wait_state(self.apis[0], self.broker["id"], "RUNNING", patience=300, pause=1)
        self.compare(found)
        assert "PendingHostInstanceType" not in found, found


def all_of(clients, work):
    """Does it for all clients at once; the first failure is everybody's."""
    failures = []

    def run(client):
        try:
            work(client)
        except BaseException as error:
            failures.append(f"client {client.number}: {type(error).__name__} {error}")

    threads = [threading.Thread(target=run, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, "\n".join(failures)


seconds, seed, *endpoints = sys.argv[1:]
apis = [scenario.mq(endpoint_url=endpoint) for endpoint in endpoints]
until = time.monotonic() + float(seconds)
clients = [Client(number, seed, apis, until) for number in range(CLIENTS)]
for client in clients:
    client.start()
for client in clients:
    client.join()
failures = [client.failure for client in clients if client.failure]
assert not failures, "\n".join(failures)
calls = {}
for client in clients:
    for key, count in client.calls.items():
        calls[key] = calls.get(key, 0) + count
scenario.reached("calls", wait=True, **dict(sorted(calls.items())))

all_of(clients, Client.settle)
mq = apis[0]
wanted = {client.broker["name"]: client.broker["id"] for client in clients if client.broker}
deadline = time.monotonic() + 180
while True:
    pages = mq.get_paginator("list_brokers").paginate()
    listed = [(one["BrokerName"], one["BrokerId"]) for page in pages for one in page["BrokerSummaries"]]
    if sorted(listed) == sorted(wanted.items()):
        break
    # Deleted ones may still be on their way out.
    assert set(wanted.items()) <= set(listed) and time.monotonic() < deadline, (listed, wanted)
    time.sleep(0.2)
scenario.reached("agreed", wait=True, brokers=list(wanted.values()))

all_of([client for client in clients if client.broker], lambda client: mq.delete_broker(BrokerId=client.broker["id"]))
for broker_id in wanted.values():
    scenario.wait_gone(mq, broker_id, patience=180)
scenario.reached("gone", wait=True)
