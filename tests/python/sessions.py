"""Sessions as boto3's STS client sees them: what is granted, and every error by its code and text."""

import os

import boto3
from botocore.exceptions import ClientError

ROLE = os.environ["ROLE_ARN"]
sts = boto3.client("sts")
root = boto3.client(
    "sts",
    aws_access_key_id=os.environ["ROOT_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["ROOT_SECRET_ACCESS_KEY"],
)


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def assume(client=sts, **more):
    return client.assume_role(**{"RoleArn": ROLE, "RoleSessionName": "ci", **more})


def client_of(answer, service="sts"):
    credentials = answer["Credentials"]
    return boto3.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def refused(status, code, text, **more):
    try:
        assume(**more)
    except ClientError as error:
        answer = error.response
        found = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        assert found == (status, code), (found, answer["Error"])
        assert text in answer["Error"]["Message"], answer["Error"]["Message"]
        assert answer["Error"]["Type"] == "Sender"
    else:
        raise AssertionError(f"{more} is not refused")


plain = assume()
assert "PackedPolicySize" not in plain and "SourceIdentity" not in plain, plain
tagged = assume(Tags=tags(team="red", env="prod"), TransitiveTagKeys=["team"], SourceIdentity="alice")
assert tagged["PackedPolicySize"] == 1, tagged
assert tagged["SourceIdentity"] == "alice", tagged
assert client_of(tagged).get_caller_identity()["Arn"].endswith(":assumed-role/deployer/ci")
assert client_of(tagged, "mq").list_brokers()["BrokerSummaries"] == []
assume(Tags=[], TransitiveTagKeys=[], PolicyArns=[])
full = assume(Tags=tags(**{f"k{n:02}": "v" * 253 for n in range(16)}))
assert full["PackedPolicySize"] == 100, full["PackedPolicySize"]

INVALID, VALUE = "ValidationError", "InvalidParameterValue"
for code, text, more in [
    (INVALID, "Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
     {"Tags": tags(**{f"k{n}": "" for n in range(51)})}),
    (INVALID, "at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128",
     {"Tags": tags(**{"k" * 129: ""})}),
    (INVALID, "at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256",
     {"Tags": tags(k="v" * 257)}),
    (INVALID, "Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*",
     {"Tags": tags(k="v;w")}),
    (VALUE, "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
     {"Tags": tags(Team="red", team="red")}),
    (VALUE, "'aws:' prefixed tag key names are not allowed for external use.",
     {"Tags": tags(**{"AWS:team": "red"})}),
    (VALUE, "The specified transitive tag key must be included in the requested tags.",
     {"Tags": tags(team="red"), "TransitiveTagKeys": ["env"]}),
    ("PackedPolicyTooLarge", "Packed size of session tags consumes 107% of allotted space.",
     {"Tags": tags(**{f"k{n:02}": "v" * 253 for n in range(17)})}),
    ("MalformedPolicyDocument", "Statement", {"Policy": "{}"}),
    (INVALID, "at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048",
     {"Policy": "x" * 2049}),
    (INVALID, "does not exist", {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicy"}]}),
    (INVALID, "at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern",
     {"RoleSessionName": "a b"}),
    (INVALID, "at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200",
     {"DurationSeconds": 43201}),
    (INVALID, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
     {"DurationSeconds": 3601}),
]:
    refused(400, code, text, **more)

DENIED = "AccessDenied"
refused(403, DENIED, "Roles may not be assumed by root accounts.", client=root)
refused(403, DENIED, "MultiFactorAuthentication failed", SerialNumber="arn:aws:iam::1:mfa/a", TokenCode="123456")
refused(403, DENIED, "is not authorized to perform: sts:AssumeRole on resource", RoleArn=ROLE + "-none")
chained = client_of(tagged)
refused(400, INVALID, "exceeds the 1 hour session limit for roles assumed by role chaining",
        client=chained, DurationSeconds=3601)
refused(403, DENIED, "is not authorized to perform: sts:AssumeRole on resource", client=chained)
refused(400, VALUE, "conflicts with a transitive tag key from the calling session",
        client=chained, Tags=tags(TEAM="red"))
try:
    sts.get_session_token()
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidAction", error
    text = "Could not find operation GetSessionToken for version 2011-06-15"
    assert error.response["Error"]["Message"] == text, error
print("done")
