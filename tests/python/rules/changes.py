"""UpdateBroker, RebootBroker, DeleteBroker and Promote: what a broker may become, and what its state allows."""

from .creation import DIRECTORY, SIZES, window
from .world import ACTIVEMQ, CLUSTER, OTHER_REGION, PASSWORD, STANDBY, bad, name, unknown

NOWHERE = "b-00000000-0000-4000-8000-000000000000"
PAIR = [
    {"Username": "operator", "Password": PASSWORD, "ConsoleAccess": True},
    {"Username": "bridge", "Password": PASSWORD, "ReplicationUser": True},
]


def run(worlds):
    world = worlds["extended"]
    members(world)
    staging(world)
    windows(world)
    states(world)
    alarms(world)
    replication(world)
    strictly(worlds["strict"])
    for broker_id in (NOWHERE, "b-1", "nothing"):
        for call, more in (
            (world.mq.update_broker, {}),
            (world.mq.reboot_broker, {}),
            (world.mq.delete_broker, {}),
            (world.mq.describe_broker, {}),
            (world.mq.promote, {"Mode": "FAILOVER"}),
        ):
            unknown(call, "broker", "broker-id", broker_id, BrokerId=broker_id, **more)
    # A broker of another account, or of another region, is none.
    broker_id = world.create()
    for client in (world.client(world.keys["stranger"]), world.client(world.keys["root"], OTHER_REGION)):
        unknown(client.describe_broker, "broker", "broker-id", broker_id, BrokerId=broker_id)


