"""`pe-data revoke`: revoke an artifact for good."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from pe_data.cli.options import (
    ChosenStore,
    Duration,
    Signing,
    json_option,
    needs_signatures,
    signing_options,
    store_option,
)
from pe_data.cli.output import Output
from pe_data.errors import ConflictError
from pe_data.names.digests import strict_json
from pe_data.names.keys import check_country

if TYPE_CHECKING:
    from pe_data.documents.papers import Papers
    from pe_data.store.base import Store

_ATTEMPTS = 5
"""Lists that are proposed while other people publish theirs."""


@click.command()
@click.argument("uri", required=False)
@click.option("--reason", help="One line for those who will be refused.")
@click.option("--by", "revoked_by", metavar="WHO", help="Who decides: a person or an office, as readers may see it.")
@click.option("--licence", help="The licence that ended.  [default: the one it was published under]")
@click.option("--members", is_flag=True, help="Of a collection: end every member too, wherever else it is listed.")
@click.option(
    "--list",
    "country",
    metavar="COUNTRY",
    help="Sign the next revocation list alone, of the tombstones that are there.",
)
@click.option("--expires", type=Duration(), default="90d", show_default=True, help="How long the list holds.")
@signing_options
@store_option
@json_option
@needs_signatures
def revoke(
    uri: str | None,
    reason: str | None,
    revoked_by: str | None,
    licence: str | None,
    members: bool,
    country: str | None,
    expires: timedelta,
    signing: Signing,
    chosen: ChosenStore,
    output: Output,
) -> None:
    """Write a signed tombstone and the next revocation list, then remove the payload. There is no way back.

    Readers get the reason and the date from then on. The manifest stays. With a member in the address
    that member is revoked, in whichever collection it is listed; without one a whole collection ends, and
    with --members every file of it. Running it again completes what was interrupted; what was revoked
    already needs no key and changes nothing.

    Readers look at one signed list per country, which ends (--expires). `--list us` signs the next one
    alone: the first of a store that has tombstones and no list yet, a renewal, or one that another
    revocation overtook.

    \b
    Examples:
      pe-data revoke pe-data://us/cps_2024@sha256:4e92… --reason "licence ended" --by dpo@example.org --key alice
      pe-data revoke pe-data://us/local_areas@sha256:a1b2… --members --reason … --by … --key alice --out end.json
      pe-data sign end.json --key bob                            # on the other machine
      pe-data revoke --publish end.json
      pe-data revoke --list us --key alice                       # the first list, or a renewal

    \b
    Exit codes: 0 revoked, or was already; 1 refused (too few signatures, no such artifact); 2 wrong usage.
    """
    from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE
    from pe_data.documents.papers import Papers
    from pe_data.documents.tombstone import Tombstone
    from pe_data.names.uri import parse_store_uri
    from pe_data.trust.revocations import Verifier
    from pe_data.write.revocation_list import describe_list, propose_list
    from pe_data.write.revoke import finish, tombstone_for

    raw = signing.signed_file(uri, country, reason, revoked_by, licence, members)
    if raw is not None:
        what = str(signing.file)
        papers = Papers.from_bytes(raw, what=what, kinds=(TOMBSTONE_TYPE, REVOCATIONS_TYPE))
        body = strict_json(papers.documents[0].body, what=what)
        _publish(papers, chosen.of(check_country(str(body.get("country")))), what, output)
        return
    stone: Tombstone | None = None
    if country is not None:
        if uri or reason or revoked_by or licence or members:
            raise click.UsageError("--list takes no address: it lists what the store has tombstones of")
        store, what = chosen.of(check_country(country)), f"revocation list of {country}"
    else:
        if uri is None or reason is None or revoked_by is None:
            raise click.UsageError("say what to revoke (a pinned address), --reason and --by")
        parsed = parse_store_uri(uri)
        country, what = parsed.country, uri
        store = chosen.of(country)
        stone = tombstone_for(
            store, parsed, reason=reason, revoked_by=revoked_by, licence=licence, with_members=members
        )
        done = finish(store, stone, Verifier.of(lambda: store)) if signing.out is None else None
        if done is not None:
            output({**asdict(done), "nothing_to_do": done.nothing_to_do}, [done.summary()])
            return
    signing.need_keys()
    for attempt in range(_ATTEMPTS):
        stones = [stone] if stone else []
        listed = propose_list(store, country, Verifier.of(lambda: store), stones=stones, lifetime=expires)
        papers = Papers.of(*((TOMBSTONE_TYPE, one.to_bytes()) for one in stones), (REVOCATIONS_TYPE, listed.to_bytes()))
        if signing.sign(papers):
            said = strict_json(stone.to_bytes(), what=what) if stone else {}
            lines = [f"{name:16} {value}" for name, value in said.items() if name != "members"]
            lines += [f"{'artifacts':16} {len(stone.covered)}"] if stone else []
            lines += [*describe_list(listed), signing.written]
            output({**said, "list": listed.to_json()}, lines)
            return
        try:
            _publish(papers, store, what, output)
            return
        except ConflictError:  # another list was first: the next one has both
            if attempt + 1 == _ATTEMPTS:
                raise


def _publish(papers: "Papers", store: "Store", what: str, output: Output) -> None:
    from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE
    from pe_data.trust.revocations import Verifier
    from pe_data.write.revocation_list import describe_list
    from pe_data.write.revoke import publish_listed, publish_tombstone

    stone, listed = papers.get(TOMBSTONE_TYPE), papers.get(REVOCATIONS_TYPE)
    verifier = Verifier.of(lambda: store)
    if stone is not None:
        report = publish_tombstone(store, stone, listed=listed, verifier=verifier, what=what)
        output({**asdict(report), "nothing_to_do": report.nothing_to_do}, [report.summary()])
    elif listed is not None:
        published = publish_listed(store, listed, verifier=verifier, what=what)
        output(published.to_json(), describe_list(published))


COMMANDS: dict[str, click.Command] = {"revoke": revoke}
