"""The OpenAPI document as the tests use it, and a judge of values by its schemas.

The judge knows the part of JSON Schema that the document uses and refuses the rest, so that nothing is
passed over in silence. It is stricter than the document in one point: the document lets answers grow,
the tests want exactly the members that it lists.
"""

import datetime
import json
import re
import urllib.parse

from helpers import ROOT

FILE = ROOT / "http/static/openapi.json"
METHODS = ("get", "put", "post", "patch", "delete")
ANNOTATIONS = {"description", "example", "examples", "default", "title", "deprecated"}
TYPES = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}
BOUNDS = {
    "minimum": (TYPES["number"], lambda v, k: v >= k),
    "maximum": (TYPES["number"], lambda v, k: v <= k),
    "exclusiveMinimum": (TYPES["number"], lambda v, k: v > k),
    "minLength": (TYPES["string"], lambda v, k: len(v) >= k),
    "maxLength": (TYPES["string"], lambda v, k: len(v) <= k),
    "minItems": (TYPES["array"], lambda v, k: len(v) >= k),
    "maxItems": (TYPES["array"], lambda v, k: len(v) <= k),
    "pattern": (TYPES["string"], lambda v, k: re.search(k, v) is not None),
}


def is_time(v):
    try:
        datetime.datetime.fromisoformat(v.replace("Z", "+00:00"))
        return True
    except ValueError:
        return False


def is_uri(v):
    parts = urllib.parse.urlsplit(v)
    return bool(parts.scheme and parts.netloc)


FORMATS = {
    "uuid": lambda v: re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", v),
    "date-time": is_time,
    "uri": is_uri,
    "uri-reference": lambda v: re.fullmatch(r"[!-~]+", v),
}


class Wrong(AssertionError):
    pass