def members(world):
    """A change of each member that is refused; none of them is staged."""
    mq = world.mq
    rabbitmq, older = world.running(), world.running(EngineVersion="3.13", HostInstanceType="mq.m5.large")
    activemq = world.running(ACTIVEMQ, HostInstanceType="mq.m5.xlarge")
    cluster = world.running(CLUSTER, HostInstanceType="mq.m7g.large", StorageSize=100)
    other = mq.create_configuration(Name=name("other"), EngineType="LAVINMQ")["Id"]
    own = mq.create_configuration(Name=name("own"), EngineType="RABBITMQ")["Id"]
    before = [mq.describe_broker(BrokerId=broker_id) for broker_id in (rabbitmq, older, activemq, cluster)]
    for broker_id, change, attribute, message in [
        (
            rabbitmq,
            {"EngineVersion": "3.13"},
            "engineVersion",
            "Broker engine version [4.2] can't be changed to [3.13] for broker engine type [RABBITMQ]. Downgrades are "
            "not supported.",
        ),
        (
            older,
            {"EngineVersion": "3.12"},
            "engineVersion",
            "Broker engine version [3.12] is invalid for broker engine type [RABBITMQ]. Valid values: [4.2, 3.13].",
        ),
        (
            older,
            {"HostInstanceType": "mq.t3.micro"},
            "hostInstanceType",
            "You cannot downgrade a broker from an mq.m5 instance type to a [mq.t3.micro] instance type.",
        ),
        (
            activemq,
            {"HostInstanceType": "mq.m7g.large"},
            "hostInstanceType",
            "Broker instance type [mq.m7g.large] is invalid for broker engine type [ACTIVEMQ]. Valid values: "
            "[mq.t3.micro, mq.m5.large, mq.m5.xlarge, mq.m5.2xlarge, mq.m5.4xlarge].",
        ),
        (
            rabbitmq,
            {"Configuration": {"Id": other}},
            "configuration",
            f"Configuration [{other}] is for engine type [LAVINMQ], not [RABBITMQ].",
        ),
        (
            rabbitmq,
            {"Configuration": {"Id": own, "Revision": 2}},
            "configuration",
            f"Can't find revision [2] of requested configuration [{own}].",
        ),
        (
            rabbitmq,
            {"Configuration": {"Id": own, "Revision": -1}},
            "configuration",
            f"Can't find revision [-1] of requested configuration [{own}].",
        ),
        (
            rabbitmq,
            {"Configuration": {"Id": "c-1"}},
            "configuration",
            "Can't find requested configuration [c-1]. Make sure your configuration exists.",
        ),
        (rabbitmq, {"Configuration": {}}, "configuration", "[configuration] is required."),
        (rabbitmq, {"Logs": {"Audit": True}}, "logs", "Audit logging is not supported for RabbitMQ brokers."),
        (rabbitmq, {"SecurityGroups": ["s g"]}, "securityGroups", "Security group [s g] is invalid."),
        (
            rabbitmq,
            {"SecurityGroups": ["sg"] * 6},
            "securityGroups",
            "Specify at most 5 security groups.",
        ),
        (rabbitmq, {"StorageSize": 300}, "storageSize", SIZES),
        (
            cluster,
            {"StorageSize": 95},
            "storageSize",
            "Storage size [100] can't be changed to [95]. The storage size can only be increased.",
        ),
        (
            cluster,
            {"StorageSize": 101},
            "storageSize",
            "Storage size [101] is invalid for host instance type [mq.m7g.large]. Specify a multiple of 5 between [15] "
            "and [16384].",
        ),
        (rabbitmq, window(time="7"), "maintenanceWindowStartTime", "Time of day [7] is invalid. Specify it in 24-hour "
         "format, [HH:MM]."),
        (
            rabbitmq,
            {"AuthenticationStrategy": "LDAP"},
            "authenticationStrategy",
            "Authentication strategy [LDAP] is not supported for engine type [RABBITMQ].",
        ),
        (
            activemq,
            {"AuthenticationStrategy": "LDAP"},
            "ldapServerMetadata",
            "[ldapServerMetadata] is required with authentication strategy [LDAP].",
        ),
        (
            activemq,
            {"LdapServerMetadata": DIRECTORY},
            "ldapServerMetadata",
            "[ldapServerMetadata] is only supported with authentication strategy [LDAP].",
        ),
        (
            rabbitmq,
            {"LdapServerMetadata": DIRECTORY},
            "ldapServerMetadata",
            "[ldapServerMetadata] is not supported for engine type [RABBITMQ].",
        ),
        (
            rabbitmq,
            {"ResourceShareArns": ["arn:aws:ram:us-east-1:1:resource-share/a"]},
            "resourceShareArns",
            "[resourceShareArns] is not available yet.",
        ),
        (
            rabbitmq,
            {"DataReplicationMode": "CRDR"},
            "dataReplicationMode",
            "Data replication mode [CRDR] is not supported for engine type [RABBITMQ].",
        ),
        (
            activemq,
            {"DataReplicationMode": "CRDR"},
            "dataReplicationMode",
            "Create a replica broker to set data replication mode [CRDR].",
        ),
        (
            activemq,
            {"DataReplicationMode": "SYNC"},
            "dataReplicationMode",
            "Data replication mode [SYNC] is invalid. Valid values are: [NONE, CRDR].",
        ),
    ]:
        bad(mq.update_broker, attribute, message, BrokerId=broker_id, **change)
    for broker in before:
        now = mq.describe_broker(BrokerId=broker["BrokerId"])
        assert without_metadata(now) == without_metadata(broker), "nothing refused is staged"


def without_metadata(answer):
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


