"""`pe-data promote` and `sign`: nominate an artifact, and sign what others wrote."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pe_data.cli.completion import DATASET_NAME
from pe_data.cli.options import (
    FILE,
    PLACE,
    ChosenStore,
    Duration,
    Signable,
    Signing,
    json_option,
    key_option,
    namespace_of,
    namespace_option,
    needs_signatures,
    said_options,
    signing_options,
    store_option,
)
from pe_data.cli.output import Output, say
from pe_data.documents.pointer import Said
from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256, parse_sha256, strict_json
from pe_data.names.uri import split_dataset

if TYPE_CHECKING:
    from pe_data.store.artifacts import Contents
    from pe_data.store.base import Store


@click.command()
@click.argument("dataset", type=DATASET_NAME, metavar="[COUNTRY/DATASET]", required=False)
@click.option(
    "--from",
    "source",
    default="latest",
    show_default=True,
    metavar="latest|sha256:DIGEST",
    help="What to nominate.",
)
@click.option("--expires", type=Duration(), default="30d", show_default=True, help="How long the nomination stands.")
@said_options
@signing_options
@store_option
@namespace_option
@json_option
@needs_signatures
def promote(
    dataset: str | None,
    source: str,
    expires: timedelta,
    said: Said,
    signing: Signing,
    chosen: ChosenStore,
    namespace: str | None,
    output: Output,
) -> None:
    """Nominate an artifact for certification: move @next to it, signed.

    Only an artifact whose validation passed can be nominated. What changed since the last nomination is
    shown. Where more than one person has to sign, the first writes a file, the others sign it, and
    anybody publishes it.

    \b
    Examples:
      pe-data promote us/local_areas --from latest --key alice
      pe-data promote us/local_areas --key alice --out nomination.json
      pe-data sign nomination.json --key bob                     # on the other machine
      pe-data promote --publish nomination.json
    """
    from pe_data.documents.envelope import POINTER_TYPE
    from pe_data.documents.papers import Papers
    from pe_data.documents.pointer import parse_signed
    from pe_data.trust.opening import open_policy
    from pe_data.write.nominate import candidate, describe, nominate, propose

    raw = signing.signed_file(dataset, said.reason, said.by)
    news: list[str] = []
    if raw is not None:
        pointer = parse_signed(raw, what=str(signing.file))
        document, store = pointer.document, chosen.of(pointer.claimed().country)
    else:
        if dataset is None:
            raise click.UsageError("say what to nominate, COUNTRY/DATASET, and with which --key")
        signing.need_keys()
        country, name = split_dataset(dataset)
        store = chosen.of(country)
        nominee = candidate(store, country, name, _artifact(source))
        news = _news(store, nominee.contents)
        body = propose(store, nominee, namespace=namespace_of(namespace, country), lifetime=expires, said=said)
        papers = Papers.of((POINTER_TYPE, body.to_bytes()))
        if signing.sign(papers):
            lines = [*describe(body), nominee.validation.summary(), *news, signing.written]
            output(strict_json(body.to_bytes(), what="nomination"), lines)
            return
        (document,) = papers.documents
    verified = nominate(store, document, open_policy(store))
    lines = [*describe(verified.body), *news, f"signed by    {', '.join(verified.key_ids)}"]
    output({**strict_json(verified.body.to_bytes(), what="body"), "signed_by": list(verified.key_ids)}, lines)


def _news(store: "Store", contents: "Contents") -> list[str]:
    """What changed since the last nomination, short."""
    from pe_data.read.diff import SHORT
    from pe_data.write.preview import since_nomination

    diff = since_nomination(store, contents)
    return ["", "since the last nomination:", *diff.text(SHORT).split("\n"), ""] if diff else []


@click.command()
@click.argument("file", type=FILE)
@key_option
@click.option("--out", type=PLACE, help="Write the signed file here instead of in its place.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@needs_signatures
def sign(file: Path, keys: tuple[str, ...], out: Path | None, yes: bool, output: Output) -> None:
    """Add your signature to a nomination, a revocation, a statement or a version of the trust root.

    What is signed is shown first. The bytes that the first person signed stay as they are.

    \b
    Examples:
      pe-data sign nomination.json --key bob
      pe-data sign root.proposal --key bob --out root.signed --yes
    """
    signing = Signing(keys, out or file)
    signing.need_keys()
    papers, lines = _read(file.read_bytes(), str(file))
    _confirm(lines, yes)
    signing.sign(papers)
    missing = papers.missing()
    document = {"signed": str(signing.out), "keys": list(keys), "still_needed": missing}
    output(document, [*(f"still needed: {line}" for line in missing), f"signed: {signing.out}"])


def _read(raw: bytes, what: str) -> tuple[Signable, list[str]]:
    """What is to be signed, and what a signature would say."""
    from pe_data.documents.envelope import POINTER_TYPE, REVOCATIONS_TYPE
    from pe_data.documents.papers import Papers
    from pe_data.documents.pointer import PointerBody
    from pe_data.documents.revocations import RevocationList
    from pe_data.trust.policy import PAYLOAD_TYPES
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import describe as describe_root
    from pe_data.trust.root import terms_of
    from pe_data.write.nominate import describe
    from pe_data.write.revocation_list import describe_list

    if "documents" in strict_json(raw, what=what):
        proposal = Proposal.from_bytes(raw, what=what)
        version = proposal.version
        terms = terms_of(version)
        return proposal, [f"trust root version {version.number}", *describe_root(terms)]
    kinds = tuple(dict.fromkeys(kind for each in PAYLOAD_TYPES.values() for kind in each))
    papers = Papers.from_bytes(raw, what=what, kinds=kinds)
    lines: list[str] = []
    for document in papers.documents:
        if document.payload_type == POINTER_TYPE:
            lines += describe(PointerBody.from_bytes(document.body, what))
        elif document.payload_type == REVOCATIONS_TYPE:
            lines += describe_list(RevocationList.from_bytes(document.body, what))
        else:
            said = strict_json(document.body, what=what)
            lines += [document.payload_type, *(f"{name:20} {value}" for name, value in said.items())]
        lines.append(f"signed by    {', '.join(one.key_id for one in document.signatures)} (not checked)")
    return papers, lines


def _confirm(lines: list[str], yes: bool) -> None:
    for line in lines:
        say(line, err=True)
    if not yes:
        click.confirm("Sign this?", abort=True, err=True)


def _artifact(source: str) -> Sha256 | None:
    if source == "latest":
        return None
    if not source.startswith("sha256:"):
        raise InvalidNameError(f"--from: expected latest or sha256:DIGEST, found {source[:80]!r}")
    return parse_sha256(source.removeprefix("sha256:"), what="--from")


COMMANDS: dict[str, click.Command] = {"promote": promote, "sign": sign}
