"""CreateBroker: each member's limits, and what goes with what."""

from .world import (
    ACTIVEMQ,
    CLUSTER,
    LAVINMQ,
    OTHER_REGION,
    PASSWORD,
    RABBITMQ,
    STANDBY,
    bad,
    conflict,
    name,
    without_nothing,
)

NAME = "It must be 1-50 characters long and can contain only letters, numbers, dashes, and underscores."
RABBITMQ_USER = (
    "It must be 2-100 characters long and can contain only alphanumeric characters, dashes, periods, and underscores "
    "(- . _)."
)
ACTIVEMQ_USER = (
    "It must be 2-100 characters long and can contain only alphanumeric characters, dashes, periods, underscores, and "
    "tildes (- . _ ~)."
)
GROUP = ACTIVEMQ_USER
DAYS = "MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY"
ROLES = (
    "Replication user couldn't have console access. [replicationUser] and [consoleAccess] are mutually exclusive "
    "parameters."
)
SIZES = (
    "[storageSize] is only supported for RabbitMQ brokers on version [4.2] and newer in [CLUSTER_MULTI_AZ] deployment "
    "mode on mq.m7g instance types."
)
TAG_CHARACTERS = "Valid characters are letters, numbers, spaces and + - = . _ : / @."
ACTIVEMQ_TYPES = "mq.t3.micro, mq.m5.large, mq.m5.xlarge, mq.m5.2xlarge, mq.m5.4xlarge"
GRAVITON = ", ".join(f"mq.m7g.{size}" for size in "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge".split())
DIRECTORY = {
    "Hosts": ["ldap.example.org"],
    "RoleBase": "ou=groups,dc=example,dc=org",
    "RoleSearchMatching": "(member:=uid={1})",
    "ServiceAccountPassword": "open-sesame-1",
    "ServiceAccountUsername": "cn=amq,dc=example,dc=org",
    "UserBase": "ou=users,dc=example,dc=org",
    "UserSearchMatching": "(uid={0})",
}


def user(**changes):
    return {"Users": [{"Username": "operator", "Password": PASSWORD} | changes]}


def window(day="MONDAY", time="06:00", zone="UTC"):
    window = {"DayOfWeek": day, "TimeOfDay": time, "TimeZone": zone}
    return {"MaintenanceWindowStartTime": without_nothing(window)}


def directory(**changes):
    changed = without_nothing(DIRECTORY | changes)
    return {"AuthenticationStrategy": "LDAP", "LdapServerMetadata": changed}


