"""Tags, and every list: pages, their tokens, and what is offered."""

from .changes import NOWHERE
from .creation import TAG_CHARACTERS, pages
from .world import OTHER_REGION, PASSWORD, bad, name, unknown

BAD_TOKEN = "[nextToken] is invalid."


def run(worlds):
    world = worlds["extended"]
    tags(world)
    filters(world)
    broker_id = world.running()
    configuration_id = world.mq.create_configuration(Name=name("listed"), EngineType="RABBITMQ")["Id"]
    for n in range(6):
        world.mq.create_user(BrokerId=broker_id, Username=f"user-{n}", Password=PASSWORD)
        world.mq.update_configuration(ConfigurationId=configuration_id, Data="")

    def more():
        world.mq.create_user(BrokerId=broker_id, Username=name("user"), Password=PASSWORD)
        world.mq.update_configuration(ConfigurationId=configuration_id, Data="")
        world.create()
        world.mq.create_configuration(Name=name("more"), EngineType="LAVINMQ")

    mq = world.mq
    lists = [
        ("list_brokers", {}, "BrokerSummaries", lambda item: item["BrokerId"]),
        ("list_configurations", {}, "Configurations", lambda item: item["Id"]),
        (
            "list_configuration_revisions",
            {"ConfigurationId": configuration_id},
            "Revisions",
            lambda item: item["Revision"],
        ),
        ("list_users", {"BrokerId": broker_id}, "Users", lambda item: item["Username"]),
        ("describe_broker_engine_types", {}, "BrokerEngineTypes", lambda item: item["EngineType"]),
        (
            "describe_broker_instance_options",
            {},
            "BrokerInstanceOptions",
            lambda item: (item["EngineType"], item["HostInstanceType"], item["StorageType"]),
        ),
    ]
    tokens = {}
    for operation, request, member, key in lists:
        sizes(getattr(mq, operation), request)
        before = [key(item) for item in pages(getattr(mq, operation), member, **request, MaxResults=100)]
        tokens[operation] = token = paged(world, operation, request, member, key, before, more)
        damaged(getattr(mq, operation), request, token)
        foreign(world, operation, request, token)
    for operation, request, _, _ in lists:
        for other, token in tokens.items():
            if other != operation:
                bad(getattr(mq, operation), "nextToken", BAD_TOKEN, **request, NextToken=token)
        bad(mq.describe_shared_resources, "nextToken", BAD_TOKEN, BrokerId=broker_id, NextToken=tokens[operation])
    sizes(mq.describe_shared_resources, {"BrokerId": broker_id})
    assert mq.describe_shared_resources(BrokerId=broker_id)["SharedResources"] == []
    unknown(mq.describe_shared_resources, "broker", "broker-id", NOWHERE, BrokerId=NOWHERE)
    # botocore's own paginator, which stops at a token that comes again.
    listed = [broker for page in mq.get_paginator("list_brokers").paginate() for broker in page["BrokerSummaries"]]
    assert len(listed) == len({broker["BrokerId"] for broker in listed}) > 20


def sizes(call, request):
    for size in (0, -1, 101, 2**31, "ten", "1.0", ""):
        text = f"[maxResults] value [{size}] is invalid. Valid values: 1-100."
        bad(call, "maxResults", text, **request, MaxResults=size)
    for size in (1, 100):
        answer = call(**request, MaxResults=size)
        assert answer.get("MaxResults", size) == size


