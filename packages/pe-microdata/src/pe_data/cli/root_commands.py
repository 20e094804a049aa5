"""`pe-data root`: whose signatures count for what."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pe_data.cli.common import say
from pe_data.cli.signing import Duration, key_option, sign_or_write
from pe_data.cli.store_options import emit, json_option, store_option, the_store

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import Holders, Terms

_ROLE = re.compile(r"(?P<role>root|[a-z]+-[a-z]{2,3})=(?P<keys>[^:]+)(:(?P<threshold>\d{1,2}))?")


def _root_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--role",
            "roles",
            multiple=True,
            metavar="ROLE=KEY,KEY[:N]",
            help="Who holds a role, and how many of them have to sign [1]. ROLE is root, or next-, revoke-, audit- or "
            "attest- and a country. Repeat it for each role.",
        ),
        click.option("--expires", type=Duration(), default="365d", show_default=True, help="How long it is valid."),
        click.option(
            "--fresh",
            type=Duration(),
            default="90d",
            show_default=True,
            help="How long clients believe that there is no newer one: renew it before.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help="Write a file for others to sign; publish nothing."
        ),
        key_option,
        store_option,
    ):
        function = option(function)
    return function


@click.group()
def root() -> None:
    """The trust root of a store: whose signatures count for what.

    \b
    Roles: root (may change the root), and per country next-us (nominates), revoke-us (revokes),
    audit-us (signs checkpoints of the access log), attest-us (signs attestations).

    \b
    Examples:
      pe-data root init --role root=alice,bob:2 --role next-us=alice,bob:2 --out root.proposal --key alice
      pe-data sign root.proposal --key bob          # on the other machine
      pe-data root publish root.proposal --anchor anchor/
      pe-data root rotate --replace alice=carol --key bob --key carol
    """


@root.command()
@_root_options
@click.option("--anchor", type=click.Path(path_type=Path), help="Folder for the root.json that clients start from.")
def init(
    roles: tuple[str, ...],
    expires: timedelta,
    fresh: timedelta,
    out: Path | None,
    keys: tuple[str, ...],
    store_url: str | None,
    anchor: Path | None,
) -> None:
    """Make version 1 of the trust root of a store of your own.

    \b
    Examples:
      pe-data root init --role root=owner --role next-us=alice --key owner --anchor anchor/
      export PE_DATA_TRUST_ROOT=anchor/root.json
    """
    from pe_data.documents.signing_libraries import need_libraries

    need_libraries()
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import Terms, build

    now = datetime.now(UTC)
    named = dict(_holders(text, now + expires) for text in roles)
    if "root" not in named:
        raise click.UsageError("say who holds the root: --role root=KEY[,KEY…][:N]")
    terms = Terms(named.pop("root"), named, now + fresh)
    _sign_and_publish(Proposal(build(terms, 1), None), keys, out, store_url, anchor)


@root.command()
@_root_options
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Take a key out of every role.")
@click.option(
    "--replace", "replaced", multiple=True, metavar="OLD=NEW", help="Put a key in the place of another in every role."
)
def rotate(
    roles: tuple[str, ...],
    expires: timedelta,
    fresh: timedelta,
    out: Path | None,
    keys: tuple[str, ...],
    store_url: str | None,
    removed: tuple[str, ...],
    replaced: tuple[str, ...],
) -> None:
    """Make the next version: other keys, thresholds or dates; without changes, renew the dates.

    It is signed with a threshold of the keys that the root has now and of those that it will have, so
    that every client follows by itself. KEY is a name, a .pub file or a key id.

    \b
    Examples:
      pe-data root rotate --key owner                                  # renew
      pe-data root rotate --replace alice=carol --key owner            # alice's key leaked
      pe-data root rotate --role next-us=alice,bob:2 --key owner --out root.proposal
    """
    from pe_data.documents.signing_libraries import need_libraries

    need_libraries()
    from pe_data.trust.current import read_current
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import build, terms_of

    now = datetime.now(UTC)
    verified, _ = read_current(the_store(store_url))
    terms = terms_of(verified.root.signed, verified.targets.signed, verified.timestamp.signed)
    for text in replaced:
        old, equals, new_name = text.partition("=")
        if not equals:
            raise click.BadParameter(f"expected OLD=NEW, found {text!r}", param_hint="--replace")
        terms = terms.with_key_replaced(_key_id(old, terms), _public(new_name))
    for reference in removed:
        terms = terms.without_key(_key_id(reference, terms))
    for name, holders in dict(_holders(text, now + expires) for text in roles).items():
        terms = terms.with_role(name, holders)
    terms = terms.renewed(now + expires, now + fresh)
    number = verified.root.signed.version + 1
    _sign_and_publish(Proposal(build(terms, number), verified.root), keys, out, store_url, None)


@root.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--anchor", type=click.Path(path_type=Path), help="Folder for the root.json that clients start from.")
@store_option
def publish(file: Path, anchor: Path | None, store_url: str | None) -> None:
    """Publish a version that enough people have signed.

    \b
    Examples:
      pe-data root publish root.proposal
    """
    from pe_data.documents.signing_libraries import need_libraries

    need_libraries()
    from pe_data.trust.proposal import Proposal

    proposal = Proposal.from_bytes(file.read_bytes(), what=str(file))
    _sign_and_publish(proposal, (), None, store_url, anchor)


@root.command()
@store_option
@json_option
def show(store_url: str | None, as_json: bool) -> None:
    """Who holds which role, how many have to sign, and until when; verified.

    \b
    Examples:
      pe-data root show --store s3://bucket/data
    """
    from pe_data.documents.signing_libraries import need_libraries

    need_libraries()
    from pe_data.trust.current import read_current
    from pe_data.trust.root import describe, terms_of

    verified, anchor = read_current(the_store(store_url))
    terms = terms_of(verified.root.signed, verified.targets.signed, verified.timestamp.signed)
    version = verified.root.signed.version
    everybody = {"root": terms.root, **terms.roles}
    document = {
        "version": version,
        "anchor": str(anchor.path),
        "fresh_until": terms.fresh_until.isoformat(),
        "roles": {
            name: {"keys": list(one.keys), "threshold": one.threshold, "expires": one.expires.isoformat()}
            for name, one in everybody.items()
        },
    }
    emit(as_json, document, [f"trust root version {version}, followed from {anchor.path}", *describe(terms)])


@root.command()
@store_option
def verify(store_url: str | None) -> None:
    """Walk from the configured root to today's as a client does, and check every nomination.

    \b
    Exit codes: 0 everything would be believed; 1 something would not, and why is said.
    """
    from pe_data.trust.opening import open_policy

    store = the_store(store_url)
    policy = open_policy(store)
    from pe_data.read.nominations import unverified_nominations

    say(f"trust root version {policy.version}, valid until {policy.expires:%Y-%m-%d %H:%M} UTC")
    bad = list(unverified_nominations(store, policy))
    for address, error in bad:
        say(f"{address}: {error}", err=True)
    if bad:
        raise click.exceptions.Exit(1)


@root.command()
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
def export(folder: Path, store_url: str | None) -> None:
    """Write root.json and floor.json for machines that see the store for the first time.

    The floor says which versions of the root and of the nominations exist now, so that nobody can
    show such a machine older ones.

    \b
    Examples:
      pe-data root export anchor/
    """
    from pe_data.documents.signing_libraries import need_libraries

    need_libraries()
    from pe_data.read.nominations import floor_of
    from pe_data.trust.current import read_current
    from pe_data.trust.opening import open_policy

    store = the_store(store_url)
    floor = floor_of(store, open_policy(store))
    verified, _ = read_current(store)
    _write_anchor(folder, verified.root.to_bytes(), floor.to_bytes())
    say(f"{folder}: root.json and floor.json of version {floor.version}")


def _sign_and_publish(
    proposal: "Proposal", keys: tuple[str, ...], out: Path | None, url: str | None, anchor: Path | None
) -> None:
    from pe_data.trust.proposal import publish as put

    if sign_or_write(proposal, keys, out):
        say(f"trust root version {proposal.version.number}: {out}")
        for line in proposal.missing():
            say(f"still needed: {line}")
        return
    store = the_store(url)
    put(store, proposal)
    say(f"{store.url}: trust root version {proposal.version.number} published")
    if proposal.previous is not None:
        from pe_data.trust.opening import open_policy

        say(f"this machine follows to version {open_policy(store).version}, and remembers it")
    if anchor is not None:
        _write_anchor(anchor, proposal.version.root.to_bytes(), None)
        say(f"clients start from {anchor / 'root.json'}")


def _write_anchor(folder: Path, root_bytes: bytes, floor: bytes | None) -> None:
    from pe_data.files.atomic import write_atomic
    from pe_data.trust.anchor import FLOOR_NAME, ROOT_NAME

    write_atomic(folder / ROOT_NAME, root_bytes)
    if floor is not None:
        write_atomic(folder / FLOOR_NAME, floor)


def _public(reference: str) -> "Key":
    from pe_data.trust.keys import find_public

    return find_public(reference).load()


def _key_id(reference: str, terms: "Terms") -> str:
    """A key id, or the id of a key that is known by name here."""
    if reference in terms.keys:
        return reference
    from pe_data.trust.keys import find_public

    return find_public(reference).key_id


def _holders(text: str, ends: datetime) -> "tuple[str, Holders]":
    from pe_data.trust.root import Holders

    match = _ROLE.fullmatch(text)
    if match is None:
        raise click.BadParameter(
            f"expected ROLE=KEY,KEY[:N] such as next-XX=alice,bob:2 for country XX, found {text!r}", param_hint="--role"
        )
    keys = [_public(name.strip()) for name in match["keys"].split(",")]
    return match["role"], Holders({one.keyid: one for one in keys}, int(match["threshold"] or 1), ends)


COMMANDS: dict[str, click.Command] = {"root": root}