# A good request, what is changed in it, and the member and the sentence that it is refused with.
REFUSED = [
    (RABBITMQ, {"BrokerName": ""}, "brokerName", f"Broker name [] is invalid. {NAME}"),
    (RABBITMQ, {"BrokerName": "n" * 51}, "brokerName", f"Broker name [{'n' * 51}] is invalid. {NAME}"),
    (RABBITMQ, {"BrokerName": "a b"}, "brokerName", f"Broker name [a b] is invalid. {NAME}"),
    (RABBITMQ, {"BrokerName": "a.b"}, "brokerName", f"Broker name [a.b] is invalid. {NAME}"),
    (RABBITMQ, {"BrokerName": "blåbär"}, "brokerName", f"Broker name [blåbär] is invalid. {NAME}"),
    *(
        (RABBITMQ, {member: None}, wire, f"[{wire}] is required.")
        for member, wire in [
            ("BrokerName", "brokerName"),
            ("DeploymentMode", "deploymentMode"),
            ("EngineType", "engineType"),
            ("HostInstanceType", "hostInstanceType"),
            ("PubliclyAccessible", "publiclyAccessible"),
        ]
    ),
    (
        RABBITMQ,
        {"EngineType": "KAFKA"},
        "engineType",
        "Broker engine type [KAFKA] is invalid. Valid values are: [ACTIVEMQ, LAVINMQ, RABBITMQ].",
    ),
    (
        RABBITMQ,
        {"EngineVersion": "3.8"},
        "engineVersion",
        "Broker engine version [3.8] is invalid for broker engine type [RABBITMQ]. Valid values: [4.2, 3.13].",
    ),
    (
        ACTIVEMQ,
        {"EngineVersion": "5.17.6"},
        "engineVersion",
        "Broker engine version [5.17.6] is invalid for broker engine type [ACTIVEMQ]. Valid values: [5.19, 5.18].",
    ),
    (
        LAVINMQ,
        {"EngineVersion": "newest"},
        "engineVersion",
        "Broker engine version [newest] is invalid for broker engine type [LAVINMQ]. Valid values: [2.9].",
    ),
    (
        RABBITMQ,
        {"DeploymentMode": "ACTIVE_STANDBY_MULTI_AZ"},
        "deploymentMode",
        "Deployment mode [ACTIVE_STANDBY_MULTI_AZ] is not supported for engine type [RABBITMQ].",
    ),
    (
        ACTIVEMQ,
        {"DeploymentMode": "CLUSTER_MULTI_AZ"},
        "deploymentMode",
        "Deployment mode [CLUSTER_MULTI_AZ] is not supported for engine type [ACTIVEMQ].",
    ),
    (
        LAVINMQ,
        {"DeploymentMode": "dm"},
        "deploymentMode",
        "Broker deployment mode [dm] is invalid. Valid values are: [SINGLE_INSTANCE, CLUSTER_MULTI_AZ].",
    ),
    (
        ACTIVEMQ,
        {"HostInstanceType": "mq.m7g.large"},
        "hostInstanceType",
        f"Broker instance type [mq.m7g.large] is invalid for broker engine type [ACTIVEMQ]. Valid values: "
        f"[{ACTIVEMQ_TYPES}].",
    ),
    (
        CLUSTER,
        {"HostInstanceType": "mq.t3.micro"},
        "hostInstanceType",
        "Broker instance type [mq.t3.micro] is invalid for broker engine type [RABBITMQ]. Valid values: [mq.m5.large, "
        f"mq.m5.xlarge, mq.m5.2xlarge, mq.m5.4xlarge, {GRAVITON}].",
    ),
    (
        RABBITMQ,
        {"HostInstanceType": "db.t3.micro"},
        "hostInstanceType",
        f"Broker instance type [db.t3.micro] is invalid for broker engine type [RABBITMQ]. Valid values: "
        f"[{ACTIVEMQ_TYPES}, {GRAVITON}].",
    ),
    (
        RABBITMQ,
        {"StorageType": "EFS"},
        "storageType",
        "Storage type [EFS] is not supported for engine type [RABBITMQ].",
    ),
    (RABBITMQ, {"StorageType": "NFS"}, "storageType", "Storage type [NFS] is invalid. Valid values are: [EBS]."),
    (ACTIVEMQ, {"StorageType": "NFS"}, "storageType", "Storage type [NFS] is invalid. Valid values are: [EBS, EFS]."),
    (
        STANDBY,
        {"StorageType": "EBS"},
        "storageType",
        "Storage type [EBS] is not supported in [ACTIVE_STANDBY_MULTI_AZ] deployment mode.",
    ),
    (
        ACTIVEMQ,
        {"StorageType": "EBS", "HostInstanceType": "mq.t3.micro"},
        "storageType",
        "Storage type [EBS] is not supported for host instance type [mq.t3.micro].",
    ),
    (RABBITMQ, {"StorageSize": 200}, "storageSize", SIZES),
    (CLUSTER, {"StorageSize": 200, "EngineVersion": "3.13"}, "storageSize", SIZES),
    (CLUSTER, {"StorageSize": 200, "HostInstanceType": "mq.m5.large"}, "storageSize", SIZES),
    (LAVINMQ, {"StorageSize": 200}, "storageSize", SIZES),
    *(
        (
            CLUSTER,
            {"StorageSize": size, "HostInstanceType": "mq.m7g.large"},
            "storageSize",
            f"Storage size [{size}] is invalid for host instance type [mq.m7g.large]. Specify a multiple of 5 between "
            "[15] and [16384].",
        )
        for size in (10, 17, 16385, -15, 2**40)
    ),
    (RABBITMQ, {"Users": []}, "users", "Specify exactly one user for engine type [RABBITMQ]."),
    (LAVINMQ, {"Users": None}, "users", "Specify exactly one user for engine type [LAVINMQ]."),
    (
        RABBITMQ,
        {"Users": [{"Username": who, "Password": PASSWORD} for who in ("ada", "grace")]},
        "users",
        "Specify exactly one user for engine type [RABBITMQ].",
    ),
    (ACTIVEMQ, {"Users": []}, "users", "Specify at least one user."),
    (
        ACTIVEMQ,
        {"Users": [{"Username": "ada", "Password": PASSWORD}] * 2},
        "users",
        "Username [ada] is given more than once.",
    ),
    (RABBITMQ, user(Username="guest"), "username", "Username [guest] is prohibited."),
    (RABBITMQ, user(Username="a~b"), "username", f"Username [a~b] is invalid. {RABBITMQ_USER}"),
    (RABBITMQ, user(Username="a"), "username", f"Username [a] is invalid. {RABBITMQ_USER}"),
    (ACTIVEMQ, user(Username="u" * 101), "username", f"Username [{'u' * 101}] is invalid. {ACTIVEMQ_USER}"),
    (ACTIVEMQ, user(Username="a,b"), "username", f"Username [a,b] is invalid. {ACTIVEMQ_USER}"),
    (RABBITMQ, {"Users": [{"Password": PASSWORD}]}, "username", "[username] is required."),
    (RABBITMQ, {"Users": [{"Username": "operator"}]}, "password", "[password] is required."),
    (RABBITMQ, user(Password="elevenchars"), "password", "Password is invalid. It must be 12-250 characters long."),
    (RABBITMQ, user(Password="abcd" * 63), "password", "Password is invalid. It must be 12-250 characters long."),
    (
        RABBITMQ,
        user(Password="abcabcabcabc"),
        "password",
        "Password is invalid. It must contain at least 4 unique characters.",
    ),
    *(
        (
            RABBITMQ,
            user(Password=f"correct{character}horse-battery"),
            "password",
            "Password is invalid. It must not contain commas, colons, or equal signs (,:=).",
        )
        for character in ",:="
    ),
    (
        RABBITMQ,
        user(Password="correct-hörse-battery"),
        "password",
        "Password is invalid. It must contain only printable ASCII characters.",
    ),
    (ACTIVEMQ, user(Groups=["a"]), "groups", f"Group [a] is invalid. {GROUP}"),
    (ACTIVEMQ, user(Groups=["ok", "not ok"]), "groups", f"Group [not ok] is invalid. {GROUP}"),
    (
        ACTIVEMQ,
        user(Groups=[f"group-{n}" for n in range(21)]),
        "groups",
        "The maximum number of groups of a user, [20], is reached.",
    ),
    (ACTIVEMQ, user(ConsoleAccess=True, ReplicationUser=True), None, ROLES),
    (
        RABBITMQ,
        {"Logs": {"Audit": True}},
        "logs",
        "Audit logging is not supported for RabbitMQ brokers.",
    ),
    (LAVINMQ, {"Logs": {"Audit": False}}, "logs", "Audit logging is not supported for LavinMQ brokers."),
    (
        RABBITMQ,
        {"SubnetIds": ["subnet-1", "subnet-2"]},
        "subnetIds",
        "Specify a single subnet in [SINGLE_INSTANCE] deployment mode.",
    ),
    (
        STANDBY,
        {"SubnetIds": ["subnet-1"]},
        "subnetIds",
        "Specify exactly two subnets in [ACTIVE_STANDBY_MULTI_AZ] deployment mode.",
    ),
    (
        STANDBY,
        {"SubnetIds": ["subnet-1", "subnet-1"]},
        "subnetIds",
        "Subnets must be in different Availability Zones.",
    ),
    (
        CLUSTER,
        {"SubnetIds": [f"subnet-{n}" for n in range(4)]},
        "subnetIds",
        "Specify at most three subnets in [CLUSTER_MULTI_AZ] deployment mode.",
    ),
    (RABBITMQ, {"SubnetIds": ["subnet 1"]}, "subnetIds", "Subnet [subnet 1] is invalid."),
    (
        RABBITMQ,
        {"SecurityGroups": [f"sg-{n}" for n in range(6)]},
        "securityGroups",
        "Specify at most 5 security groups.",
    ),
    (RABBITMQ, {"SecurityGroups": ["sg/1"]}, "securityGroups", "Security group [sg/1] is invalid."),
    (
        RABBITMQ,
        {"EncryptionOptions": {"UseAwsOwnedKey": False, "KmsKeyId": "key"}},
        "encryptionOptions",
        "Customer managed keys are not available yet. [useAwsOwnedKey] must be [true].",
    ),
    (
        RABBITMQ,
        {"AuthenticationStrategy": "LDAP"},
        "authenticationStrategy",
        "Authentication strategy [LDAP] is not supported for engine type [RABBITMQ].",
    ),
    (
        RABBITMQ,
        {"AuthenticationStrategy": "CONFIG_MANAGED"},
        "authenticationStrategy",
        "Authentication strategy [CONFIG_MANAGED] is not available yet. Valid values are: [SIMPLE].",
    ),
    (
        ACTIVEMQ,
        {"AuthenticationStrategy": "CONFIG_MANAGED"},
        "authenticationStrategy",
        "Authentication strategy [CONFIG_MANAGED] is not supported for engine type [ACTIVEMQ].",
    ),
    (
        ACTIVEMQ,
        {"AuthenticationStrategy": "MAGIC"},
        "authenticationStrategy",
        "Authentication strategy [MAGIC] is invalid. Valid values are: [SIMPLE, LDAP].",
    ),
    (
        ACTIVEMQ,
        {"AuthenticationStrategy": "LDAP"},
        "ldapServerMetadata",
        "[ldapServerMetadata] is required with authentication strategy [LDAP].",
    ),
    (
        ACTIVEMQ,
        {"LdapServerMetadata": DIRECTORY},
        "ldapServerMetadata",
        "[ldapServerMetadata] is only supported with authentication strategy [LDAP].",
    ),
    (
        RABBITMQ,
        {"LdapServerMetadata": DIRECTORY},
        "ldapServerMetadata",
        "[ldapServerMetadata] is not supported for engine type [RABBITMQ].",
    ),
    (ACTIVEMQ, directory(Hosts=None), "ldapServerMetadata", "[hosts] is required."),
    *(
        (ACTIVEMQ, directory(**{member: None}), "ldapServerMetadata", f"[{member[0].lower()}{member[1:]}] is required.")
        for member in (
            "RoleBase",
            "RoleSearchMatching",
            "ServiceAccountPassword",
            "ServiceAccountUsername",
            "UserBase",
            "UserSearchMatching",
        )
    ),
    (
        ACTIVEMQ,
        directory(Hosts=["a.example", "b.example", "c.example"]),
        "ldapServerMetadata",
        "[hosts] is invalid. Specify one or 2 hosts.",
    ),
    (
        ACTIVEMQ,
        directory(Hosts=["a.example", "a.example"]),
        "ldapServerMetadata",
        "[hosts] names a host twice.",
    ),
    (
        ACTIVEMQ,
        directory(Hosts=["ldaps://a.example"]),
        "ldapServerMetadata",
        "Host [ldaps://a.example] is invalid. Specify a fully qualified domain name.",
    ),
    (
        ACTIVEMQ,
        directory(UserSearchMatching="uid={0}"),
        "ldapServerMetadata",
        "[userSearchMatching] is invalid. Specify a search filter such as [(uid={0})].",
    ),
    (
        ACTIVEMQ,
        directory(ServiceAccountPassword="p" * 129),
        "ldapServerMetadata",
        "[serviceAccountPassword] is invalid. It must be 1-128 characters long.",
    ),
    (
        ACTIVEMQ,
        directory(RoleBase="b" * 1025),
        "ldapServerMetadata",
        "[roleBase] is invalid. It must be 1-1024 characters long.",
    ),
    (
        RABBITMQ,
        window(day="SOMEDAY"),
        "maintenanceWindowStartTime",
        f"Day of week [SOMEDAY] is invalid. Valid values are: [{DAYS}].",
    ),
    *(
        (
            RABBITMQ,
            window(time=time),
            "maintenanceWindowStartTime",
            f"Time of day [{time}] is invalid. Specify it in 24-hour format, [HH:MM].",
        )
        for time in ("24:00", "6:00", "12:60", "noon")
    ),
    *(
        (
            RABBITMQ,
            window(zone=zone),
            "maintenanceWindowStartTime",
            f"Time zone [{zone}] is invalid. Specify it in the Country/City format or as a UTC offset.",
        )
        for zone in ("CET", "+2", "../etc", "")
    ),
    (
        RABBITMQ,
        window(zone="Europe/Atlantis"),
        "maintenanceWindowStartTime",
        "Time zone [Europe/Atlantis] is unknown.",
    ),
    (RABBITMQ, window(day=None), "dayOfWeek", "[dayOfWeek] is required."),
    (RABBITMQ, window(time=None), "timeOfDay", "[timeOfDay] is required."),
    (RABBITMQ, {"Tags": {"": "v"}}, "tags", "Tag key [] is invalid. Valid length: 1-128 characters."),
    (
        RABBITMQ,
        {"Tags": {"k" * 129: "v"}},
        "tags",
        f"Tag key [{'k' * 129}] is invalid. Valid length: 1-128 characters.",
    ),
    (
        RABBITMQ,
        {"Tags": {"k": "v" * 257}},
        "tags",
        "The value of tag [k] is too long. Valid length: 0-256 characters.",
    ),
    (RABBITMQ, {"Tags": {"a;b": "v"}}, "tags", f"Tag key [a;b] contains invalid characters. {TAG_CHARACTERS}"),
    (RABBITMQ, {"Tags": {"k": "<v>"}}, "tags", f"The value of tag [k] contains invalid characters. {TAG_CHARACTERS}"),
    (
        RABBITMQ,
        {"Tags": {"AWS:k": "v"}},
        "tags",
        "Tag key [AWS:k] is invalid. Tag keys must not start with the reserved prefix [aws:].",
    ),
    (
        RABBITMQ,
        {"Tags": {f"k{n}": "v" for n in range(51)}},
        "tags",
        "The maximum number of tags of a resource, [50], is reached.",
    ),
    *(
        (
            RABBITMQ,
            {"CreatorRequestId": token},
            "creatorRequestId",
            "[creatorRequestId] is invalid. It must be 1-255 printable ASCII characters long.",
        )
        for token in ("", "t" * 256, "two words", "schlüssel")
    ),
    (RABBITMQ, {"Configuration": {"Revision": 1}}, "configuration", "[configuration] is required."),
    (
        RABBITMQ,
        {"Configuration": {"Id": "c-1"}},
        "configuration",
        "Can't find requested configuration [c-1]. Make sure your configuration exists.",
    ),
    (
        RABBITMQ,
        {"DataReplicationMode": "CRDR"},
        "dataReplicationMode",
        "Data replication mode [CRDR] is not supported for engine type [RABBITMQ].",
    ),
    (
        STANDBY,
        {"DataReplicationMode": "SYNC"},
        "dataReplicationMode",
        "Data replication mode [SYNC] is invalid. Valid values are: [NONE, CRDR].",
    ),
    (
        STANDBY,
        {"DataReplicationMode": "CRDR"},
        "dataReplicationPrimaryBrokerArn",
        "[dataReplicationPrimaryBrokerArn] is required with data replication mode [CRDR].",
    ),
    (
        STANDBY,
        {"DataReplicationPrimaryBrokerArn": "arn"},
        "dataReplicationPrimaryBrokerArn",
        "[dataReplicationPrimaryBrokerArn] is only supported with data replication mode [CRDR].",
    ),
    (
        ACTIVEMQ,
        {"DataReplicationMode": "CRDR", "DataReplicationPrimaryBrokerArn": "arn"},
        "dataReplicationMode",
        "Data replication mode [CRDR] is not supported in [SINGLE_INSTANCE] deployment mode.",
    ),
    (
        STANDBY,
        {
            "DataReplicationMode": "CRDR",
            "DataReplicationPrimaryBrokerArn": "arn",
            "HostInstanceType": "mq.t3.micro",
        },
        "dataReplicationMode",
        "Data replication mode [CRDR] is not supported for host instance type [mq.t3.micro].",
    ),
    (
        STANDBY,
        {"DataReplicationMode": "CRDR", "DataReplicationPrimaryBrokerArn": "arn"},
        "users",
        "Specify exactly one replication user for data replication mode [CRDR].",
    ),
]

