"""Which operation was seen with which of its errors, against the service model."""

from validate_shapes import model

# What Warren answers where the model has another error, and why.
STAND_INS = {
    "ForbiddenException": (
        "AccessDeniedException",
        "Terraform takes ForbiddenException of DescribeBroker for a broker that is gone; and IAM says AccessDenied",
    ),
    "UnauthorizedException": (
        "UnrecognizedClientException",
        "credentials are verified before an operation is looked for, with one answer for all of them, as on AWS",
    ),
}

ONLY_A_NAME = "takes nothing but what names a resource: what names none is not found"
# Errors that an operation has in the model and never in Warren, and why.
NEVER = {
    ("DeleteConfiguration", "BadRequestException"): ONLY_A_NAME,
    ("DescribeBroker", "BadRequestException"): ONLY_A_NAME,
    ("DescribeConfiguration", "BadRequestException"): ONLY_A_NAME,
    ("DescribeUser", "BadRequestException"): ONLY_A_NAME,
    ("ListTags", "BadRequestException"): ONLY_A_NAME,
    ("UpdateBroker", "ConflictException"): "updates of a broker wait for each other, and are accepted one after another",
    ("UpdateConfiguration", "ConflictException"): "updates wait for each other, and each becomes a revision of its own",
}


def pairs():
    """Every operation with success, as None, and each of its errors."""
    for name in model.operation_names:
        yield name, None
        for shape in model.operation_model(name).error_shapes:
            yield name, shape.name


def check(seen):
    wanted = set(pairs())
    assert len(model.operation_names) == 25 and len(wanted) > 100, "the model is not the one that this was written for"
    assert NEVER.keys() <= wanted, "an exception for what the model does not have"
    assert not NEVER.keys() & seen, "what never happens was seen"
    missing = {
        (operation, code)
        for operation, code in wanted - NEVER.keys()
        if (operation, STAND_INS.get(code, (code,))[0]) not in seen
    }
    assert not missing, f"never seen: {sorted(missing, key=str)}"
    return {"operations": len(model.operation_names), "pairs": len(wanted), "never": len(NEVER)}
