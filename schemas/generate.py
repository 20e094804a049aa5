"""Make the JSON schemas, here and in the packages, from the structures that they describe: `make schemas`."""

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from local_h5.contracts.config import Config
from local_h5.contracts.dictionary import RunDictionary
from local_h5.contracts.plan import PlanDocument
from local_h5.contracts.policy import Policy
from local_h5.contracts.records import ValidationRecord
from local_h5.contracts.results import AreaResult
from local_h5.contracts.work_items import WorkItems
from local_h5.contracts.work_results import WorkResult
from local_h5.prepared.given import VariableRules
from local_h5.takeup.programmes import ProgrammeForm, ProgrammesForm
from local_h5.validation.targets.model_facts import ModelFacts
from local_h5_example.sources import PinnedSources
from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.release import DataRelease
from pe_data.documents.collection import Collection
from pe_data.documents.dictionary import Dictionary
from pe_data.documents.envelope import SignedDocument
from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import PointerBody
from pe_data.documents.revocations import RevocationList
from pe_data.documents.tombstone import Tombstone
from pe_data.keep.pins import PinFile
from pe_data.trust.anchor import Floor
from pe_data.trust.keys import KeyFile
from pe_data.trust.proposal import ProposalFile
from pe_data_gateway.audit.checkpoints import CheckpointFile
from pe_data_gateway.audit.records import Line
from pe_data_gateway.tokens import TokenFile


class Document(NamedTuple):
    """A kind of document.

    Attributes:
        title: for people.
        kind: its structure.
        written: whether only we write it. Then keys with a default are required too.
    """

    title: str
    kind: type[msgspec.Struct]
    written: bool = False


DOCUMENTS = {
    "area_result": Document("Result sidecar of one area file", AreaResult, written=True),
    "config": Document("Workflow configuration", Config),
    "dictionary": Document("What the variables of a run's files mean", RunDictionary, written=True),
    "example_sources": Document("Public files behind the example inputs", PinnedSources),
    "model_facts": Document("Facts about one version of policyengine-us", ModelFacts),
    "pe_data_gateway/audit_checkpoint": Document("Checkpoint of an audit log, without its signatures", CheckpointFile),
    "pe_data_gateway/audit_record": Document("Line of an audit log", Line),
    "pe_data/collection": Document("Collection of artifacts", Collection),
    "pe_data/data_release": Document("Data-release block", DataRelease),
    "pe_data/dictionary": Document("What the variables of a file or a run mean", Dictionary),
    "pe_data/earlier_data_release": Document("Data-release block of earlier versions", EarlierRelease),
    "pe_data/envelope": Document("Signed document", SignedDocument),
    "pe_data/floor": Document("Smallest versions that are believable, beside a trust root", Floor),
    "pe_data/key": Document("Public description of a signing key", KeyFile),
    "pe_data/manifest": Document("Manifest of an artifact", Manifest),
    "pe_data/pin": Document("Pin of an artifact in a store", PinFile),
    "pe_data/pointer": Document("Pointer of a channel, without its signatures", PointerBody),
    "pe_data/proposal": Document("Version of a trust root that is collecting signatures", ProposalFile),
    "pe_data_gateway/tokens": Document("Tokens of a gateway", TokenFile),
    "pe_data/revocations": Document("Revocation list of a country, without its signatures", RevocationList),
    "pe_data/tombstone": Document("Revocation of an artifact, without its signatures", Tombstone),
    "plan": Document("What one plain run would do: `local-h5 plan --format json`", PlanDocument, written=True),
    "takeup_programme": Document("Take-up programme", ProgrammeForm),
    "takeup_programmes": Document("List of take-up programmes", ProgrammesForm),
    "validation_policy": Document("Validation policy: the section validation of the configuration", Policy),
    "validation_record": Document("Validation of one area file", ValidationRecord, written=True),
    "variable_rules": Document("Treatment of the source's variables", VariableRules),
    "work_items": Document("Areas for a worker to build", WorkItems),
    "work_result": Document("Outcomes of the areas of a worker", WorkResult, written=True),
}

