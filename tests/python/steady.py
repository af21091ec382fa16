"""Publishes with confirms on one connection until told to stop; says `alive` after every fifth.

Usage: steady.py HOST PORT
"""

import sys
import threading
import time

import scenario

stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
connection = scenario.pika.BlockingConnection(scenario.parameters(sys.argv[1], int(sys.argv[2])))
channel = connection.channel()
channel.queue_declare("steady", durable=True)
channel.confirm_delivery()
count = 0
while not stop.is_set():
    channel.basic_publish("", "steady", b"tick", scenario.pika.BasicProperties(delivery_mode=2))
    count += 1
    if count % 5 == 0:
        scenario.reached("alive", count=count)
    time.sleep(0.02)
assert channel.queue_declare("steady", passive=True).method.message_count == count
connection.close()
scenario.reached("steady", count=count)
