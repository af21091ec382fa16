"""Configurations: names, what each engine's data may say, revisions, and what is in use."""

import base64

from .world import LAVINMQ, bad, conflict, name, refused, unknown

NOWHERE = "c-00000000-0000-4000-8000-000000000000"
NAME = (
    "It must be 1-150 characters long and can contain only alphanumeric characters, dashes, periods, underscores, and "
    "tildes (- . _ ~)."
)
KEYS = (
    "consumer_timeout, heartbeat, management.restrictions.operator_policy_changes.disabled, "
    "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration, secure.management.http.headers.enabled"
)
FORMAT = "Specify settings in the format [key = value]."
XML = '<broker xmlns="http://activemq.apache.org/schema/core">{}</broker>'
INVALID_XML = "The specified XML configuration data is invalid: "
DESCRIPTION = (
    "The description is invalid. It must be at most 1024 characters long and must not contain control characters."
)

CREATE = [
    ({"Name": None}, "name", "[name] is required."),
    ({"EngineType": None}, "engineType", "[engineType] is required."),
    ({"Name": ""}, "name", f"Configuration name [] is invalid. {NAME}"),
    ({"Name": "n" * 151}, "name", f"Configuration name [{'n' * 151}] is invalid. {NAME}"),
    ({"Name": "a/b"}, "name", f"Configuration name [a/b] is invalid. {NAME}"),
    (
        {"EngineType": "KAFKA"},
        "engineType",
        "Broker engine type [KAFKA] is invalid. Valid values are: [ACTIVEMQ, LAVINMQ, RABBITMQ].",
    ),
    (
        {"EngineVersion": "1.0"},
        "engineVersion",
        "Broker engine version [1.0] is invalid for broker engine type [RABBITMQ]. Valid values: [4.2, 3.13].",
    ),
    (
        {"AuthenticationStrategy": "LDAP"},
        "authenticationStrategy",
        "Authentication strategy [LDAP] is not supported for engine type [RABBITMQ].",
    ),
    ({"Tags": {"aws:k": "v"}}, "tags", "Tag key [aws:k] is invalid. Tag keys must not start with the reserved prefix "
     "[aws:]."),
    (
        {"Tags": {f"k{n}": "v" for n in range(51)}},
        "tags",
        "The maximum number of tags of a resource, [50], is reached.",
    ),
]