# The largest and the smallest that is taken, and every spelling of enumerations and zones.
ACCEPTED = [
    (RABBITMQ, {"BrokerName": "n"}),
    (RABBITMQ, {"BrokerName": "Name_of-50" * 5}),
    (RABBITMQ, {"EngineType": "rabbitmq", "DeploymentMode": "single_instance", "StorageType": "ebs"}),
    (RABBITMQ, {"EngineVersion": None}),
    (RABBITMQ, {"EngineVersion": "3.13.7", "AutoMinorVersionUpgrade": False}),
    (RABBITMQ, {"AutoMinorVersionUpgrade": None, "Logs": {"General": True}}),
    (RABBITMQ, user(Username="u" * 100, Password="abcd" * 62 + "ab")),
    (RABBITMQ, user(Username="uu", Password="abcdabcdabcd", ConsoleAccess=False, ReplicationUser=False, Groups=[])),
    (ACTIVEMQ, user(Username="a~._-9", Groups=[f"group~{n}" for n in range(20)])),
    (ACTIVEMQ, {"Logs": {"Audit": True, "General": True}, "StorageType": "EBS"}),
    (ACTIVEMQ, directory(Hosts=["a.example", "b.example"], RoleName="", ServiceAccountPassword="p" * 128)),
    (STANDBY, {"SubnetIds": ["subnet-1", "subnet-2"], "StorageType": "efs"}),
    (CLUSTER, {"SubnetIds": ["subnet-1", "subnet-2", "subnet-3"]}),
    (CLUSTER, {"StorageSize": 15, "HostInstanceType": "mq.m7g.large"}),
    (CLUSTER, {"StorageSize": 16380, "HostInstanceType": "mq.m7g.large"}),
    (RABBITMQ, {"SecurityGroups": [f"sg-{n}" for n in range(5)], "SubnetIds": ["subnet-1"]}),
    (RABBITMQ, {"EncryptionOptions": {"UseAwsOwnedKey": True}}),
    (RABBITMQ, {"Tags": {f"k{n}": "v" for n in range(50)}}),
    (RABBITMQ, {"Tags": {"k" * 128: "v" * 256, "Ümläut +-=._:/@": ""}}),
    (RABBITMQ, {"CreatorRequestId": "t" * 255}),
    (RABBITMQ, {"DataReplicationMode": "none"}),
    *((RABBITMQ, window(zone=zone)) for zone in ("UTC", "+05:45", "-11:00", "America/Argentina/Ushuaia", None)),
    *((RABBITMQ, window(day=day)) for day in DAYS.split(", ")),
    (RABBITMQ, window(day="sunday", time="23:59")),
]

