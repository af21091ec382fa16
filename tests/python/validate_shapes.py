"""Holds recorded API answers against the service model in botocore.

For each JSON object on a line of standard input (`operation`, `status`, `headers` with names in
lower case, and `body` as text) it prints the list of deviations, as JSON on a line.
"""

import json
import re
import sys

import botocore.loaders
from botocore.model import ServiceModel

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Answered before an operation is known, so no operation models them.
COMMON_ERRORS = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 400,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
    "SerializationException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403,
}
# Values beyond the service model that Warren offers.
EXTENSIONS = {"EngineType": {"LAVINMQ"}}

model = ServiceModel(botocore.loaders.Loader().load_service_model("mq", "service-2"))


def check(shape, value, path):
    """Yields what is wrong with a value."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no structure"
            return
        members = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        for key in value.keys() - members.keys():
            yield f"{path}.{key}: not in the model"
        for key, (name, member) in members.items():
            if value.get(key) is not None:
                yield from check(member, value[key], f"{path}.{key}")
            elif key in value:
                yield f"{path}.{key}: null, and should be left out"
            elif name in shape.required_members:
                yield f"{path}.{key}: required, and missing"
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from check(shape.member, item, f"{path}[{index}]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no map"
            return
        for key, item in value.items():
            yield from check(shape.value, item, f"{path}[{key!r}]")
    elif kind == "timestamp":
        if not (isinstance(value, str) and TIMESTAMP.fullmatch(value)):
            yield f"{path}: {value!r} is no timestamp with milliseconds and Z"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{path}: {value!r} is no boolean"
    elif kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{path}: {value!r} is no integer"
    elif kind == "string":
        if not isinstance(value, str):
            yield f"{path}: {value!r} is no string"
        # AWS answers some enumerations in another case than its model writes them.
        elif shape.enum and value.upper() not in set(shape.enum) | EXTENSIONS.get(shape.name, set()):
            yield f"{path}: {value!r} is none of {shape.enum}"
    else:
        yield f"{path}: the model's type {kind} is not known here"


def check_answer(answer):
    operation = model.operation_model(answer["operation"])
    status, headers, text = answer["status"], answer["headers"], answer["body"]
    for header in ("x-amzn-requestid", "date"):
        if header not in headers:
            yield f"header {header} is missing"
    if text and headers.get("content-type") != "application/json":
        yield f"content type is {headers.get('content-type')!r}"
    if status < 300:
        expected = operation.http.get("responseCode", 200)
        if status != expected:
            yield f"status {status} instead of {expected}"
        if status == 204:
            if text:
                yield "204 with a body"
            return
        body = json.loads(text)
        if operation.output_shape is not None:
            yield from check(operation.output_shape, body, "body")
        elif body:
            yield f"a body where the model has none: {body}"
        return
    body = json.loads(text)
    code = headers.get("x-amzn-errortype")
    modelled = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes}
    if status != (modelled | COMMON_ERRORS).get(code):
        yield f"status {status} does not belong to error type {code!r}"
    if not isinstance(body.get("message"), str) or not body["message"]:
        yield f"an error without a message: {body}"
    for key in body.keys() - {"message", "errorAttribute"}:
        yield f"body.{key}: not in the model"
    if not isinstance(body.get("errorAttribute", ""), str):
        yield f"errorAttribute is no string: {body}"


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(list(check_answer(json.loads(line)))), flush=True)