# By engine: data, and why it is refused.
DATA = {
    "RABBITMQ": [
        ("heartbeat", f"Line [1] of the configuration is invalid. {FORMAT}"),
        ("# fine\n= 60", "Line [2] of the configuration is invalid. A key consists of words of letters, digits, dashes "
         "and underscores, separated by periods."),
        ("heartbeat = ", "Line [1] of the configuration is invalid. The value is missing."),
        ("heartbeat = '60", "Line [1] of the configuration is invalid. The quoted value has no end."),
        ("heartbeat = 60\x07", "Line [1] of the configuration is invalid. The value contains control characters."),
        ("vm_memory_high_watermark = 0.9", "Configuration key [vm_memory_high_watermark] in line [1] is not supported "
         f"for broker engine type [RABBITMQ] version [4.2]. Valid keys are: [{KEYS}], and those of OAuth 2.0."),
        *(
            (f"heartbeat = {value}", f"Value [{value}] of configuration key [heartbeat] in line [1] is invalid. Valid "
             "values: [60-3600].")
            for value in ("59", "3601", "-1", "1e3")
        ),
        ("consumer_timeout = 2147483648", "Value [2147483648] of configuration key [consumer_timeout] in line [1] is "
         "invalid. Valid values: [0-2147483647]."),
        *(
            (f"{key} = on", f"Value [on] of configuration key [{key}] in line [1] is invalid. Valid values: [true, "
             "false].")
            for key in KEYS.split(", ")[2:]
        ),
        ("auth_oauth2.issuer = http://idp.example", "Value [http://idp.example] of configuration key "
         "[auth_oauth2.issuer] in line [1] is invalid. URLs must start with [https://]."),
        ("auth_backends.1 = ldap", "Value [ldap] of configuration key [auth_backends.1] in line [1] is invalid. Valid "
         "values: [oauth2, internal]."),
    ],
    "LAVINMQ": [
        ("[main", "Line [1] of the configuration is invalid. A section is a name in brackets."),
        ("[main]\nheartbeat", f"Line [2] of the configuration is invalid. {FORMAT}"),
        ("[main]\nsegment_size = 1", "Value [1] of configuration key [main.segment_size] in line [2] is invalid. Valid "
         "values: [1048576-1073741824]."),
        ("[amqp]\ntcp_proxy_protocol = maybe", "Value [maybe] of configuration key [amqp.tcp_proxy_protocol] in line "
         "[2] is invalid. Valid values: [true, false, yes, no, 1, 2, 0]."),
    ],
    "ACTIVEMQ": [
        ("<beans/>", f"{INVALID_XML}cvc-elt.1.a: Cannot find the declaration of element 'beans'."),
        ('<!DOCTYPE broker SYSTEM "x"><broker/>', f"{INVALID_XML}A document type declaration is not allowed."),
        (XML.format("<x/>" * 50_001), f"{INVALID_XML}It has more than [50000] elements."),
        (
            XML.format("<a " + " ".join(f'a{n}="1"' for n in range(257)) + "/>"),
            f"{INVALID_XML}An element has more than [256] attributes.",
        ),
        (
            XML.format("".join(f'<a xmlns:a{n}="u"/>' for n in range(64))),
            f"{INVALID_XML}It declares more than [64] namespaces.",
        ),
    ],
}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def run(worlds):
    world = worlds["extended"]
    mq = world.mq
    for change, attribute, message in CREATE:
        request = {"Name": name("refused"), "EngineType": "RABBITMQ"} | change
        request = {member: value for member, value in request.items() if value is not None}
        bad(mq.create_configuration, attribute, message, **request)
    mq.create_configuration(Name="Name~with.150-chars_" * 7 + "1234567890", EngineType="RabbitMQ")
    mq.create_configuration(Name="taken", EngineType="RABBITMQ")
    text = "Configuration name [taken] already exists. Retry your request with another name."
    conflict(mq.create_configuration, "name", text, Name="taken", EngineType="LAVINMQ")
    ids = data(world)
    sanitised(world, ids["ACTIVEMQ"])
    in_use(world)
    revisions(world)
    for configuration_id in (NOWHERE, "c-1"):
        for call, more in (
            (mq.delete_configuration, {}),
            (mq.describe_configuration, {}),
            (mq.describe_configuration_revision, {"ConfigurationRevision": "1"}),
            (mq.list_configuration_revisions, {}),
            (mq.update_configuration, {"Data": encoded("heartbeat = 60")}),
        ):
            request = {"ConfigurationId": configuration_id} | more
            unknown(call, "configuration", "configuration_id", configuration_id, **request)


def data(world):
    mq, ids = world.mq, {}
    for engine, rows in DATA.items():
        made = mq.create_configuration(Name=name("data"), EngineType=engine)
        ids[engine] = made["Id"]
        for text, message in rows:
            bad(mq.update_configuration, "data", message, ConfigurationId=made["Id"], Data=encoded(text))
        for text, message in (
            ("heartbeat = 60", "The configuration data must be base64 encoded."),
            (base64.b64encode(b"\xff\xfe").decode(), "The configuration data must be UTF-8 text."),
        ):
            bad(mq.update_configuration, "data", message, ConfigurationId=made["Id"], Data=text)
        bad(mq.update_configuration, "data", "[data] is required.", ConfigurationId=made["Id"])
        for description in ("d" * 1025, "bell\x07"):
            request = {"ConfigurationId": made["Id"], "Data": "", "Description": description}
            bad(mq.update_configuration, "description", DESCRIPTION, **request)
        latest = mq.describe_configuration(ConfigurationId=made["Id"])["LatestRevision"]["Revision"]
        assert latest == 1, "nothing refused is a revision"
    # Byte for byte, however it was wrapped.
    text = base64.encodebytes(b"# " + b"c" * 200 + b"\nheartbeat = 61 # why\n").decode()
    updated = mq.update_configuration(ConfigurationId=ids["RABBITMQ"], Data=text, Description="d" * 1024)
    assert updated["LatestRevision"]["Revision"] == 2 and updated["Warnings"] == [], updated
    request = {"ConfigurationId": ids["RABBITMQ"], "ConfigurationRevision": "2"}
    found = mq.describe_configuration_revision(**request)
    assert (found["Data"], found["Description"]) == (text, "d" * 1024)
    updated = mq.update_configuration(ConfigurationId=ids["LAVINMQ"], Data=encoded("[mqtt]\nport = 1883\n"))
    assert [warning["ElementName"] for warning in updated["Warnings"]] == [
        "mqtt.port: This broker does not serve this."
    ], updated
    for revision, attribute, message in (
        ("3", "revision", "Can't find requested configuration revision [3]. Make sure your configuration revision "
         "exists."),
        ("0", "revision", "Can't find requested configuration revision [0]. Make sure your configuration revision "
         "exists."),
    ):
        request = {"ConfigurationId": ids["RABBITMQ"], "ConfigurationRevision": revision}
        refused(mq.describe_configuration_revision, 404, "NotFoundException", attribute, message, **request)
    for revision in ("two", "2147483648", "1.0"):
        text = f"Configuration revision [{revision}] is invalid. Specify a number."
        request = {"ConfigurationId": ids["RABBITMQ"], "ConfigurationRevision": revision}
        bad(mq.describe_configuration_revision, "configuration-revision", text, **request)
    return ids


