"""The application: tasks that succeed, that need a second try, and that outlive a worker's broker."""

import os
import time

from celery import Celery

PORT = os.environ["AMQP_PORT"]

app = Celery("orders", broker=f"amqp://guest:guest@127.0.0.1:{PORT}//", backend="rpc://")
app.conf.update(
    result_persistent=True,
    task_acks_late=True,
    task_default_queue="orders",
    task_queue_max_priority=10,
    worker_prefetch_multiplier=2,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_heartbeat=5,
)


@app.task
def add(left, right):
    return left + right


@app.task(bind=True, max_retries=5)
def stubborn(self, failures):
    """Fails so many times, and tells how often it was tried."""
    if self.request.retries < failures:
        raise self.retry(countdown=0.1)
    return self.request.retries + 1


@app.task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1, "countdown": 0.1})
def hopeless():
    raise ValueError("never works")


@app.task(bind=True, ignore_result=True, max_retries=5)
def record(self, path, number):
    """Slow, and done at the second try: it leaves a line where the program can see it."""
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)
    time.sleep(0.05)
    with open(path, "a") as file:
        file.write(f"{number}\n")
