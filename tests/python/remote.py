"""Does what the lines on standard input say, and answers each with one line.

create NAME [TOKEN]   -> the broker's id
wait ID               -> host and port of AMQPS, once the broker runs
state ID | reboot ID | delete ID | gone ID | names
endpoint URL          -> from here on, the API is there
trace TRACEPARENT     -> from here on, calls are a part of this span
A call that fails answers `error`, the error's code and its message.
"""

import os
import sys

import scenario
from botocore.exceptions import BotoCoreError, ClientError

mq = scenario.mq()


def answer(verb, *words):
    global mq
    if verb == "create":
        token = {"CreatorRequestId": words[1]} if len(words) > 1 else {}
        return scenario.create(mq, words[0], **token)
    if verb == "wait":
        host, port = scenario.endpoint(scenario.wait_state(mq, words[0], "RUNNING"))
        return f"{host} {port}"
    if verb == "state":
        return mq.describe_broker(BrokerId=words[0])["BrokerState"]
    if verb == "reboot":
        mq.reboot_broker(BrokerId=words[0])
        return "rebooting"
    if verb == "delete":
        mq.delete_broker(BrokerId=words[0])
        return "deleting"
    if verb == "gone":
        scenario.wait_gone(mq, words[0])
        return "gone"
    if verb == "names":
        brokers = mq.get_paginator("list_brokers").paginate().build_full_result()["BrokerSummaries"]
        return " ".join(sorted(broker["BrokerName"] for broker in brokers))
    if verb == "endpoint":
        os.environ["AWS_ENDPOINT_URL_MQ"] = words[0]
        mq = scenario.mq()
        return words[0]
    if verb == "trace":
        mq.meta.events.register("before-call.mq", lambda params, **_: params["headers"].update(traceparent=words[0]))
        return words[0]
    raise AssertionError(f"unknown: {verb}")


for line in sys.stdin:
    try:
        print("=", answer(*line.split()), flush=True)
    except ClientError as error:
        print("= error", scenario.code(error), str(error), flush=True)
    except BotoCoreError as error:
        print("= error", type(error).__name__, flush=True)
