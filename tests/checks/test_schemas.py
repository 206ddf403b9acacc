# SPDX-License-Identifier: Apache-2.0
"""schemas/README.md has a rule of compatibility, and this holds the schemas to it. tests/schemas keeps each schema as it was
released; a later version is a file of its own, `job.v2.avsc` beside `job.avsc`."""

import copy
import io
import json
import re

import fastavro
import pytest

from checks.tree import ROOT, report

SCHEMAS, RELEASED = ROOT / "schemas", ROOT / "tests" / "schemas"
# What says nothing to a reader of data.
REMARKS = ("doc",)


def load(path):
    return json.loads(path.read_text())


def plain(schema):
    """Without remarks, wherever they stand."""
    if isinstance(schema, dict):
        return {name: plain(value) for name, value in schema.items() if name not in REMARKS}
    return [plain(each) for each in schema] if isinstance(schema, list) else schema


def types_differ(where, older, newer):
    """What forbids to read data of one type as the other; an enum may get more symbols at its end."""
    if isinstance(older, dict) and isinstance(newer, dict) and older.get("type") == newer.get("type"):
        if older["type"] == "record":
            return records_differ(older, newer)
        if older["type"] == "enum":
            return enums_differ(where, older, newer)
        part = {"array": "items", "map": "values"}.get(older["type"])
        if part:
            return types_differ(where, older[part], newer[part])
    if isinstance(older, list) and isinstance(newer, list) and len(older) == len(newer):
        return [problem for one, other in zip(older, newer) for problem in types_differ(where, one, other)]
    return [] if older == newer else [f"{where}: its type is another"]


def enums_differ(where, older, newer):
    count = len(older["symbols"])
    problems = []
    if newer["symbols"][:count] != older["symbols"]:
        problems.append(f"{where}: a symbol is gone, renamed or moved")
    if len(newer["symbols"]) > count and "default" not in older:
        problems.append(f"{where}: symbols are new, and older readers have no default for them")
    if {**older, "symbols": 0} != {**newer, "symbols": 0}:
        problems.append(f"{where}: its name or default is another")
    return problems


def records_differ(older, newer):
    where = older["name"]
    problems = [f"{where}: the record's {name} is another" for name in ("name", "namespace", "aliases")
                if older.get(name) != newer.get(name)]
    for index, field in enumerate(older["fields"]):
        name = f"{where}.{field['name']}"
        if index >= len(newer["fields"]) or newer["fields"][index]["name"] != field["name"]:
            return [*problems, f"{name}: removed, renamed or moved"]
        other = newer["fields"][index]
        problems += types_differ(name, field["type"], other["type"])
        if ("default" in field, field.get("default")) != ("default" in other, other.get("default")):
            problems.append(f"{name}: its default is another")
    return problems + [f"{where}.{field['name']}: new, and without a default"
                       for field in newer["fields"][len(older["fields"]):] if "default" not in field]


def incompatible(older, newer):
    return types_differ("the schema", plain(older), plain(newer))


def versions():
    """Each schema's files, oldest first."""
    families = {}
    for path in SCHEMAS.glob("*.avsc"):
        name, number = re.fullmatch(r"(\w+)(?:\.v(\d+))?\.avsc", path.name).groups()
        families.setdefault(name, []).append((int(number or 1), path))
    return {name: [path for _, path in sorted(paths)] for name, paths in families.items()}


def test_a_released_schema_is_never_edited():
    assert {path.name for path in RELEASED.glob("*.avsc")} >= {"job.avsc", "event.avsc"}
    report([f"schemas/{path.name} was released, and is another now, or gone: make a new version of it"
            for path in RELEASED.glob("*.avsc")
            if not (SCHEMAS / path.name).exists() or plain(load(SCHEMAS / path.name)) != plain(load(path))])


def test_every_schema_is_one():
    for path in SCHEMAS.glob("*.avsc"):
        fastavro.parse_schema(load(path))


def test_each_version_is_fully_compatible_with_all_before_it():
    report([f"{newer.name}: {problem} (since {older.name})" for paths in versions().values()
            for index, newer in enumerate(paths) for older in paths[:index]
            for problem in incompatible(load(older), load(newer))])


# --- what the rule allows and forbids ---

def changed(change):
    """event.avsc, changed."""
    schema = copy.deepcopy(load(SCHEMAS / "event.avsc"))
    change(schema, schema["fields"])
    return schema


def swap(things, first, second):
    things[first], things[second] = things[second], things[first]


def more(schema, fields):
    schema["doc"] = fields[0]["doc"] = "said better"
    fields.append({"name": "queue", "type": ["null", "string"], "default": None})
    fields[1]["type"]["symbols"].append("followed_up")


FORBIDDEN = {
    "a field is removed": lambda schema, fields: fields.pop(5),
    "the last field is removed": lambda schema, fields: fields.pop(),
    "a field is renamed": lambda schema, fields: fields[3].update(name="kind"),
    "fields change places": lambda schema, fields: swap(fields, 3, 4),
    "a field comes in between": lambda schema, fields: fields.insert(3, {"name": "new", "type": "int", "default": 0}),
    "a field has no default": lambda schema, fields: fields.append({"name": "new", "type": "int"}),
    "a type is another": lambda schema, fields: fields[7].update(type=["null", "long"]),
    "branches change places": lambda schema, fields: swap(fields[7]["type"], 0, 1),
    "a union gets a branch": lambda schema, fields: fields[3]["type"].append("bytes"),
    "null is no longer allowed": lambda schema, fields: fields[3].update(type="string", default=""),
    "a logical type is gone": lambda schema, fields: fields[0].update(type="long"),
    "a default is another": lambda schema, fields: fields[0].update(default=0),
    "a symbol is removed": lambda schema, fields: fields[1]["type"]["symbols"].pop(),
    "a symbol is renamed": lambda schema, fields: fields[1]["type"]["symbols"].__setitem__(2, "double"),
    "symbols change places": lambda schema, fields: swap(fields[1]["type"]["symbols"], 1, 2),
    "a symbol comes in between": lambda schema, fields: fields[2]["type"]["symbols"].insert(1, "new"),
    "an enum's default is gone": lambda schema, fields: fields[1]["type"].pop("default"),
    "an enum is renamed": lambda schema, fields: fields[1]["type"].update(name="Kind"),
    "the record is renamed": lambda schema, fields: schema.update(name="Event"),
    "the namespace is another": lambda schema, fields: schema.update(namespace="other"),
}


@pytest.mark.parametrize("change", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_the_rule_forbids(change):
    assert incompatible(load(SCHEMAS / "event.avsc"), changed(change))


def test_an_enum_without_a_default_gets_no_symbol():
    older = changed(lambda schema, fields: fields[1]["type"].pop("default"))
    newer = copy.deepcopy(older)
    newer["fields"][1]["type"]["symbols"].append("followed_up")
    assert incompatible(older, newer)


def read_as(writer, reader, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(writer), value)
    stream.seek(0)
    return fastavro.schemaless_reader(stream, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


def test_what_the_rule_allows_is_read_both_ways():
    older, newer = load(SCHEMAS / "event.avsc"), changed(more)
    assert not incompatible(older, newer)
    value = {"time": 0, "event": "done", "job_status": "done", "jid": "x"}
    assert read_as(older, newer, value)["queue"] is None
    found = read_as(newer, older, {**value, "event": "followed_up", "queue": "q"})
    assert (found["event"], found["jid"], "queue" in found) == ("unknown", "x", False)