def staging(world):
    """What waits for a reboot is told as pending, member by member; a reboot makes it so."""
    mq = world.mq
    broker_id = world.running(CLUSTER, EngineVersion="3.13", HostInstanceType="mq.m7g.large")
    first = mq.describe_broker(BrokerId=broker_id)["Configurations"]["Current"]
    configuration = mq.create_configuration(Name=name("next"), EngineType="RABBITMQ")["Id"]
    # Repeating what is there, in whatever words, is no change.
    mq.update_broker(BrokerId=broker_id, EngineVersion="3.13", HostInstanceType="mq.m7g.large", SecurityGroups=[])
    found = mq.describe_broker(BrokerId=broker_id)
    assert not [member for member in found if member.startswith("Pending")], found
    mq.update_broker(BrokerId=broker_id, EngineVersion="4.2", AutoMinorVersionUpgrade=False)
    mq.update_broker(BrokerId=broker_id, HostInstanceType="mq.m7g.xlarge", StorageSize=50)
    changes = {"Configuration": {"Id": configuration}, "Logs": {"General": True}, "SecurityGroups": ["sg-1"]}
    answer = mq.update_broker(BrokerId=broker_id, **changes)
    assert answer["Configuration"] == {"Id": configuration, "Revision": 1} and "EngineVersion" not in answer, answer
    found = mq.describe_broker(BrokerId=broker_id)
    assert (found["EngineVersion"], found["PendingEngineVersion"]) == ("3.13", "4.2")
    assert (found["HostInstanceType"], found["PendingHostInstanceType"]) == ("mq.m7g.large", "mq.m7g.xlarge")
    assert found["PendingStorageSize"] == 50 and found["PendingSecurityGroups"] == ["sg-1"]
    assert found["Logs"]["Pending"] == {"General": True} and found["Logs"]["General"] is False, found["Logs"]
    assert found["Configurations"]["Pending"]["Id"] == configuration
    assert found["AutoMinorVersionUpgrade"] is False, "at once"
    mq.reboot_broker(BrokerId=broker_id)
    assert world.state(broker_id) == "REBOOT_IN_PROGRESS", "in the call, not after it"
    world.settle(broker_id)
    found = mq.describe_broker(BrokerId=broker_id)
    assert not [member for member in found if member.startswith("Pending")], found
    assert (found["EngineVersion"], found["HostInstanceType"], found["StorageSize"]) == ("4.2", "mq.m7g.xlarge", 50)
    assert found["Configurations"] == {"Current": {"Id": configuration, "Revision": 1}, "History": [first]}
    assert found["SecurityGroups"] == ["sg-1"] and found["Logs"]["General"] is True


def windows(world):
    """A window is moved at once, and four times before the next one."""
    mq, broker_id = world.mq, world.running()
    for hour in range(4):
        moved = window(day="FRIDAY", time=f"0{hour}:30", zone="Europe/Berlin")
        mq.update_broker(BrokerId=broker_id, **moved)
        assert mq.describe_broker(BrokerId=broker_id)["MaintenanceWindowStartTime"]["TimeOfDay"] == f"0{hour}:30"
    mq.update_broker(BrokerId=broker_id, **moved)  # no move
    try:
        mq.update_broker(BrokerId=broker_id, **window(time="09:30"))
    except mq.exceptions.BadRequestException as error:
        text = "You can adjust the maintenance window up to 4 times before the next window, which is at "
        assert error.response["Error"]["Message"].startswith(text), error
        assert error.response["ErrorAttribute"] == "maintenanceWindowStartTime"
    else:
        raise AssertionError("a fifth adjustment")


def states(world):
    mq = world.mq
    young = world.create()
    for call, verb in ((mq.update_broker, "updated"), (mq.reboot_broker, "rebooted")):
        text = f"Broker [{young}] can't be {verb} while in state [CREATION_IN_PROGRESS]. It must be in state [RUNNING]."
        bad(call, "broker-id", text, BrokerId=young)
    mq.delete_broker(BrokerId=young)
    assert world.state(young) == "DELETION_IN_PROGRESS"
    mq.delete_broker(BrokerId=young)  # asking twice changes nothing
    going = world.running()
    mq.reboot_broker(BrokerId=going)
    text = f"Broker [{going}] can't be rebooted while in state [REBOOT_IN_PROGRESS]. It must be in state [RUNNING]."
    bad(mq.reboot_broker, "broker-id", text, BrokerId=going)
    mq.update_broker(BrokerId=going, HostInstanceType="mq.m7g.large")
    mq.delete_broker(BrokerId=going)
    for call, verb in ((mq.update_broker, "updated"), (mq.reboot_broker, "rebooted")):
        text = f"Broker [{going}] can't be {verb} while in state [DELETION_IN_PROGRESS]. It must be in state [RUNNING]."
        bad(call, "broker-id", text, BrokerId=going)
    text = f"Broker [{going}] can't be updated while in state [DELETION_IN_PROGRESS]. It must be in state [RUNNING]."
    bad(mq.create_user, "broker-id", text, BrokerId=going, Username="ada", Password=PASSWORD)