INSTANCES = f"{ACTIVEMQ_TYPES}, {GRAVITON}, mq.m4.large, mq.t2.micro".split(", ")
MODES = "SINGLE_INSTANCE", "ACTIVE_STANDBY_MULTI_AZ", "CLUSTER_MULTI_AZ"
# The guide's instance types by engine and deployment mode: t3 is no cluster, Graviton no ActiveMQ.
LAYOUTS = {
    "RABBITMQ": {"SINGLE_INSTANCE": INSTANCES[:13], "CLUSTER_MULTI_AZ": INSTANCES[1:13]},
    "LAVINMQ": {"SINGLE_INSTANCE": INSTANCES[:13], "CLUSTER_MULTI_AZ": INSTANCES[1:13]},
    "ACTIVEMQ": {"SINGLE_INSTANCE": INSTANCES[:5], "ACTIVE_STANDBY_MULTI_AZ": INSTANCES[:5]},
}
ENGINES = {"RABBITMQ": RABBITMQ, "LAVINMQ": LAVINMQ, "ACTIVEMQ": ACTIVEMQ}


def run(worlds):
    extended = worlds["extended"]
    create = extended.mq.create_broker
    for request, changes, attribute, message in REFUSED:
        bad(create, attribute, message, **without_nothing({"BrokerName": name("refused")} | request | changes))
    assert extended.mq.list_brokers()["BrokerSummaries"] == [], "nothing refused leaves a trace"
    assert extended.mq.list_configurations()["Configurations"] == [], "nothing refused leaves a configuration"
    for request, changes in ACCEPTED:
        extended.create(request, **changes)
    names(extended)
    replays(extended)
    layouts(extended)
    without_simulated_hosts(worlds["real"])
    strictly(worlds["strict"])