def same(a, b):
    """Equality of JSON: true is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


class Judge:
    def __init__(self, document, closed=True):
        self.document = document
        self.closed = closed

    def resolve(self, node):
        while "$ref" in node:
            assert set(node) <= {"$ref", "description"}, f"beside a $ref: {node}"
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def check(self, schema, value, at="$"):
        """Wrong, if the value is not of the schema."""
        known = self.apply(schema, value, at)
        if self.closed and isinstance(value, dict) and known is not None:
            extra = set(value) - known
            if extra:
                raise Wrong(f"{at}: not in the document: {', '.join(sorted(extra))}")

    def fits(self, schema, value, at):
        try:
            self.check(schema, value, at)
            return True
        except Wrong:
            return False

    def apply(self, schema, value, at):
        """The names of the members that the schema speaks of; None: it takes any."""
        schema = self.resolve(schema)
        known, free = set(), not schema
        for key, k in schema.items():
            if key in ANNOTATIONS:
                continue
            if key == "type":
                types = [k] if isinstance(k, str) else k
                self.demand(any(TYPES[t](value) for t in types), at, f"{value!r} is not of type {k}")
            elif key == "enum":
                self.demand(any(same(value, e) for e in k), at, f"{value!r} is none of {k}")
            elif key == "const":
                self.demand(same(value, k), at, f"{value!r} is not {k!r}")
            elif key == "format":
                self.demand(not isinstance(value, str) or FORMATS[k](value), at, f"{value!r}: no {k}")
            elif key in BOUNDS:
                of, good = BOUNDS[key]
                self.demand(not of(value) or good(value, k), at, f"{value!r} against {key} {k}")
            elif key == "required":
                missing = set(k) - set(value) if isinstance(value, dict) else set()
                self.demand(not missing, at, f"missing: {', '.join(sorted(missing))}")
            elif key == "properties":
                known |= set(k)
                for name in set(k) & set(value if isinstance(value, dict) else ()):
                    self.check(k[name], value[name], f"{at}.{name}")
            elif key == "additionalProperties":
                extra = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else set()
                self.demand(k is not False or not extra, at, f"not allowed: {', '.join(sorted(extra))}")
                for name in extra if isinstance(k, dict) else ():
                    self.check(k, value[name], f"{at}.{name}")
                free = free or k is not False
            elif key == "items":
                for i, item in enumerate(value if isinstance(value, list) else ()):
                    self.check(k, item, f"{at}[{i}]")
            elif key == "allOf":
                for part in k:
                    more = self.apply(part, value, at)
                    free = free or more is None
                    known |= more or set()
            elif key in ("oneOf", "anyOf"):
                bare = [set(self.resolve(s)) == {"required"} for s in k]
                judge = Judge(self.document, False) if all(bare) else self
                n = sum(judge.fits(s, value, at) for s in k)
                self.demand(n == 1 if key == "oneOf" else n > 0, at, f"{value!r} fits {n} of {key}")
                free = free or not all(bare)
            else:
                raise AssertionError(f"{at}: the judge does not know {key}")
        if schema.get("type") == "object" and "properties" not in schema and "allOf" not in schema:
            free = True
        return None if free else known

    @staticmethod
    def demand(good, at, what):
        if not good:
            raise Wrong(f"{at}: {what}")


class Operation:
    """One method of one path; references are followed."""

    def __init__(self, document, path, method):
        self.judge = Judge(document)
        self.path, self.method = path, method.upper()
        item = document["paths"][path]
        self.node = item[method]
        self.id = self.node["operationId"]
        self.parameters = [self.judge.resolve(p)
                           for p in item.get("parameters", []) + self.node.get("parameters", [])]
        self.responses = {code: self.judge.resolve(r) for code, r in self.node["responses"].items()}
        self.security = self.node.get("security", document.get("security"))
        self.body = self.judge.resolve(self.node["requestBody"]) if "requestBody" in self.node else None

    def __repr__(self):
        return f"{self.method} {self.path}"

    def query(self):
        return [p for p in self.parameters if p["in"] == "query"]

    @property
    def json_body(self):
        return self.body and self.body["content"]["application/json"]

    def body_examples(self):
        """The examples of the request body; [None] without a body."""
        if self.body is None:
            return [None]
        return [json.loads(json.dumps(self.judge.resolve(e)["value"]))
                for e in self.json_body["examples"].values()]

    def check(self, answer, wanted=None):
        """The answer is one that the document names for this very operation, and is as it says."""
        assert wanted is None or answer.status in wanted, f"{self}: {answer}"
        response = self.responses.get(str(answer.status))
        assert response is not None, f"{self}: not documented: {answer}"
        self.check_against(response, answer)
        return answer

    def check_refusal(self, answer, status):
        """The same for what is refused before the operation has a say."""
        assert answer.status == status, f"{self}: {answer}"
        response = self.responses.get(f"{status // 100}XX") or self.responses["default"]
        self.check_against(response, answer)

    def check_against(self, response, answer):
        for name, header in response.get("headers", {}).items():
            header = self.judge.resolve(header)
            value = answer.header(name)
            if value is None:
                assert not header.get("required"), f"{self}: no {name} in {answer}"
            else:
                self.judge.check(header["schema"], value, name)
        content = response.get("content")
        if content is None:
            assert answer.body == b"", f"{self}: a body that is not documented: {answer}"
            return
        kind = answer.header("Content-Type")
        assert kind in content, f"{self}: {kind} is none of {list(content)}"
        value = answer.json if kind in ("application/json", "application/problem+json") else answer.text
        self.judge.check(content[kind]["schema"], value, f"{self} {answer.status}")
        if kind == "application/problem+json":
            assert value["status"] == answer.status, answer
            if answer.header("Idempotent-Replayed") is None:
                assert value["request_id"] == answer.header("X-Request-Id"), answer


def load():
    return json.loads(FILE.read_text(encoding="utf-8"))


def operations(document):
    return [Operation(document, path, method) for path, item in document["paths"].items()
            for method in METHODS if method in item]