def alarms(world):
    """An alarm is a critical action; while it lasts a reboot is refused, unless it brings what helps."""
    mq, broker_id = world.mq, world.running()
    for alarm, code in (("memory", "RABBITMQ_MEMORY_ALARM"), ("disk", "RABBITMQ_DISK_ALARM")):
        world.ask("observe", broker=broker_id, phase="ready", alarm=alarm)
        broker = mq.describe_broker(BrokerId=broker_id)
        assert broker["BrokerState"] == "CRITICAL_ACTION_REQUIRED", broker
        assert [action["ActionRequiredCode"] for action in broker["ActionsRequired"]] == [code], broker
        info = broker["ActionsRequired"][0]["ActionRequiredInfo"]
        text = f"Broker [{broker_id}] can't be rebooted while it raises [{code}]. Resolve the alarm first: {info}"
        bad(mq.reboot_broker, "broker-id", text, BrokerId=broker_id)
    for alarm, code in ((None, "BROKER_RESTARTS"), ("out_of_memory", "BROKER_OOM")):
        world.ask("observe", broker=broker_id, phase="crash_looping", alarm=alarm)
        broker = mq.describe_broker(BrokerId=broker_id)
        assert [action["ActionRequiredCode"] for action in broker["ActionsRequired"]] == [code], broker
    world.ask("observe", broker=broker_id, phase="ready", alarm=None)
    broker = mq.describe_broker(BrokerId=broker_id)
    assert broker["BrokerState"] == "RUNNING" and broker["ActionsRequired"] == [], "nobody has to clear it"
    world.ask("observe", broker=broker_id, phase="ready", alarm="memory")
    mq.update_broker(BrokerId=broker_id, HostInstanceType="mq.m7g.large")
    mq.reboot_broker(BrokerId=broker_id)