def names(world):
    world.create(BrokerName="taken")
    text = "Broker name [taken] already exists. Retry your request with another name."
    conflict(world.mq.create_broker, "brokerName", text, **RABBITMQ, BrokerName="taken")
    # Names are an account's and a region's.
    world.create(BrokerName="taken", client=world.client(world.keys["root"], OTHER_REGION))
    world.create(BrokerName="taken", client=world.client(world.keys["stranger"]))


def replays(world):
    request = RABBITMQ | {"BrokerName": "once", "CreatorRequestId": "token-1"}
    first = world.mq.create_broker(**request)
    again = world.mq.create_broker(**request)
    assert (first["BrokerId"], first["BrokerArn"]) == (again["BrokerId"], again["BrokerArn"])
    text = f"Creator request id [token-1] was used for broker [{first['BrokerId']}] with different parameters."
    for change in ({"BrokerName": "twice"}, {"Users": [{"Username": "operator", "Password": PASSWORD + "2"}]}):
        conflict(world.mq.create_broker, "creatorRequestId", text, **request | change)


def layouts(world):
    """What is offered, what the guide has, and what is accepted are the same."""
    offered = set()
    for page in pages(world.mq.describe_broker_instance_options, "BrokerInstanceOptions"):
        for mode in page["SupportedDeploymentModes"]:
            offered.add((page["EngineType"], mode, page["HostInstanceType"], page["StorageType"]))
    made = {}
    for engine, request in ENGINES.items():
        for mode in MODES:
            for instance in INSTANCES:
                change = {"DeploymentMode": mode, "HostInstanceType": instance, "BrokerName": name("layout")}
                expected = instance in LAYOUTS[engine].get(mode, [])
                assert expected == any(row[:3] == (engine, mode, instance) for row in offered), (engine, mode, instance)
                try:
                    made[engine, mode, instance] = world.mq.create_broker(**request | change)["BrokerId"]
                except world.mq.exceptions.BadRequestException as error:
                    assert not expected, error
                else:
                    assert expected, (engine, mode, instance)
    # EBS is for all but ActiveMQ's standby pairs and its smallest instances, EFS for ActiveMQ alone.
    for engine, mode, instance, storage in offered:
        ebs = engine != "ACTIVEMQ" or (mode == "SINGLE_INSTANCE" and instance.startswith("mq.m5"))
        assert ebs if storage == "EBS" else engine == "ACTIVEMQ", (engine, mode, instance, storage)
    for broker_id in made.values():
        world.mq.delete_broker(BrokerId=broker_id)


