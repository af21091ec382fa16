"""A broker's life through boto3: create, use over TLS, reboot, delete."""

import time

import scenario

mq = scenario.mq()
started = time.monotonic()
broker_id = scenario.create(mq, "lifecycle", EngineVersion="3.13", Tags={"team": "blue"})
created = mq.describe_broker(BrokerId=broker_id)
assert created["BrokerState"] in ("CREATION_IN_PROGRESS", "RUNNING"), created
assert created["BrokerState"] == "RUNNING" or created["BrokerInstances"] == [], created
broker = scenario.wait_state(mq, broker_id, "RUNNING")
create_s = time.monotonic() - started

assert broker["EngineType"] == "RabbitMQ", broker
assert broker["Users"] == [{"Username": scenario.USER}], broker
assert broker["Tags"] == {"team": "blue"}, broker
instance = broker["BrokerInstances"][0]
assert instance["ConsoleURL"].startswith("https://"), instance
assert instance["IpAddress"] in instance["ConsoleURL"], instance

connection = scenario.connect(broker)
assert scenario.version(connection).startswith("3.13"), scenario.version(connection)
channel = connection.channel()
channel.queue_declare("kept", durable=True)
channel.confirm_delivery()
channel.basic_publish("", "kept", b"survives", scenario.pika.BasicProperties(delivery_mode=2))
connection.close()

configuration = mq.create_configuration(Name="lifecycle-next", EngineType="RABBITMQ", EngineVersion="4.2")
revision = {"Id": configuration["Id"], "Revision": 1}
updated = mq.update_broker(BrokerId=broker_id, EngineVersion="4.2", Configuration={"Id": configuration["Id"]})
assert (updated["EngineVersion"], updated["Configuration"]) == ("4.2", revision), updated
pending = mq.describe_broker(BrokerId=broker_id)
assert (pending["EngineVersion"], pending["PendingEngineVersion"]) == ("3.13", "4.2"), pending
assert pending["Configurations"]["Pending"] == revision, pending

scenario.reached("running", wait=True, broker_id=broker_id)
started = time.monotonic()
mq.reboot_broker(BrokerId=broker_id)
assert mq.describe_broker(BrokerId=broker_id)["BrokerState"] in ("REBOOT_IN_PROGRESS", "RUNNING")
rebooted = scenario.wait_state(mq, broker_id, "RUNNING")
reboot_s = time.monotonic() - started
assert rebooted["BrokerInstances"] == broker["BrokerInstances"], (rebooted, broker)

assert (rebooted["EngineVersion"], "PendingEngineVersion" in rebooted) == ("4.2", False), rebooted
assert rebooted["Configurations"]["Current"] == revision, rebooted
assert rebooted["Configurations"]["History"] == [broker["Configurations"]["Current"]], rebooted

connection = scenario.connect(rebooted)
assert scenario.version(connection).startswith("4.2"), scenario.version(connection)
channel = connection.channel()
assert channel.queue_declare("kept", passive=True).method.message_count == 1
method, properties, body = channel.basic_get("kept", auto_ack=True)
assert body == b"survives" and properties.delivery_mode == 2
connection.close()

scenario.reached("rebooted", wait=True)
started = time.monotonic()
assert mq.delete_broker(BrokerId=broker_id)["BrokerId"] == broker_id
scenario.wait_gone(mq, broker_id)
delete_s = time.monotonic() - started
status, code, message, attribute = scenario.refused(mq.describe_broker, BrokerId=broker_id)
assert (status, code, attribute) == (404, "NotFoundException", "broker-id"), (status, code, attribute)
assert message == f"Can't find requested broker [{broker_id}]. Make sure your broker exists.", message
scenario.reached("deleted", wait=True, create_s=create_s, reboot_s=reboot_s, delete_s=delete_s)
