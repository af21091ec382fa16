"""Reboots a broker and waits until it runs.

Usage: reboot.py BROKER_ID
"""

import sys

import scenario

mq = scenario.mq()
mq.reboot_broker(BrokerId=sys.argv[1])
scenario.wait_state(mq, sys.argv[1], "RUNNING")
