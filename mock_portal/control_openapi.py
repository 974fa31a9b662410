"""The control interface as OpenAPI, from the table of its endpoints and the types of their bodies."""

from collections.abc import Iterable
from dataclasses import dataclass
import re
from typing import Any, TypedDict

from .exchange import JSON_TYPE, YAML_TYPE, Json, Record, Response
from .schema import Schemas

_DESCRIPTION = """\
What Python code does with a mock portal, over HTTP. Requests to it are never in the journal, and faults never hit them.
The API for which the portal stands in is described at /openapi.yaml.
"""


class Empty(TypedDict):
    """An answer without content: it is done."""


class Error(TypedDict):
    """Why a request cannot be carried out."""

    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What the document says of an endpoint; a name in braces stands for a value in its path.

    `query`, `body` and `answer` are types, or schemas. A partial body needs no field.
    """

    method: str
    path: str
    description: str
    query: type | None = None
    body: Any = None
    is_partial: bool = False
    answer: Any = Empty


def describe(root: str, prefix: str, operations: Iterable[Operation]) -> Record:
    """Return the document for the operations below a prefix of an address."""
    schemas = Schemas()
    paths: dict[str, Record] = {}
    for operation in operations:
        path = paths.setdefault(f"{prefix}/{operation.path}", {})
        path[operation.method.lower()] = _describe(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Control interface of the mock portal",
            "version": "1",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": root or "/"}],
        "paths": {**paths},
        "components": {"schemas": schemas.components},
    }


def _describe(operation: Operation, schemas: Schemas) -> Record:
    """Return the description of one operation."""
    names = re.findall(r"\w+", operation.path)
    described: Record = {
        "operationId": "_".join([operation.method.lower(), *names]),
        "summary": operation.description,
        "parameters": _parameters(operation, schemas),
        "responses": {
            "200": {"description": "It is done.", "content": _answer(operation, schemas)},
            "4XX": {
                "description": "It cannot be done; the answer says why.",
                "content": _content(schemas.describe(Error)),
            },
        },
    }
    if operation.is_partial:
        body = schemas.inline(operation.body, is_partial=True)
    elif operation.body is not None:
        body = schemas.describe(operation.body)
    else:
        return described
    return described | {"requestBody": {"required": True, "content": _content(body)}}


def _parameters(operation: Operation, schemas: Schemas) -> list[Json]:
    """Return the parameters in the path and in the query of an operation."""
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": schemas.describe(str)}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    if operation.query:
        in_query = schemas.properties(operation.query)
        for name, schema in in_query.items():
            parameters.append({"name": name, "in": "query", "schema": _given(schema)})
    return parameters


def _given(schema: Record) -> Record:
    """Return a schema without null, which a query cannot carry: it leaves the parameter out."""
    match schema:
        case {"anyOf": [dict() as first, *_], **others}:
            return first | others
    return schema


def _answer(operation: Operation, schemas: Schemas) -> Record:
    """Return the content of a good answer."""
    if operation.answer is Response:
        return {YAML_TYPE: {}}
    return _content(schemas.describe(operation.answer))


def _content(schema: Record) -> Record:
    """Return the content that has a schema."""
    return {JSON_TYPE: {"schema": schema}}