_ROOT = Path(__file__).parents[1]
_FOLDERS = {
    "": _ROOT / "schemas",
    "pe_data": _ROOT / "packages/pe-microdata/src/pe_data/schemas",
    "pe_data_gateway": _ROOT / "packages/pe-microdata-gateway/src/pe_data_gateway/schemas",
}
_WIDTH = 120
_ATTRIBUTE = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def path_of(name: str) -> Path:
    """Where a schema is; those of a package are with its source."""
    package, _, document = name.rpartition("/")
    return _FOLDERS[package] / f"{document}.schema.json"


def schema_text(name: str) -> str:
    """The text of ``<name>.schema.json``."""
    document = DOCUMENTS[name]
    (root,), parts = msgspec.json.schema_components([document.kind])
    kinds = {kind.__name__: kind for kind in _structures(document.kind)}
    finished = {part: _finished(rules, kinds[part], document.written) for part, rules in parts.items()}
    root = finished.pop(root["$ref"].rpartition("/")[2])
    fixed: Mapping[str, int | str] = getattr(document.kind, "HEAD", {})
    root["required"] = [*fixed, *root.get("required", [])]
    root["properties"] = {**{key: {"const": value} for key, value in fixed.items()}, **root["properties"]}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{name.rpartition('/')[2]}.schema.json",
        "title": document.title,
    }
    defs = {"$defs": finished} if finished else {}
    return _text(_plain({**head, **root, **defs})) + "\n"


def _finished(rules: Mapping[str, Any], kind: type[msgspec.Struct], written: bool) -> dict[str, Any]:
    """The schema of a structure, with descriptions from its docstring and its own rules."""
    summary, attributes = _described(kind)
    properties = {name: dict(part) for name, part in rules["properties"].items()}
    fields = msgspec.structs.fields(kind)
    for field in fields:
        properties[field.encode_name].pop("default", None)
        if field.name in attributes:
            properties[field.encode_name]["description"] = attributes[field.name]
    required = list(rules.get("required", ()))
    if written:
        required = [field.encode_name for field in fields if field.default is not msgspec.UNSET]
    rest = {key: value for key, value in rules.items() if key not in ("title", "description", "properties", "required")}
    return {
        "description": summary,
        **rest,
        **({"required": required} if required else {}),
        "properties": properties,
        **getattr(kind, "RULES", {}),
    }


def _described(kind: type) -> tuple[str, dict[str, str]]:
    """First paragraph of a docstring, and the text of each attribute, also of those that are inherited."""
    summary, found = "", dict[str, str]()
    for part in reversed(kind.__mro__):
        summary, _, rest = inspect.cleandoc(part.__doc__ or "").partition("\n\n")
        listed = rest.partition("Attributes:\n")[2].partition("\n\n")[0]
        for names, said in _ATTRIBUTE.findall(listed):
            found |= dict.fromkeys(names.split(", "), said[0].upper() + " ".join(said.split())[1:])
    return " ".join(summary.split()), found


def _structures(kind: Any) -> set[type[msgspec.Struct]]:
    """A structure and all structures in it."""
    found: set[type[msgspec.Struct]] = set()
    pending = [msgspec.inspect.type_info(kind)]
    while pending:
        part = pending.pop()
        if isinstance(part, msgspec.inspect.StructType):
            if part.cls in found:
                continue
            found.add(part.cls)
        for value in (getattr(part, name) for name in part.__struct_fields__):
            for inner in value if isinstance(value, tuple) else (value,):
                inner = inner.type if isinstance(inner, msgspec.inspect.Field) else inner
                if isinstance(inner, msgspec.inspect.Type):
                    pending.append(inner)
    return found


def _plain(value: Any) -> Any:
    """Patterns without a suffix for Python, where ``$`` allows a line break after it."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.replace(r"$(?!\n)", "$") if isinstance(value, str) else value


def _text(value: Any, indent: str = "", before: int = 0) -> str:
    """JSON with one line for each value that fits into it."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent) + before + len(line) < _WIDTH:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _text(part, inner) for part in value) + f"\n{indent}]"
    parts = (f"{inner}{json.dumps(key)}: {_text(part, inner, len(key) + 5)}" for key, part in value.items())
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


if __name__ == "__main__":
    for document_name in DOCUMENTS:
        path_of(document_name).write_text(schema_text(document_name), encoding="utf-8")