def replication(world):
    mq, far = world.mq, world.client(world.keys["root"], OTHER_REGION)
    primary, single = world.running(STANDBY), world.running(ACTIVEMQ)
    arn = mq.describe_broker(BrokerId=primary)["BrokerArn"]
    request = STANDBY | {"DataReplicationMode": "CRDR", "Users": PAIR, "BrokerName": name("replica")}

    def no_primary(client, broker_id, reason, **changes):
        text = f"Broker [{broker_id}] can't be the primary broker of a replica. {reason}"
        primary_arn = mq.describe_broker(BrokerId=broker_id)["BrokerArn"]
        changes |= {"DataReplicationPrimaryBrokerArn": primary_arn, "BrokerName": name("replica")}
        bad(client.create_broker, "dataReplicationPrimaryBrokerArn", text, **request | changes)

    no_primary(mq, primary, "The replica must be in another region.")
    no_primary(far, primary, "Both must have the same engine version.", EngineVersion="5.18")
    no_primary(far, world.create(STANDBY), "It must be in state [RUNNING].")
    reason = "It must be an active/standby ActiveMQ broker of instance type [mq.m5.large] or larger."
    no_primary(far, single, reason)
    text = "Can't find requested broker [arn]. Make sure your broker exists."
    wrong = {"DataReplicationPrimaryBrokerArn": "arn"}
    bad(far.create_broker, "dataReplicationPrimaryBrokerArn", text, **request | wrong)

    replica = world.create(request, far, DataReplicationPrimaryBrokerArn=arn)
    world.settle(replica)
    no_primary(far, primary, "It is paired with another broker.")

    def no_promotion(client, broker_id, reason, mode="FAILOVER"):
        text = f"Broker [{broker_id}] can't be promoted. {reason}"
        bad(client.promote, "broker-id", text, BrokerId=broker_id, Mode=mode)

    no_promotion(far, replica, "It is not the replica of a broker.")
    mq.reboot_broker(BrokerId=primary)
    far_state = far.describe_broker(BrokerId=replica)["BrokerState"]
    assert far_state == "REBOOT_IN_PROGRESS", far_state
    no_promotion(far, replica, "It is in state [REBOOT_IN_PROGRESS]. It must be in state [REPLICA].")
    world.settle(replica)
    assert far.describe_broker(BrokerId=replica)["BrokerState"] == "REPLICA"
    text = "Its primary broker is in state [REBOOT_IN_PROGRESS]. It must be in state [RUNNING]."
    no_promotion(far, replica, text, mode="SWITCHOVER")
    world.settle(primary)
    no_promotion(mq, primary, "It is the primary broker of its pair.")
    no_promotion(mq, single, "It is not the replica of a broker.")
    rabbitmq = world.create()
    reason = "Data replication mode [CRDR] is not supported for engine type [RABBITMQ]."
    no_promotion(mq, rabbitmq, reason)
    text = "Promote mode [SIDEWAYS] is invalid. Valid values are: [SWITCHOVER, FAILOVER]."
    bad(far.promote, "mode", text, BrokerId=replica, Mode="SIDEWAYS")
    bad(far.promote, "mode", "[mode] is required.", BrokerId=replica)
    for change, attribute in (
        ({"EngineVersion": "5.18"}, "engineVersion"),
        ({"HostInstanceType": "mq.m5.xlarge"}, "hostInstanceType"),
        ({"DataReplicationMode": "NONE"}, "dataReplicationMode"),
    ):
        text = f"Global broker attribute [Optional[{attribute}]] cannot be modified in Replica broker directly."
        bad(far.update_broker, attribute, text, BrokerId=replica, **change)
    for client, broker_id, other in ((mq, primary, replica), (far, replica, primary)):
        text = (
            f"Broker [{broker_id}] can't be deleted while it is paired with broker [{other}] for data replication. Set "
            "[dataReplicationMode] of the primary broker to [NONE] and reboot it first."
        )
        bad(client.delete_broker, "broker-id", text, BrokerId=broker_id)
    far.promote(BrokerId=replica, Mode="switchover")
    for broker_id in (primary, replica):
        world.settle(broker_id)
    assert (world.state(primary), world.state(replica, far)) == ("REPLICA", "RUNNING")
    far.update_broker(BrokerId=replica, DataReplicationMode="NONE")
    far.reboot_broker(BrokerId=replica)
    for broker_id in (primary, replica):
        world.settle(broker_id)
    mq.delete_broker(BrokerId=primary)


def strictly(world):
    mq, broker_id = world.mq, world.create(SecurityGroups=["sg-1"])
    text = f"Broker [{broker_id}] can't be deleted while in state [CREATION_IN_PROGRESS]. Try again later."
    bad(mq.delete_broker, "broker-id", text, BrokerId=broker_id)
    world.settle(broker_id)
    text = "Changing security groups is not supported for RabbitMQ brokers."
    bad(mq.update_broker, "securityGroups", text, BrokerId=broker_id, SecurityGroups=["sg-2"])
    text = "Brokers on [RabbitMQ] version [4.2] must have [autoMinorVersionUpgrade] set to [true]."
    bad(mq.update_broker, "autoMinorVersionUpgrade", text, BrokerId=broker_id, AutoMinorVersionUpgrade=False)
    text = "To manage broker users, please use the RabbitMQ web console, or the management API"
    for call, more in (
        (mq.create_user, {"Password": PASSWORD}),
        (mq.update_user, {"Password": PASSWORD}),
        (mq.delete_user, {}),
    ):
        bad(call, None, text, BrokerId=broker_id, Username="operator", **more)
    mq.delete_broker(BrokerId=broker_id)
