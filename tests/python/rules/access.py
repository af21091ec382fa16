"""Who calls: signatures, policies, rates; and requests that are none."""

import datetime
from unittest import mock

import botocore.auth
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from .world import LAVINMQ, PASSWORD, RABBITMQ, name, refused

INVALID_TOKEN = "The security token included in the request is invalid."


def requests(world, broker_id, configuration_id):
    """A request of every operation that would be granted to whoever may: operation, resource and members."""
    broker = world.mq.describe_broker(BrokerId=broker_id)["BrokerArn"]
    configuration = world.mq.describe_configuration(ConfigurationId=configuration_id)["Arn"]
    everything = f"arn:aws:mq:us-east-1:{world.account}:*"
    of_broker, of_configuration = {"BrokerId": broker_id}, {"ConfigurationId": configuration_id}
    of_user, of_tags = of_broker | {"Username": "operator"}, {"ResourceArn": broker}
    return {
        "CreateBroker": (everything, RABBITMQ | {"BrokerName": name("never")}),
        "CreateConfiguration": (everything, {"Name": name("never"), "EngineType": "RABBITMQ"}),
        "CreateTags": (broker, of_tags | {"Tags": {"k": "v"}}),
        "CreateUser": (broker, of_broker | {"Username": "never", "Password": PASSWORD}),
        "DeleteBroker": (broker, of_broker),
        "DeleteConfiguration": (configuration, of_configuration),
        "DeleteTags": (broker, of_tags | {"TagKeys": ["k"]}),
        "DeleteUser": (broker, of_user),
        "DescribeBroker": (broker, of_broker),
        "DescribeBrokerEngineTypes": (everything, {}),
        "DescribeBrokerInstanceOptions": (everything, {}),
        "DescribeConfiguration": (configuration, of_configuration),
        "DescribeConfigurationRevision": (configuration, of_configuration | {"ConfigurationRevision": "1"}),
        "DescribeSharedResources": (broker, of_broker),
        "DescribeUser": (broker, of_user),
        "ListBrokers": (everything, {}),
        "ListConfigurationRevisions": (configuration, of_configuration),
        "ListConfigurations": (everything, {}),
        "ListTags": (broker, of_tags),
        "ListUsers": (broker, of_broker),
        "Promote": (broker, of_broker | {"Mode": "FAILOVER"}),
        "RebootBroker": (broker, of_broker),
        "UpdateBroker": (broker, of_broker | {"AutoMinorVersionUpgrade": True}),
        "UpdateConfiguration": (configuration, of_configuration | {"Data": ""}),
        "UpdateUser": (broker, of_user | {"ConsoleAccess": False}),
    }


def method(client, operation):
    """boto3's name of an operation."""
    names = client.meta.method_to_api_mapping
    return getattr(client, next(name for name, found in names.items() if found == operation))


def run(worlds):
    world = worlds["extended"]
    broker_id = world.running(LAVINMQ)
    configuration_id = world.mq.create_configuration(Name=name("denied"), EngineType="RABBITMQ")["Id"]
    asked = requests(world, broker_id, configuration_id)
    denials(world, asked)
    signatures(world)
    shapes(world, broker_id)
    rates(worlds["throttled"], asked)


def denials(world, asked):
    """A user without a policy may do nothing, is told so in AWS's words, and has done nothing."""
    nobody = world.client(world.keys["nobody"])
    assert asked.keys() == set(nobody.meta.method_to_api_mapping.values())
    who = f"arn:aws:iam::{world.account}:user/nobody"
    for operation, (resource, members) in asked.items():
        action = f"mq:{operation}"
        text = (
            f"User: {who} is not authorized to perform: {action} on resource: {resource} because no identity-based "
            f"policy allows the {action} action"
        )
        refused(method(nobody, operation), 403, "AccessDeniedException", None, text, **members)
    broker_id = asked["DescribeBroker"][1]["BrokerId"]
    broker = world.mq.describe_broker(BrokerId=broker_id)
    assert broker["BrokerState"] == "RUNNING" and broker.get("Tags", {}) == {}, broker


def signatures(world):
    """Who is not known, or did not sign this, is refused before anything else is looked at."""
    key, secret = world.keys["root"]
    every = [
        (lambda client: client.create_broker, RABBITMQ | {"BrokerName": "never"}),
        (lambda client: client.describe_broker, {"BrokerId": "b-1"}),
    ]
    for call, members in every:
        unknown = world.client(["AKIA0000000000000000", secret])
        refused(call(unknown), 403, "UnrecognizedClientException", None, INVALID_TOKEN, **members)
        stranger = world.client([key, world.keys["stranger"][1]])
        mismatch(call(stranger), "The request signature we calculated does not match", **members)
        elsewhere = world.client([key, secret], region="mars-north-1")
        mismatch(call(elsewhere), "Credential should be scoped to a valid region", **members)
        unsigned = world.client([key, secret], signature_version=UNSIGNED)
        text = "Missing Authentication Token"
        refused(call(unsigned), 403, "MissingAuthenticationTokenException", None, text, **members)
        token = world.client([key, secret], token="made-up")
        refused(call(token), 403, "UnrecognizedClientException", None, INVALID_TOKEN, **members)
        for minutes, words in ((-16, "Signature expired"), (16, "Signature not yet current")):
            with skew(minutes):
                mismatch(call(world.client([key, secret])), words, **members)
        with skew(14):
            answer = world.client([key, secret]).list_brokers(MaxResults=1)
            assert "BrokerSummaries" in answer


def mismatch(call, words, **members):
    try:
        call(**members)
    except ClientError as error:
        found = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert found == (403, "InvalidSignatureException"), error
        assert error.response["Error"]["Message"].startswith(words), error
    else:
        raise AssertionError("accepted")


def skew(minutes):
    """Has botocore sign with a clock that is off."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: now.replace(tzinfo=None))


def shapes(world, broker_id):
    """Members of another type than the model's."""
    mq = world.mq
    for call, members in (
        (mq.create_broker, RABBITMQ | {"BrokerName": 7}),
        (mq.create_broker, RABBITMQ | {"BrokerName": name("shape"), "PubliclyAccessible": "no"}),
        (mq.create_configuration, {"Name": ["a"], "EngineType": "RABBITMQ"}),
        (mq.update_broker, {"BrokerId": broker_id, "HostInstanceType": True}),
        (mq.create_user, {"BrokerId": broker_id, "Username": "ada", "Password": 123456789012}),
        (mq.update_user, {"BrokerId": broker_id, "Username": "operator", "ConsoleAccess": "yes"}),
        (mq.promote, {"BrokerId": broker_id, "Mode": 1}),
        (mq.update_configuration, {"ConfigurationId": "c-1", "Data": False}),
    ):
        try:
            call(**members)
        except ClientError as error:
            found = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
            assert found == (400, "SerializationException"), error
        else:
            raise AssertionError(members)


def rates(world, asked):
    """Beyond its account's rate every operation is told to come again, in the code that SDKs retry."""
    for operation, (_, members) in asked.items():
        call, told = method(world.mq, operation), None
        # Now and then a call is within the rate, and what it names is not known here.
        for _ in range(100):
            try:
                call(**members)
            except ClientError as error:
                told = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
                if told == (429, "TooManyRequestsException"):
                    break
        assert told == (429, "TooManyRequestsException"), (operation, told)
    # Another account has its own.
    world.client(world.keys["stranger"]).list_brokers()