def pages(call, member, **request):
    """All items of a list."""
    while True:
        answer = call(**request)
        yield from answer[member]
        if "NextToken" not in answer:
            return
        request["NextToken"] = answer["NextToken"]


def without_simulated_hosts(world):
    """What no engine serves is refused where it could not run."""
    text = "Broker engine type [ACTIVEMQ] is not available yet. Valid values are: [LAVINMQ, RABBITMQ]."
    bad(world.mq.create_broker, "engineType", text, **ACTIVEMQ, BrokerName="none")
    text = "Deployment mode [CLUSTER_MULTI_AZ] is not available yet. Valid values are: [SINGLE_INSTANCE]."
    bad(world.mq.create_broker, "deploymentMode", text, **CLUSTER, BrokerName="none")
    engines = world.mq.describe_broker_engine_types()["BrokerEngineTypes"]
    assert {engine["EngineType"] for engine in engines} == {"LAVINMQ", "RABBITMQ"}


def strictly(world):
    """Refusals of Amazon MQ that protect nobody, where they are asked for."""
    for request, label, version in ((RABBITMQ, "RabbitMQ", "4.2"), (ACTIVEMQ, "ActiveMQ", "5.19")):
        text = f"Brokers on [{label}] version [{version}] must have [autoMinorVersionUpgrade] set to [true]."
        request = request | {"AutoMinorVersionUpgrade": False, "BrokerName": "strict"}
        bad(world.mq.create_broker, "autoMinorVersionUpgrade", text, **request)
    text = "Broker engine version [3.13.7] is invalid for broker engine type [RABBITMQ]. Valid values: [4.2, 3.13]."
    request = RABBITMQ | {"EngineVersion": "3.13.7", "BrokerName": "strict"}
    bad(world.mq.create_broker, "engineVersion", text, **request)
    world.create(LAVINMQ, AutoMinorVersionUpgrade=False)