def sanitised(world, configuration_id):
    """What ActiveMQ's configuration must not have is taken out, and told; of many the first twenty."""
    mq = world.mq
    for unheard, told in ((2, 3), (30, 20)):
        text = XML.format('<transportConnectors/><destinationPolicy unheard="of"/>' + "<sslContext/>" * unheard)
        updated = mq.update_configuration(ConfigurationId=configuration_id, Data=encoded(text))
        warnings = [(warning["ElementName"], warning["Reason"]) for warning in updated["Warnings"]]
        assert len(warnings) == told, warnings
        assert ("sslContext", "DISALLOWED_ELEMENT_REMOVED") in warnings, warnings
        assert (("destinationPolicy", "DISALLOWED_ATTRIBUTE_REMOVED") in warnings) == (told < 20), warnings
        revision = str(updated["LatestRevision"]["Revision"])
        kept = mq.describe_configuration_revision(ConfigurationId=configuration_id, ConfigurationRevision=revision)
        kept = base64.b64decode(kept["Data"]).decode()
        assert kept == XML.format("<transportConnectors/><destinationPolicy/>"), kept


def in_use(world):
    mq = world.mq
    made = mq.create_configuration(Name=name("used"), EngineType="RABBITMQ")["Id"]
    broker_id = world.running(Configuration={"Id": made})
    text = f"Configuration [{made}] is in use by broker [{broker_id}] and can't be deleted."
    conflict(mq.delete_configuration, "configuration_id", text, ConfigurationId=made)
    other = mq.create_configuration(Name=name("other"), EngineType="RABBITMQ")["Id"]
    mq.update_broker(BrokerId=broker_id, Configuration={"Id": other})
    text = f"Configuration [{other}] is in use by broker [{broker_id}] and can't be deleted."
    conflict(mq.delete_configuration, "configuration_id", text, ConfigurationId=other)
    text = f"Configuration [{other}] is for engine type [RABBITMQ], not [LAVINMQ]."
    request = LAVINMQ | {"BrokerName": name("broker"), "Configuration": {"Id": other}}
    bad(mq.create_broker, "configuration", text, **request)
    free = mq.create_configuration(Name=name("free"), EngineType="RABBITMQ")["Id"]
    assert mq.delete_configuration(ConfigurationId=free)["ConfigurationId"] == free
    unknown(mq.delete_configuration, "configuration", "configuration_id", free, ConfigurationId=free)


def revisions(world):
    """Three hundred, and no more."""
    mq = world.mq
    made = mq.create_configuration(Name=name("long"), EngineType="RABBITMQ")["Id"]
    for _ in range(299):
        latest = mq.update_configuration(ConfigurationId=made, Data="")["LatestRevision"]["Revision"]
    assert latest == 300, latest
    text = "The maximum number of revisions of a configuration, [300], is reached."
    bad(mq.update_configuration, "configuration_id", text, ConfigurationId=made, Data="")
