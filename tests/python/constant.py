"""Calls without a pause and without a retry, until told to stop: every call has to be answered.

A call that finds nobody at the other end may be made again, as any client does; one that was sent
and lost is a failure.
"""

import os
import sys
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError
from scenario import RABBITMQ

THREADS = 6

stop = threading.Event()
lock = threading.Lock()
calls, failures = 0, []


def client():
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client("mq", endpoint_url=os.environ["AWS_ENDPOINT_URL_MQ"], config=once)


def broker(name):
    return {"BrokerName": name} | RABBITMQ


def one(mq, thread, turn):
    """Reads, and writes that leave nothing behind but configurations."""
    match turn % 4:
        case 0:
            mq.list_brokers()
        case 1:
            mq.describe_broker_engine_types()
        case 2:
            mq.create_configuration(
                Name=f"rolling-{thread}-{turn}", EngineType="RABBITMQ", EngineVersion="4.2"
            )
        case _:
            mq.describe_broker(BrokerId=broker_id)


def work(thread):
    global calls
    mq, turn = client(), 0
    while not stop.is_set():
        turn += 1
        try:
            one(mq, thread, turn)
        except (EndpointConnectionError, ConnectTimeoutError):
            continue
        except Exception as error:  # every other end is what must not happen
            with lock:
                failures.append(f"{type(error).__name__}: {error}")
        with lock:
            calls += 1


broker_id = client().create_broker(**broker("rolling"))["BrokerId"]
threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
print("calling", broker_id, flush=True)
for line in sys.stdin:
    if line.strip() == "count":
        with lock:
            print(f"calls {calls} failures {len(failures)}", flush=True)
    else:
        break
stop.set()
for thread in threads:
    thread.join()
for failure in failures[:10]:
    print(failure)
print(f"ended calls {calls} failures {len(failures)}", flush=True)
