"""`pe-data audit`: verify, report, export."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pe_data.cli.common import print_table
from pe_data.cli.store_options import emit, json_option, split_dataset, the_store
from pe_data.countries import GATED_EXAMPLE
from pe_data.errors import AuditError
from pe_data.layout import check_country

if TYPE_CHECKING:
    from pe_data.audit.records import Record
    from pe_data.audit.report import Question
    from pe_data.audit.verify import Verdict
    from pe_data.store.base import Store
    from pe_data.trust.policy import TrustPolicy

F = TypeVar("F", bound=Callable[..., Any])

_DATES = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
log_option = click.option(
    "--log",
    "log_url",
    metavar="PLACE",
    help="Folder or store that has audit/{country}/.  [default: the store of the country]",
)


def question_options(function: F) -> F:
    """`--dataset --country --derived-from --user --artifact --since --until`."""
    for option in (
        click.option("--until", type=_DATES, help="Before this day (UTC)."),
        click.option("--since", type=_DATES, help="From this day on (UTC)."),
        click.option("--artifact", metavar="SHA256", help="Only this artifact."),
        click.option("--user", help="Only this user."),
        click.option(
            "--derived-from",
            metavar="INPUT",
            help="Only artifacts built from it: words of an input's name, or sha256:… of its bytes.",
        ),
        click.option("--country", help="Every dataset of a country, instead of --dataset."),
        click.option("--dataset", metavar="COUNTRY/DATASET"),
    ):
        function = option(function)
    return function


@click.group()
def audit() -> None:
    """Read the access log of a gated country.

    \b
    Examples:
      pe-data audit verify uk --log ./private
      pe-data audit report --dataset uk/enhanced_frs_2023 --derived-from "FRS 2023-24"
      pe-data audit export --country uk --to csv > accesses.csv
    """


@audit.command()
@click.argument("country")
@log_option
@click.option(
    "--checkpoint",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint that you kept elsewhere; the log must agree with it.",
)
@click.option("--require-signed", is_flag=True, help="A log without a signed checkpoint at its end fails.")
@json_option
def verify(country: str, log_url: str | None, kept: tuple[Path, ...], require_signed: bool, as_json: bool) -> int:
    """Prove that the log is the one that was written, or say where it is not.

    Every record is checked against the one before it, and every checkpoint against the log. Signatures
    of checkpoints are checked if a trust root is configured. Checkpoints in the log's own folder say
    nothing against somebody who can delete them: keep copies elsewhere and hand them in.

    \b
    Examples:
      pe-data audit verify uk --log ./private
      pe-data audit verify uk --log s3://private --checkpoint kept/000000004000.checkpoint.json

    \b
    Exit codes: 0 intact, 1 not intact, 2 cannot tell (no log there, or it cannot be read).
    """
    from pe_data.audit.verify import verify_log

    store = _log(log_url, check_country(country))
    policy = _policy(store)
    documents = {str(path): path.read_bytes() for path in kept}
    verdict = verify_log(store, country, policy=policy, kept=documents, now=datetime.now(UTC))
    signed = verdict.signed > 0
    good = verdict.clean and (signed or not require_signed)
    emit(as_json, {"intact": good, **_plain(verdict)}, _lines(verdict, policy is not None))
    if verdict.clean and not good:
        click.echo("not accepted: no checkpoint has a signature that could be checked (--require-signed)")
    return 0 if good else 1


@audit.command()
@question_options
@log_option
@json_option
def report(
    dataset: str | None,
    country: str | None,
    derived_from: str | None,
    user: str | None,
    artifact: str | None,
    since: datetime | None,
    until: datetime | None,
    log_url: str | None,
    as_json: bool,
) -> int:
    """Which users had a dataset: a line for each, with first and last time.

    With --derived-from, only artifacts whose manifest names such an input count: "FRS 2023-24" finds
    `frs_2023_24.tab` and `FRS 2023-24 adult.tab`. The log is verified first; if it is not intact, the
    answer still comes, with a warning and exit code 1.

    \b
    Examples:
      pe-data audit report --dataset uk/enhanced_frs_2023 --derived-from "FRS 2023-24"
      pe-data audit report --country uk --since 2026-01-01 --json
    """
    from pe_data.audit.report import by_user
    from pe_data.audit.segments import records
    from pe_data.audit.verify import verify_log

    code, question = _question(dataset, country, derived_from, user, artifact, since, until)
    store = _log(log_url, code)
    intact = verify_log(store, code, now=datetime.now(UTC)).clean
    users = by_user(records(store, code), question)
    if as_json:
        emit(True, {"intact": intact, "users": users}, ())
    elif users:
        header = ("user", "manifests", "collections", "payload links", "first (UTC)", "last (UTC)", "built from")
        rows = (
            (
                one.user,
                str(one.manifests),
                str(one.collections),
                str(one.payload_links),
                f"{one.first:%Y-%m-%d %H:%M}",
                f"{one.last:%Y-%m-%d %H:%M}",
                ", ".join(one.inputs),
            )
            for one in users
        )
        print_table(header, rows)
    else:
        click.echo("nobody")
    if not intact:
        click.echo(f"pe-data: warning: the log is not intact: pe-data audit verify {code}", err=True)
    return 0 if intact else 1


@audit.command()
@question_options
@click.option("--to", "form", type=click.Choice(["csv", "json"]), required=True)
@log_option
def export(
    dataset: str | None,
    country: str | None,
    derived_from: str | None,
    user: str | None,
    artifact: str | None,
    since: datetime | None,
    until: datetime | None,
    form: str,
    log_url: str | None,
) -> None:
    """Write the records themselves to standard output, one per release.

    \b
    Examples:
      pe-data audit export --country uk --to csv > accesses.csv
      pe-data audit export --dataset uk/enhanced_frs_2023 --since 2026-01-01 --to json | jq '.[].user'
    """
    from pe_data.audit.report import matching
    from pe_data.audit.segments import records

    code, question = _question(dataset, country, derived_from, user, artifact, since, until)
    rows = (_row(record) for record in matching(records(_log(log_url, code), code), question))
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row in rows:
            writer.writerow([_cell(row[name]) for name in _COLUMNS])
        return
    separator = "["
    for row in rows:
        click.echo(separator + json.dumps(row, ensure_ascii=False), nl=False)
        separator = ",\n "
    click.echo("]" if separator != "[" else "[]")


_COLUMNS = (
    "seq",
    "time",
    "user",
    "token",
    "action",
    "country",
    "dataset",
    "artifact",
    "manifest",
    "inputs",
    "client",
    "agent",
    "request",
)


def _row(record: "Record") -> dict[str, object]:
    entry = record.entry
    return {
        "seq": record.seq,
        "time": record.time.isoformat(),
        "user": entry.user,
        "token": entry.token,
        "action": entry.action,
        "country": entry.country,
        "dataset": entry.dataset,
        "artifact": entry.artifact,
        "manifest": entry.manifest,
        "inputs": [one.name for one in entry.inputs],
        "client": entry.client,
        "agent": entry.agent,
        "request": entry.request,
    }


def _cell(value: object) -> str:
    """Text for a spreadsheet, which must not take what a client said of itself for a formula."""
    text = "; ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _log(url: str | None, country: str) -> "Store":
    return the_store(url, country)


def _policy(store: "Store") -> "TrustPolicy | None":
    """The trust policy, if this machine has a root to begin with."""
    from pe_data.config import trust_root
    from pe_data.errors import TrustRootError
    from pe_data.trust.anchor import find_anchor

    try:
        find_anchor()
    except TrustRootError:
        if trust_root() is not None:  # configured, but not usable: that is for a person to mend
            raise
        return None
    from pe_data.trust.opening import open_policy

    return open_policy(store)


def _question(
    dataset: str | None,
    country: str | None,
    derived_from: str | None,
    user: str | None,
    artifact: str | None,
    since: datetime | None,
    until: datetime | None,
) -> "tuple[str, Question]":
    from pe_data.audit.report import Question
    from pe_data.digests import parse_sha256

    if (dataset is None) == (country is None):
        example = f"{GATED_EXAMPLE.code}/{GATED_EXAMPLE.example}"
        raise click.UsageError(f"say either --dataset {example} or --country {GATED_EXAMPLE.code}")
    code, name = split_dataset(dataset) if dataset is not None else (check_country(country or ""), None)
    digest = parse_sha256(artifact.removeprefix("sha256:"), what="--artifact") if artifact else None
    if derived_from is not None and not derived_from.strip():
        raise AuditError("--derived-from: expected the name of an input or sha256:…, found nothing")
    return code, Question(name, derived_from, user, digest, _utc(since), _utc(until))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def _plain(verdict: "Verdict") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(verdict)


def _lines(verdict: "Verdict", checked: bool) -> Iterator[str]:
    for problem in verdict.problems:
        yield f"{problem.kind}: {problem.where}: {problem.text}"
    if verdict.torn:
        yield "the last line is not whole: the gateway was killed or is writing it just now; it was never served"
    found = "intact" if verdict.clean else "NOT intact"
    yield f"{found}: {verdict.records} records in {verdict.files} file(s), head {verdict.head.seq} {verdict.head.hash}"
    word = "signatures checked" if checked else "signatures not checked: no trust root is configured"
    yield (
        f"checkpoints: {verdict.signed} signed, {verdict.unsigned} other ({word}); "
        f"records after the last one: {max(0, verdict.head.seq - verdict.covered)}"
    )


COMMANDS: dict[str, click.Command] = {"audit": audit}
