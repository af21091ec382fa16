"""Celery: a worker in a process of its own, and a task set with retries through broker restarts."""

import os
import subprocess
import sys
import tempfile
import time

from celery import group
from kombu.exceptions import OperationalError

import broker
from tasks import add, hopeless, record, stubborn

PATIENCE_S = 60


def worker():
    here = os.path.dirname(os.path.abspath(__file__))
    options = ["--pool=threads", "--concurrency=4", "--loglevel=warning", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "tasks", "--workdir", here, "worker"]
    # Its words go where this program's errors go: standard output is for the test.
    return subprocess.Popen(command + options, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def persistently(send):
    """A broker that is coming back refuses connections for a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return send()
        except (OperationalError, OSError):
            assert time.monotonic() < deadline, "the broker is not back"
            time.sleep(0.1)


def main():
    process = worker()
    try:
        broker.step("results")
        numbers = group(add.s(n, n) for n in range(50))().get(timeout=PATIENCE_S)
        assert numbers == [2 * n for n in range(50)], numbers

        broker.step("retries")
        tries = group(stubborn.s(n) for n in range(4))().get(timeout=PATIENCE_S)
        assert tries == [1, 2, 3, 4], tries
        error = hopeless.delay().get(timeout=PATIENCE_S, propagate=False)
        assert isinstance(error, ValueError), error

        broker.step("countdown and priority")
        started = time.monotonic()
        later = add.apply_async((1, 2), countdown=0.5, priority=9)
        assert later.get(timeout=PATIENCE_S) == 3
        assert time.monotonic() - started >= 0.5

        broker.step("restarts")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "done")
            sent = 0
            for how in ["stopped", "killed"]:
                for _ in range(40):
                    persistently(lambda: record.delay(path, sent))
                    sent += 1
                await_lines(path, sent - 30)
                broker.restart(how)
            persistently(lambda: record.delay(path, sent))
            # None is lost; what was in hand when the broker went may be done twice.
            await_lines(path, sent + 1)
        assert process.poll() is None, "the worker ended"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    broker.done()


def await_lines(path, count):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = set()
        if os.path.exists(path):
            with open(path) as file:
                done = {int(line) for line in file}
        if len(done) >= count:
            return
        assert time.monotonic() < deadline, f"{sorted(done)} of {count}"
        time.sleep(0.05)


main()
