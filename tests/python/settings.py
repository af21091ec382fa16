"""What owners set acts on the broker: configurations after a reboot, users at once, alarms while they last."""

import base64
import time

import scenario

mq = scenario.mq()
POISON = "another-horse-battery"


def heartbeat(broker, user=scenario.USER, password=scenario.PASSWORD):
    """The interval that the broker suggests to a client that has no wish of its own."""
    connection = scenario.connect(broker, user=user, password=password, heartbeat=lambda _, offered: offered)
    offered = connection._impl.params.heartbeat
    connection.close()
    return offered


def configuration(name, text, **changes):
    request = {"Name": name, "EngineType": "RABBITMQ", "EngineVersion": "4.2"} | changes
    made = mq.create_configuration(**request)
    data = base64.b64encode(text.encode()).decode()
    return made["Id"], mq.update_configuration(ConfigurationId=made["Id"], Data=data)


def apply(broker_id, configuration_id):
    mq.update_broker(BrokerId=broker_id, Configuration={"Id": configuration_id})
    mq.reboot_broker(BrokerId=broker_id)
    return scenario.wait_state(mq, broker_id, "RUNNING")


def eventually(what, check, patience=30.0):
    deadline = time.monotonic() + patience
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def can_log_in(broker, user, password):
    try:
        scenario.connect(broker, user=user, password=password).close()
        return True
    except scenario.pika.exceptions.AMQPConnectionError:
        return False


broker_id = scenario.create(mq, "settings")
broker = scenario.wait_state(mq, broker_id, "RUNNING")
assert heartbeat(broker) == 60, heartbeat(broker)

# A setting acts after the reboot, and not before.
good, _ = configuration("good", "heartbeat = 120\nconsumer_timeout = 1000\n")
mq.update_broker(BrokerId=broker_id, Configuration={"Id": good})
assert heartbeat(broker) == 60
mq.reboot_broker(BrokerId=broker_id)
broker = scenario.wait_state(mq, broker_id, "RUNNING")
assert heartbeat(broker) == 120, heartbeat(broker)
connection = scenario.connect(broker)
channel = connection.channel()
channel.queue_declare("slow")
channel.basic_publish("", "slow", b"too long")
channel.basic_consume("slow", lambda *_: None)
connection.call_later(30, channel.stop_consuming)
try:
    channel.start_consuming()
    raise AssertionError("a consumer may keep a delivery for ever")
except scenario.pika.exceptions.ChannelClosedByBroker as error:
    assert error.reply_code == 406, error
connection.close()

# The test made revision 2 of this one unreadable for the engine: the broker goes on with what it had.
broken, _ = configuration("broken", "heartbeat = 300\n")
scenario.reached("broken", wait=True, configuration_id=broken)
broker = apply(broker_id, broken)
current = broker["Configurations"]["Current"]
assert current["Id"] == good, current
assert broker["Configurations"].get("Pending") is None, broker["Configurations"]
assert heartbeat(broker) == 120, heartbeat(broker)

# Users act at once.
mq.create_user(BrokerId=broker_id, Username="reader", Password=scenario.PASSWORD, ConsoleAccess=True)
eventually("the new user can log in", lambda: can_log_in(broker, "reader", scenario.PASSWORD))
mq.update_user(BrokerId=broker_id, Username="reader", Password=POISON)
eventually("the new password holds", lambda: can_log_in(broker, "reader", POISON))
assert not can_log_in(broker, "reader", scenario.PASSWORD)
mq.reboot_broker(BrokerId=broker_id)
broker = scenario.wait_state(mq, broker_id, "RUNNING")
assert can_log_in(broker, "reader", POISON), "users outlive a reboot"
mq.delete_user(BrokerId=broker_id, Username="reader")
eventually("the user is gone", lambda: not can_log_in(broker, "reader", POISON))
assert can_log_in(broker, scenario.USER, scenario.PASSWORD)
assert not can_log_in(broker, "guest", "guest")
scenario.reached("users", wait=True)

# The test gives the node too little memory.
short = scenario.wait_state(mq, broker_id, "CRITICAL_ACTION_REQUIRED")
actions = [action["ActionRequiredCode"] for action in short["ActionsRequired"]]
assert actions == ["RABBITMQ_MEMORY_ALARM"], short["ActionsRequired"]
status, code, message, attribute = scenario.refused(mq.reboot_broker, BrokerId=broker_id)
assert (status, code, attribute) == (400, "BadRequestException", "broker-id"), (status, code, attribute)
assert message.startswith(f"Broker [{broker_id}] can't be rebooted while it raises [RABBITMQ_MEMORY_ALARM]."), message
scenario.reached("memory", wait=True)
enough = scenario.wait_state(mq, broker_id, "RUNNING")
assert enough["ActionsRequired"] == [], enough

# An alarm is a critical action while it lasts, forbids a reboot, and goes by itself.
full, _ = configuration(
    "full", "[main]\nfree_disk_min = 1000000000000000\n", EngineType="LAVINMQ", EngineVersion="2.9"
)
roomy, _ = configuration("roomy", "[main]\nfree_disk_min = 1\n", EngineType="LAVINMQ", EngineVersion="2.9")
lavin_id = scenario.create(
    mq, "alarmed", EngineType="LAVINMQ", EngineVersion="2.9", Configuration={"Id": full}
)
lavin = scenario.wait_state(mq, lavin_id, "CRITICAL_ACTION_REQUIRED")
actions = [action["ActionRequiredCode"] for action in lavin["ActionsRequired"]]
assert actions == ["RABBITMQ_DISK_ALARM"], lavin["ActionsRequired"]
status, code, message, attribute = scenario.refused(mq.reboot_broker, BrokerId=lavin_id)
assert (status, code, attribute) == (400, "BadRequestException", "broker-id"), (status, code, attribute)
assert "RABBITMQ_DISK_ALARM" in message, message
healed = apply(lavin_id, roomy)
assert healed["ActionsRequired"] == [], healed
assert scenario.connect(healed).is_open
scenario.reached("alarms")
