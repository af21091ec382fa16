"""Faults of ours, made on purpose: every operation answers them in the form that the model has, and tells nothing."""

import re

from botocore.exceptions import ClientError

from .access import method, requests
from .world import LAVINMQ, name

OURS = re.compile(r"An internal error occurred\. Quote request id ([0-9a-f-]{36}) to your operator\.")


def run(worlds):
    world = worlds["extended"]
    broker_id = world.running(LAVINMQ)
    configuration_id = world.mq.create_configuration(Name=name("faults"), EngineType="RABBITMQ")["Id"]
    asked = requests(world, broker_id, configuration_id)
    before = world.mq.describe_broker(BrokerId=broker_id)
    # No call is answered that the audit log cannot tell of.
    world.ask("lose", table="audit_events")
    for operation, (_, members) in asked.items():
        fault(method(world.mq, operation), 500, "InternalServerErrorException", **members)
    world.ask("find", table="audit_events")
    after = world.mq.describe_broker(BrokerId=broker_id)
    assert [value for member, value in after.items() if member != "ResponseMetadata"] == [
        value for member, value in before.items() if member != "ResponseMetadata"
    ], "nothing that failed was done"
    names = [configuration["Name"] for configuration in world.mq.list_configurations()["Configurations"]]
    assert asked["CreateConfiguration"][1]["Name"] not in names
    # A database that is away is no fault: clients are told to come again.
    world.ask("close")
    for operation, (_, members) in asked.items():
        # A connection whose request was not read to its end is not used again.
        client = world.client(world.keys["root"])
        answer = fault(method(client, operation), 503, "ServiceUnavailableException", **members)
        assert int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1


def fault(call, status, code, **members):
    try:
        call(**members)
    except ClientError as error:
        answer = error.response
    else:
        raise AssertionError(f"{call}: no fault")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, (call, answer)
    assert answer["Error"]["Code"] == code, answer
    told = OURS.fullmatch(answer["Error"]["Message"])
    assert told and told[1] == answer["ResponseMetadata"]["RequestId"], answer
    assert "ErrorAttribute" not in answer, answer
    return answer
