"""`pe-data audit`: verify, report, export."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import FILE, ChosenStore, digest_of, json_option, together
from pe_data.cli.output import Output
from pe_data.errors import AuditError, PeDataError
from pe_data.names.countries import GATED_EXAMPLE
from pe_data.names.keys import check_country
from pe_data.names.uri import split_dataset
from pe_data.texts import table

if TYPE_CHECKING:
    from pe_data.store.base import Store
    from pe_data.trust.policy import TrustPolicy
    from pe_data_gateway.audit.checkpoints import Raw
    from pe_data_gateway.audit.records import Record
    from pe_data_gateway.audit.report import Question
    from pe_data_gateway.audit.verify import Verdict

_DATES = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
place_options = together(
    "where",
    lambda log_url, store_url: Where(log_url, store_url),
    click.option(
        "--log",
        "log_url",
        metavar="PLACE",
        help="Folder or store that has audit/{country}/.  [default: the store of the country]",
    ),
    click.option(
        "--store",
        "store_url",
        metavar="URL",
        help="Store of the country: it has the trust root, and copies of checkpoints.  [default: the configured one, "
        "else the place of the log]",
    ),
)
question_options = together(
    "asked",
    lambda **values: _question(**values),
    click.option("--dataset", metavar="COUNTRY/DATASET"),
    click.option("--country", help="Every dataset of a country, instead of --dataset."),
    click.option(
        "--derived-from",
        metavar="INPUT",
        help="Only artifacts built from it: words of an input's name, or sha256:… of its bytes.",
    ),
    click.option("--user", help="Only this user."),
    click.option("--artifact", metavar="SHA256", help="Only this artifact."),
    click.option("--since", type=_DATES, help="From this day on (UTC)."),
    click.option("--until", type=_DATES, help="Before this day (UTC)."),
)


@dataclass(frozen=True, slots=True)
class Where:
    """Where the log is, and the store of its country."""

    log_url: str | None
    store_url: str | None

    def open(self, country: str) -> "_Log":
        """The log of a country. Without a store of the country, the place of the log is all there is."""
        from pe_data.config.settings import is_configured

        if self.store_url or not self.log_url or is_configured(country):
            home = ChosenStore(self.store_url).of(country)
            return _Log(country, ChosenStore(self.log_url).of(country) if self.log_url else home, home)
        place = ChosenStore(self.log_url).of(country)
        return _Log(country, place, place)


@click.group(cls=Group)
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
@place_options
@click.option(
    "--checkpoint",
    "kept",
    type=FILE,
    multiple=True,
    help="A checkpoint that you kept elsewhere; the log must agree with it.",
)
@click.option("--require-signed", is_flag=True, help="Fail unless a signed checkpoint covers the newest record.")
@click.option(
    "--lag",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="RECORDS",
    help="With --require-signed: so many newest records need not be covered yet, because the gateway runs.",
)
@json_option
def verify(
    country: str,
    where: Where,
    kept: tuple[Path, ...],
    require_signed: bool,
    lag: int,
    output: Output,
) -> int:
    """Prove that the log is the one that was written, or say where it is not.

    Every record is checked against the one before it, and every checkpoint against the log, also those
    that the gateway copied to the store of the country. If a trust root is configured whose store has a
    role audit-COUNTRY, signatures of checkpoints are checked, and no unsigned one may follow a signed one.
    Checkpoints that somebody can delete say nothing against that person: keep copies elsewhere and hand
    them in.

    \b
    Examples:
      pe-data audit verify uk --log ./private
      pe-data audit verify uk --log s3://private --checkpoint kept/000000004000.checkpoint.json

    \b
    Exit codes: 0 intact, 1 not intact, 2 cannot tell (no log there, or it cannot be read).
    """
    log = where.open(check_country(country))
    verdict = log.verdict({str(path): path.read_bytes() for path in kept})
    good = verdict.clean and (verdict.is_signed(lag) or not require_signed)
    output({"intact": good, **asdict(verdict)}, _lines(verdict))
    if verdict.clean and not good:
        click.echo(f"not accepted (--require-signed): {_unsigned(verdict, lag)}", err=output.as_json)
    if verdict.clean and log.unchecked is not None:
        raise log.unchecked
    return 0 if good else 1


@audit.command()
@question_options
@place_options
@json_option
def report(asked: "tuple[str, Question]", where: Where, output: Output) -> int:
    """Which users had a dataset: a line for each, with first and last time.

    With --derived-from, only artifacts whose manifest names such an input count: "FRS 2023-24" finds
    `frs_2023_24.tab` and `FRS 2023-24 adult.tab`. The log is verified first, as by `pe-data audit verify`;
    if it is not intact, the answer still comes, with a warning and exit code 1 (2 if nobody can tell).

    \b
    Examples:
      pe-data audit report --dataset uk/enhanced_frs_2023 --derived-from "FRS 2023-24"
      pe-data audit report --country uk --since 2026-01-01 --json
    """
    from pe_data_gateway.audit.report import by_user
    from pe_data_gateway.audit.segments import records

    code, question = asked
    log = where.open(code)
    intact = log.verdict().clean
    users = by_user(records(log.place, code), question)
    header = ("user", "manifests", "collections", "payload links", "first (UTC)", "last (UTC)", "built from")
    rows = [
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
    ]
    output({"intact": intact, "users": users}, table(header, rows) if rows else ["nobody"])
    return log.warn(intact)


@audit.command()
@question_options
@click.option("--to", "form", type=click.Choice(["csv", "json"]), help="CSV, or a JSON list; --json is one object.")
@place_options
@json_option
def export(asked: "tuple[str, Question]", form: str | None, where: Where, output: Output) -> int:
    """Write the records themselves to standard output, one per release.

    The log is verified first; if it is not intact, the records still come, with a warning and exit code 1
    (2 if nobody can tell).

    \b
    Examples:
      pe-data audit export --country uk --to csv > accesses.csv
      pe-data audit export --dataset uk/enhanced_frs_2023 --since 2026-01-01 --to json | jq '.[].user'
    """
    if form is None and not output.as_json:
        raise click.UsageError("say --to csv or --to json")
    from pe_data_gateway.audit.report import matching
    from pe_data_gateway.audit.segments import records

    code, question = asked
    log = where.open(code)
    intact = log.verdict().clean
    rows = (_row(record) for record in matching(records(log.place, code), question))
    if output.as_json:
        output({"intact": intact, "records": list(rows)})
        return log.warn(intact)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row in rows:
            writer.writerow([_cell(row[name]) for name in _COLUMNS])
        return log.warn(intact)
    separator = "["
    for row in rows:
        click.echo(separator + json.dumps(row, ensure_ascii=False), nl=False)
        separator = ",\n "
    click.echo("]" if separator != "[" else "[]")
    return log.warn(intact)


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
    own = {
        "seq": record.seq,
        "time": record.time.isoformat(),
        "inputs": [one.name for one in record.entry.inputs],
    }
    return {name: own[name] if name in own else getattr(record.entry, name) for name in _COLUMNS}


def _cell(value: object) -> str:
    """Text for a spreadsheet, which must not take what a client said of itself for a formula."""
    text = "; ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@dataclass
class _Log:
    """A log, and the store whose trust root and copies of checkpoints it is compared with."""

    country: str
    place: "Store"
    home: "Store"
    unchecked: AuditError | None = None
    """Why signatures could not be checked, once a verdict was asked for; then a clean verdict proves nothing."""

    def verdict(self, kept: "Mapping[str, bytes] | None" = None) -> "Verdict":
        """What a verification finds. Raises AuditError if there is nothing to look at, or it cannot be read."""
        from pe_data_gateway.audit.verify import verify_log

        policy, copies = self._home()
        try:
            return verify_log(self.place, self.country, policy=policy, copies=copies, kept=kept)
        except AuditError:
            raise
        except PeDataError as error:
            raise AuditError(f"cannot tell: {error}") from error

    def _home(self) -> "tuple[TrustPolicy | None, Mapping[str, Raw]]":
        """Who may sign checkpoints, and the copies of them. What cannot be read goes to `unchecked`."""
        from pe_data.errors import ListingNotSupportedError
        from pe_data.trust.opening import policy_if_any
        from pe_data_gateway.audit.checkpoints import binding
        from pe_data_gateway.audit.segments import checkpoint_keys, read_checkpoints

        policy: TrustPolicy | None = None
        copies: Mapping[str, Raw] = {}
        try:
            found = policy_if_any(self.home)
            policy = binding(found, self.country, what=f"{self.home.url}: trust root")
            if self.home.url != self.place.url:
                with suppress(ListingNotSupportedError):  # a gateway or a mirror, which releases no log
                    copies = read_checkpoints(self.home, checkpoint_keys(self.home, self.country))
        except PeDataError as error:
            self.unchecked = AuditError(
                f"cannot tell: who may sign checkpoints, and which copies of them there are, is said by "
                f"{self.home.url}, which cannot be used: {error}. Name the store of the country with --store"
            )
        return policy, copies

    def warn(self, intact: bool) -> int:
        """Say that an answer rests on a log that is not proven, if so; the exit code."""
        if not intact:
            click.echo(f"pe-data: warning: the log is not intact: pe-data audit verify {self.country}", err=True)
            return 1
        if self.unchecked is not None:
            click.echo(f"pe-data: warning: {self.unchecked}", err=True)
            return 2
        return 0


def _question(
    dataset: str | None,
    country: str | None,
    derived_from: str | None,
    user: str | None,
    artifact: str | None,
    since: datetime | None,
    until: datetime | None,
) -> "tuple[str, Question]":
    from pe_data_gateway.audit.report import Question

    if (dataset is None) == (country is None):
        example = f"{GATED_EXAMPLE.code}/{GATED_EXAMPLE.example}"
        raise click.UsageError(f"say either --dataset {example} or --country {GATED_EXAMPLE.code}")
    code, name = split_dataset(dataset) if dataset is not None else (check_country(country or ""), None)
    digest = digest_of(artifact) if artifact else None
    if derived_from is not None and not derived_from.strip():
        raise AuditError("--derived-from: expected the name of an input or sha256:…, found nothing")
    return code, Question(name, derived_from, user, digest, _utc(since), _utc(until))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def _unsigned(verdict: "Verdict", lag: int) -> str:
    if not verdict.binding:
        return f"no trust root with a role audit-{verdict.country} is configured, so that no signature could be checked"
    if not verdict.covered_signed:
        return "no checkpoint has a signature of the role"
    behind = verdict.head.seq - verdict.covered_signed
    return f"the newest {behind} record(s) have no signed checkpoint after them, expected at most {lag} (--lag)"


def _lines(verdict: "Verdict") -> Iterator[str]:
    for problem in verdict.problems:
        yield f"{problem.kind}: {problem.where}: {problem.text}"
    if verdict.torn:
        yield "the last line is not whole: the gateway was killed or is writing it just now; it was never served"
    found = "intact" if verdict.clean else "NOT intact"
    yield f"{found}: {verdict.records} records in {verdict.files} file(s), head {verdict.head.seq} {verdict.head.hash}"
    word = (
        "signatures checked"
        if verdict.binding
        else f"signatures not checked: no trust root with a role audit-{verdict.country} is configured"
    )
    yield (
        f"checkpoints: {verdict.signed} signed, {verdict.unsigned} other ({word}); "
        f"records after the last one: {max(0, verdict.head.seq - verdict.covered)}"
    )
