"""What Schemathesis is told beyond the OpenAPI document. Nothing here leaves a check out."""

import gzip
import json

import schemathesis

NDJSON = "application/x-ndjson"
LINE_BYTES = 1024

# Most generated numbers become one of so many, so that questions meet rides that were posted before.
FEW = {"resortID": 3, "dayID": 3, "skierID": 5, "liftID": 5}


@schemathesis.serializer(NDJSON)
def serialize_lines(context, text):
    """An upload, compressed where its header says so."""
    body = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if context.case.headers.get("Content-Encoding") == "gzip":
        body = gzip.compress(body)
    return body


@schemathesis.hook
def filter_body(context, body):
    """What is not text cannot be sent as an upload; written down in any way it is text, and that is taken."""
    return not is_upload(context) or isinstance(body, (str, bytes))


@schemathesis.hook
def map_body(context, body):
    """Bodies that are worth sending."""
    if is_upload(context):
        return begin_with_rides(body) if isinstance(body, str) else body
    return exact(body) if isinstance(body, dict) else body


def is_upload(context):
    """Whether the body is lines and not JSON."""
    return context.operation.path == "/rides"


def begin_with_rides(text):
    """Any text is an upload, but rides are rare in any text. Lines are kept as short as the document demands."""
    rides = "".join(ride(1 + n % 3, 1 + n, 1 + len(text) % 1440) for n in range(1 + len(text) % 7))
    return rides + "\n".join(line[: LINE_BYTES // 4] for line in text.split("\n"))


def ride(resort, skier, minute):
    """One line."""
    numbers = {"resortID": resort, "seasonID": "2025", "dayID": 1 + skier % 3}
    return json.dumps(numbers | {"skierID": skier, "time": minute, "liftID": 1 + skier % 5}) + "\n"


def exact(body):
    """JSON Schema takes 217.0 for an integer. This API does not: it wants exact types."""
    numbers = {"time", "liftID", "year"}
    return {name: whole(value) if name in numbers else value for name, value in body.items()}


def whole(value):
    """The integer that JSON Schema sees."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def map_path_parameters(context, parameters):
    """Leads most questions to the same few days; the ends of the ranges stay as they are."""
    if not parameters:
        return parameters
    return {name: nearby(name, value) for name, value in parameters.items()}


@schemathesis.hook
def filter_query(context, query):
    """An ID that is a text in JSON is the same ID in a URL, and valid there."""
    resorts = (query or {}).get("resort")
    is_id = lambda resort: isinstance(resort, str) and resort.isascii() and resort.isdigit()
    return not (isinstance(resorts, list) and any(map(is_id, resorts)))


@schemathesis.hook
def map_query(context, query):
    """The same for questions; and a resort of any name becomes one of theirs."""
    resorts = (query or {}).get("resort")
    if not isinstance(resorts, list):
        return query
    return query | {"resort": [named(nearby("resortID", resort)) for resort in resorts]}


def named(resort):
    """The name of a resort for any name; a number is an id."""
    is_name = isinstance(resort, str) and resort and not any(digit in resort for digit in "0123456789")
    return f"Resort {1 + len(resort) % 3}" if is_name else resort


def nearby(name, value):
    """A small number for an ordinary one."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if name == "seasonID":
        return 2025 if 1910 <= value <= 2990 else value
    few = FEW.get(name)
    return 1 + value % few if few and 10 <= value <= 350 else value
