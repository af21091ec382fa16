"""Where the broker is, and how to have it restarted."""

import os
import sys

HOST = "127.0.0.1"
PORT = int(os.environ["AMQP_PORT"])
TLS_PORT = int(os.environ["AMQPS_PORT"])
MANAGEMENT_PORT = int(os.environ["MANAGEMENT_PORT"])
CA = os.environ["AMQP_CA"]
USER = PASSWORD = "guest"
# Absent on machines without IPv6.
PORT_V6 = os.environ.get("AMQP_PORT_V6")


def restart(how):
    """Returns when the broker was "killed" or "stopped" and is ready again."""
    print("restart", how, flush=True)
    line = sys.stdin.readline().strip()
    assert line == "restarted", line


def step(name):
    print("--", name, flush=True)


def done():
    print("done", flush=True)
