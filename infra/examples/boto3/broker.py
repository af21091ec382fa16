"""A broker with a configuration of its own, through boto3. Run again, it finds what is there.

Usage: broker.py NAME [--delete]
"""

import argparse
import base64
import os
import time

import boto3

SETTINGS = b"consumer_timeout = 3600000\n"

mq = boto3.client("mq")


def broker(name):
    pages = mq.get_paginator("list_brokers").paginate()
    return next((one for page in pages for one in page["BrokerSummaries"] if one["BrokerName"] == name), None)


def configuration(name):
    token = {}
    while True:
        page = mq.list_configurations(**token)
        for found in page["Configurations"]:
            if found["Name"] == name:
                return found
        if "NextToken" not in page:
            return None
        token = {"NextToken": page["NextToken"]}


def running(broker_id):
    """Waits for it: the service has no waiter for brokers."""
    while True:
        found = mq.describe_broker(BrokerId=broker_id)
        if found["BrokerState"] == "RUNNING":
            return found
        if found["BrokerState"] in ("CREATION_FAILED", "CRITICAL_ACTION_REQUIRED"):
            raise SystemExit(f"{broker_id}: {found['BrokerState']} {found.get('ActionsRequired', '')}")
        time.sleep(1)


def make(name, password):
    found = configuration(name) or mq.create_configuration(Name=name, EngineType="RABBITMQ", EngineVersion="4.2")
    updated = mq.update_configuration(
        ConfigurationId=found["Id"],
        Data=base64.b64encode(SETTINGS).decode(),
        Description="Consumers may take an hour",
    )
    for warning in updated.get("Warnings", []):
        print("left out:", warning)
    wanted = {"Id": found["Id"], "Revision": updated["LatestRevision"]["Revision"]}
    there = broker(name)
    if there is None:
        created = mq.create_broker(
            BrokerName=name,
            EngineType="RABBITMQ",
            EngineVersion="4.2",
            DeploymentMode="SINGLE_INSTANCE",
            HostInstanceType="mq.m7g.medium",
            PubliclyAccessible=False,
            AutoMinorVersionUpgrade=True,
            Configuration=wanted,
            Users=[{"Username": "operator", "Password": password}],
            Tags={"made-by": "boto3"},
        )
        return running(created["BrokerId"])
    mq.update_broker(BrokerId=there["BrokerId"], Configuration=wanted)
    running(there["BrokerId"])
    mq.reboot_broker(BrokerId=there["BrokerId"])
    return running(there["BrokerId"])


def delete(name):
    there = broker(name)
    if there is not None:
        mq.delete_broker(BrokerId=there["BrokerId"])
        # A deleted broker holds its configuration until it is gone.
        while broker(name) is not None:
            time.sleep(1)
    found = configuration(name)
    if found is not None:
        mq.delete_configuration(ConfigurationId=found["Id"])


arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("name")
arguments.add_argument("--delete", action="store_true", help="take the broker and its configuration away")
options = arguments.parse_args()
if options.delete:
    delete(options.name)
else:
    made = make(options.name, os.environ.get("BROKER_PASSWORD", "correct-horse-battery"))
    print(*made["BrokerInstances"][0]["Endpoints"], sep="\n")
