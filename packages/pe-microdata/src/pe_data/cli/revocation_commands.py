"""`pe-data revoke`: end an artifact, for ever."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from pe_data.cli.signing import key_option, signers_of
from pe_data.cli.store_options import emit, json_option, store_option, the_store
from pe_data.names.digests import strict_json


@click.command()
@click.argument("uri", required=False)
@click.option("--reason", help="One line for those who will be refused.")
@click.option("--by", "revoked_by", metavar="WHO", help="Who decides: a person or an office, as readers may see it.")
@click.option("--licence", help="The licence that ended.  [default: the one in the manifest]")
@click.option("--members", is_flag=True, help="Of a collection: end every member too, wherever else it is listed.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a file for others to sign, publish nothing.")
@click.option(
    "--publish",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Publish a file that enough people have signed.",
)
@key_option
@store_option
@json_option
def revoke(
    uri: str | None,
    reason: str | None,
    revoked_by: str | None,
    licence: str | None,
    members: bool,
    out: Path | None,
    file: Path | None,
    keys: tuple[str, ...],
    store_url: str | None,
    as_json: bool,
) -> None:
    """Write a signed tombstone, then remove the payload. There is no way back.

    Readers get the reason and the date from then on. The manifest stays. With a member in the address
    that member ends, in whichever collection it is listed; without one a whole collection ends, and
    with --members every file of it. Running it again completes what was interrupted; what was revoked
    already needs no key and changes nothing.

    \b
    Examples:
      pe-data revoke pe-data://us/cps_2024@sha256:4e92… --reason "licence ended" --by dpo@example.org --key alice
      pe-data revoke pe-data://us/local_areas@sha256:a1b2… --members --reason … --by … --key alice --out end.json
      pe-data sign end.json --key bob                            # on the other machine
      pe-data revoke --publish end.json

    \b
    Exit codes: 0 revoked, or was already; 1 refused (too few signatures, no such artifact); 2 wrong usage.
    """
    from pe_data.documents.envelope import TOMBSTONE_TYPE, parse_envelope, sign
    from pe_data.documents.signing_libraries import need_libraries
    from pe_data.documents.tombstone import Tombstone
    from pe_data.names.uri import parse_store_uri
    from pe_data.trust.tombstones import Verifier
    from pe_data.write.revoke import finish, publish_tombstone, tombstone_for

    need_libraries()
    if file is not None:
        if uri or reason or revoked_by or licence or members or keys or out:
            raise click.UsageError("--publish takes the file alone")
        document = parse_envelope(file.read_bytes(), payload_type=TOMBSTONE_TYPE, what=str(file))
        country, what = Tombstone.from_bytes(document.body, what=str(file)).country, str(file)
        store = the_store(store_url, country)
    else:
        if uri is None or reason is None or revoked_by is None:
            raise click.UsageError("say what to revoke (a pinned address), --reason and --by")
        parsed = parse_store_uri(uri)
        store, what = the_store(store_url, parsed.country), uri
        now = datetime.now(UTC)
        stone = tombstone_for(
            store, parsed, reason=reason, revoked_by=revoked_by, now=now, licence=licence, with_members=members
        )
        done = finish(store, stone, Verifier.of(lambda: store)) if out is None else None
        if done is not None:
            emit(as_json, {**asdict(done), "nothing_to_do": done.nothing_to_do}, [done.summary()])
            return
        if not keys:
            raise click.UsageError("say with which --key")
        document = sign(stone.to_bytes(), TOMBSTONE_TYPE, signers_of(keys))
        if out is not None:
            out.write_bytes(document.to_bytes())
            fields = strict_json(stone.to_bytes(), what=str(out))
            lines = [f"{name:16} {value}" for name, value in fields.items() if name != "members"]
            lines += [f"{'artifacts':16} {len(stone.covered)}", f"signed {len(keys)} time(s): {out}"]
            emit(as_json, fields, lines)
            return
    report = publish_tombstone(store, document, verifier=Verifier.of(lambda: store), what=what)
    emit(as_json, {**asdict(report), "nothing_to_do": report.nothing_to_do}, [report.summary()])


COMMANDS: dict[str, click.Command] = {"revoke": revoke}
