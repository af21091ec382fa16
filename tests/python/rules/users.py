"""Users of brokers: at once for RabbitMQ and LavinMQ, at the next start for ActiveMQ."""

from .changes import NOWHERE
from .creation import ACTIVEMQ_USER, GROUP, RABBITMQ_USER, ROLES
from .world import ACTIVEMQ, LAVINMQ, PASSWORD, RABBITMQ, bad, conflict, unknown

TAGS = "administrator, management, monitoring, policymaker"
PASSWORDS = [
    ("elevenchars", "It must be 12-250 characters long."),
    ("abcd" * 63, "It must be 12-250 characters long."),
    ("abcabcabcabc", "It must contain at least 4 unique characters."),
    ("correct,horse-battery", "It must not contain commas, colons, or equal signs (,:=)."),
    ("correct-hörse-battery", "It must contain only printable ASCII characters."),
]


def run(worlds):
    world = worlds["extended"]
    for request, label in ((RABBITMQ, "RabbitMQ"), (LAVINMQ, "LavinMQ")):
        at_once(world, world.running(request), label)
    at_the_next_start(world, world.running(ACTIVEMQ))
    for call, more in (
        (world.mq.create_user, {"Username": "ada", "Password": PASSWORD}),
        (world.mq.describe_user, {"Username": "ada"}),
        (world.mq.update_user, {"Username": "ada"}),
        (world.mq.delete_user, {"Username": "ada"}),
        (world.mq.list_users, {}),
    ):
        unknown(call, "broker", "broker-id", NOWHERE, BrokerId=NOWHERE, **more)


def common(world, broker_id):
    """What is refused whatever the engine. There is a user called operator, and none called nobody."""
    mq = world.mq
    bad(mq.create_user, "password", "[password] is required.", BrokerId=broker_id, Username="ada")
    for call in (mq.create_user, mq.update_user):
        for password, reason in PASSWORDS:
            text = f"Password is invalid. {reason}"
            username = "operator" if call == mq.update_user else "ada"
            bad(call, "password", text, BrokerId=broker_id, Username=username, Password=password)
    text = "User name [operator] already exists. Retry your request with another name."
    conflict(mq.create_user, "username", text, BrokerId=broker_id, Username="operator", Password=PASSWORD)
    for call in (mq.describe_user, mq.update_user, mq.delete_user):
        for username in ("nobody", "no body", "n" * 101):
            unknown(call, "user", "username", username, BrokerId=broker_id, Username=username)


def at_once(world, broker_id, label):
    mq = world.mq
    common(world, broker_id)
    create = {"BrokerId": broker_id, "Password": PASSWORD}
    for username in ("a", "a~b", "u" * 101, "a b"):
        bad(mq.create_user, "username", f"Username [{username}] is invalid. {RABBITMQ_USER}", Username=username, **create)
    bad(mq.create_user, "username", "Username [guest] is prohibited.", Username="guest", **create)
    text = f"[replicationUser] is not supported for {label} brokers."
    bad(mq.create_user, "replicationUser", text, Username="ada", ReplicationUser=True, **create)
    text = f"Group [admins] is invalid for {label} brokers, whose users have tags. Valid values: [{TAGS}]."
    bad(mq.create_user, "groups", text, Username="ada", Groups=["admins"], **create)
    bad(mq.update_user, "groups", text, BrokerId=broker_id, Username="operator", Groups=["admins"])
    mq.create_user(Username="u" * 100, Groups=TAGS.split(", "), ConsoleAccess=True, **create)
    user = mq.describe_user(BrokerId=broker_id, Username="u" * 100)
    assert user["Groups"] == TAGS.split(", ") and user["ConsoleAccess"] is True and "Pending" not in user, user
    mq.update_user(BrokerId=broker_id, Username="u" * 100, Groups=[])
    assert mq.describe_user(BrokerId=broker_id, Username="u" * 100)["Groups"] == []
    mq.delete_user(BrokerId=broker_id, Username="u" * 100)
    unknown(mq.describe_user, "user", "username", "u" * 100, BrokerId=broker_id, Username="u" * 100)


def at_the_next_start(world, broker_id):
    mq = world.mq
    common(world, broker_id)
    create = {"BrokerId": broker_id, "Password": PASSWORD}
    for username in ("a", "a,b", "u" * 101):
        bad(mq.create_user, "username", f"Username [{username}] is invalid. {ACTIVEMQ_USER}", Username=username, **create)
    bad(mq.create_user, "groups", f"Group [a b] is invalid. {GROUP}", Username="ada", Groups=["a b"], **create)
    text = "The maximum number of groups of a user, [20], is reached."
    many = [f"group-{n}" for n in range(21)]
    bad(mq.create_user, "groups", text, Username="ada", Groups=many, **create)
    bad(mq.update_user, "groups", text, BrokerId=broker_id, Username="operator", Groups=many)
    bad(mq.create_user, None, ROLES, Username="ada", ConsoleAccess=True, ReplicationUser=True, **create)
    mq.update_user(BrokerId=broker_id, Username="operator", ConsoleAccess=True)
    bad(mq.update_user, None, ROLES, BrokerId=broker_id, Username="operator", ReplicationUser=True)
    mq.create_user(Username="guest", Groups=many[:20], **create)
    pending = mq.describe_user(BrokerId=broker_id, Username="guest")["Pending"]
    assert pending["PendingChange"] == "CREATE" and len(pending["Groups"]) == 20, pending
    mq.reboot_broker(BrokerId=broker_id)
    world.settle(broker_id)
    assert "Pending" not in mq.describe_user(BrokerId=broker_id, Username="guest")
    mq.delete_user(BrokerId=broker_id, Username="guest")
    users = {user["Username"]: user.get("PendingChange") for user in mq.list_users(BrokerId=broker_id)["Users"]}
    assert users == {"guest": "DELETE", "operator": None}, users
    text = "User [guest] waits to be deleted."
    conflict(mq.update_user, "username", text, BrokerId=broker_id, Username="guest", Groups=[])