def paged(world, operation, request, member, key, before, more):
    """Walks a list in small pages while it grows: everything that was there comes, once, in order. Returns a token."""
    call, seen, first = getattr(world.mq, operation), [], None
    size, request = max(1, len(before) // 4), dict(request)
    for n in range(1000):
        answer = call(**request, MaxResults=size)
        seen += [key(item) for item in answer[member]]
        if "NextToken" not in answer:
            break
        assert len(answer[member]) == size
        first = first or answer["NextToken"]
        request["NextToken"] = answer["NextToken"]
        if n < 2:
            more()
    assert [item for item in seen if item in set(before)] == before, operation
    assert len(seen) == len(set(seen)), f"{operation}: an item came twice"
    assert first, f"{operation}: one page is no list"
    return first


def damaged(call, request, token):
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    for bent in ("", "x", "0", token[:-1], token + "A", token[:middle] + other + token[middle + 1 :], "é" * 9, "%00"):
        bad(call, "nextToken", BAD_TOKEN, **request, NextToken=bent)


def foreign(world, operation, request, token):
    """A token is its account's and its region's; where a resource is named, that is not found first."""
    if request:
        return
    for client in (world.client(world.keys["stranger"]), world.client(world.keys["root"], OTHER_REGION)):
        bad(getattr(client, operation), "nextToken", BAD_TOKEN, NextToken=token)


def tags(world):
    mq = world.mq
    broker_id = world.create()
    arn = mq.describe_broker(BrokerId=broker_id)["BrokerArn"]
    made = mq.create_configuration(Name=name("tagged"), EngineType="RABBITMQ")
    for resource in (arn, made["Arn"]):
        mq.create_tags(ResourceArn=resource, Tags={f"k{n}": str(n) for n in range(50)})
        text = "The maximum number of tags of a resource, [50], is reached."
        bad(mq.create_tags, "tags", text, ResourceArn=resource, Tags={"one-more": ""})
        mq.create_tags(ResourceArn=resource, Tags={"k0": "again"})
        mq.delete_tags(ResourceArn=resource, TagKeys=["k1", "k2", "never there"])
        mq.create_tags(ResourceArn=resource, Tags={"Ümläut": "+-=._:/@ "})
        found = mq.list_tags(ResourceArn=resource)["Tags"]
        assert len(found) == 49 and found["k0"] == "again" and found["Ümläut"] == "+-=._:/@ ", found
        for change, message in (
            ({"": ""}, "Tag key [] is invalid. Valid length: 1-128 characters."),
            ({"k": "v" * 257}, "The value of tag [k] is too long. Valid length: 0-256 characters."),
            ({"k\n": "v"}, f"Tag key [k\n] contains invalid characters. {TAG_CHARACTERS}"),
            ({"aws:x": ""}, "Tag key [aws:x] is invalid. Tag keys must not start with the reserved prefix [aws:]."),
        ):
            bad(mq.create_tags, "tags", message, ResourceArn=resource, Tags=change)
        bad(mq.delete_tags, "tagKeys", "[tagKeys] is required.", ResourceArn=resource)
        assert mq.list_tags(ResourceArn=resource)["Tags"] == found, "nothing refused changes a tag"
    assert mq.describe_broker(BrokerId=broker_id)["Tags"] == mq.list_tags(ResourceArn=arn)["Tags"]
    wrong = [
        "arn",
        arn + ":more",
        arn.replace(":b-", ":c-"),
        arn.replace("us-east-1", OTHER_REGION),
        arn.replace(f":{world.account}:", ":210987654321:"),
        arn.replace(":broker:", ":broker:other-"),
        f"arn:aws:mq:us-east-1:{world.account}:broker:none:{NOWHERE}",
    ]
    for resource in wrong:
        for call, more in (
            (mq.list_tags, {}),
            (mq.create_tags, {"Tags": {"k": "v"}}),
            (mq.delete_tags, {"TagKeys": ["k"]}),
        ):
            unknown(call, "resource", "resource-arn", resource, ResourceArn=resource, **more)


def filters(world):
    mq = world.mq
    engines = "[ACTIVEMQ, LAVINMQ, RABBITMQ]"
    text = f"Broker engine type [KAFKA] is invalid. Valid values are: {engines}."
    bad(mq.describe_broker_engine_types, "engineType", text, EngineType="KAFKA")
    bad(mq.describe_broker_instance_options, "engineType", text, EngineType="KAFKA")
    text = "Storage type [NFS] is invalid. Valid values are: [EBS, EFS]."
    bad(mq.describe_broker_instance_options, "storageType", text, StorageType="NFS")
    (found,) = mq.describe_broker_engine_types(EngineType="rabbitmq")["BrokerEngineTypes"]
    assert [version["Name"] for version in found["EngineVersions"]] == ["4.2", "3.13"], found
    request = {"EngineType": "ACTIVEMQ", "HostInstanceType": "mq.m5.large", "StorageType": "EBS"}
    (found,) = mq.describe_broker_instance_options(**request)["BrokerInstanceOptions"]
    assert found["SupportedDeploymentModes"] == ["SINGLE_INSTANCE"], found
    assert found["SupportedEngineVersions"] == ["5.19", "5.18"], found
    assert [zone["Name"] for zone in found["AvailabilityZones"]] == ["us-east-1a", "us-east-1b", "us-east-1c"], found
    nothing = mq.describe_broker_instance_options(HostInstanceType="mq.t2.micro")
    assert nothing["BrokerInstanceOptions"] == [] and "NextToken" not in nothing
