"""Creates a broker, waits until it runs, and prints its id and where AMQPS is served.

Usage: running.py NAME
"""

import sys

import scenario

mq = scenario.mq()
broker_id = scenario.create(mq, sys.argv[1])
host, port = scenario.endpoint(scenario.wait_state(mq, broker_id, "RUNNING"))
print(broker_id, host, port)
