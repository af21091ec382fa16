"""Two accounts see nothing of each other.

Usage: accounts.py OTHER_KEY_ID OTHER_SECRET
"""

import sys

import scenario

ours = scenario.mq()
theirs = scenario.mq(aws_access_key_id=sys.argv[1], aws_secret_access_key=sys.argv[2])
broker_id = scenario.create(ours, "private")
broker = ours.describe_broker(BrokerId=broker_id)
arn = broker["BrokerArn"]

assert [found["BrokerId"] for found in ours.list_brokers()["BrokerSummaries"]] == [broker_id]
assert theirs.list_brokers()["BrokerSummaries"] == []
for call in (theirs.describe_broker, theirs.reboot_broker, theirs.delete_broker):
    status, code, message, attribute = scenario.refused(call, BrokerId=broker_id)
    assert (status, code) == (404, "NotFoundException"), (status, code, message)
for call, arguments in (
    (theirs.list_tags, {}),
    (theirs.create_tags, {"Tags": {"a": "b"}}),
    (theirs.delete_tags, {"TagKeys": ["a"]}),
):
    status, code, message, _ = scenario.refused(call, ResourceArn=arn, **arguments)
    assert (status, code) in ((404, "NotFoundException"), (403, "AccessDeniedException")), (status, code)

# A name is taken only within an account.
other_id = scenario.create(theirs, "private")
assert other_id != broker_id
broker = scenario.wait_state(ours, broker_id, "RUNNING")
other = scenario.wait_state(theirs, other_id, "RUNNING")
assert broker["BrokerArn"].split(":")[4] != other["BrokerArn"].split(":")[4]
assert scenario.endpoint(broker) != scenario.endpoint(other)
for client, identity in ((ours, broker_id), (theirs, other_id)):
    client.delete_broker(BrokerId=identity)
    scenario.wait_gone(client, identity)
scenario.reached("separate")
