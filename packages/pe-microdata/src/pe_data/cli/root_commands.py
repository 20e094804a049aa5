"""`pe-data root`: make, publish and check the trust root."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import (
    FILE,
    PLACE,
    ChosenStore,
    Duration,
    Signing,
    json_option,
    key_option,
    needs_signatures,
    out_option,
    store_option,
    together,
)
from pe_data.cli.output import Output, say

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from pe_data.trust.policy import Holders
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import Terms

_ROLE = re.compile(r"(?P<role>root|[a-z]+-[a-z]{2,3})=(?P<keys>[^:]+)(:(?P<threshold>\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new version of the root shall say."""

    roles: tuple[str, ...]
    expires: timedelta
    fresh: timedelta

    def holders(self, now: datetime) -> "dict[str, Holders]":
        """Who holds each role that was named."""
        return dict(_holders(text, now + self.expires) for text in self.roles)


root_options = together(
    "wanted",
    Wanted,
    click.option(
        "--role",
        "roles",
        multiple=True,
        metavar="ROLE=KEY,KEY[:N]",
        help="Who holds a role, and how many of them have to sign [1]. ROLE is root, or latest-, next-, revoke-, "
        "audit- or attest- and a country. Repeat it for each role.",
    ),
    click.option("--expires", type=Duration(), default="365d", show_default=True, help="How long it is valid."),
    click.option(
        "--fresh",
        type=Duration(),
        default="90d",
        show_default=True,
        help="Freshness period. Publish a new version before it ends.",
    ),
)
root_signing = together("signing", Signing, out_option, key_option)
anchor_option = click.option("--anchor", type=PLACE, help="Folder for the root.json that clients start from.")


@click.group(cls=Group)
def root() -> None:
    """The trust root of a store: whose signatures count for what.

    \b
    Roles: root (may change the root), and per country next-us (nominates), revoke-us (revokes),
    audit-us (signs checkpoints of the access log), attest-us (signs attestations), and latest-us
    (signs @latest; readers refuse an unsigned one as soon as somebody has this role).

    \b
    Examples:
      pe-data root init --role root=alice,bob:2 --role next-us=alice,bob:2 --out root.proposal --key alice
      pe-data sign root.proposal --key bob          # on the other machine
      pe-data root publish root.proposal --anchor anchor/
      pe-data root rotate --replace alice=carol --key bob --key carol
    """


@root.command()
@root_options
@root_signing
@store_option
@anchor_option
@json_option
@needs_signatures
def init(wanted: Wanted, signing: Signing, chosen: ChosenStore, anchor: Path | None, output: Output) -> None:
    """Make version 1 of the trust root of a store of your own.

    \b
    Examples:
      pe-data root init --role root=owner --role next-us=alice --key owner --anchor anchor/
      export PE_DATA_TRUST_ROOT=anchor/root.json
    """
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import Terms, build

    now = datetime.now(UTC)
    named = wanted.holders(now)
    if "root" not in named:
        raise click.UsageError("say who holds the root: --role root=KEY[,KEY…][:N]")
    terms = Terms(named.pop("root"), named, now + wanted.fresh)
    _sign_and_publish(Proposal(build(terms, 1), None), signing, chosen, anchor, output)


@root.command()
@root_options
@root_signing
@store_option
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Take a key out of every role.")
@click.option(
    "--replace", "replaced", multiple=True, metavar="OLD=NEW", help="Put a key in the place of another in every role."
)
@json_option
@needs_signatures
def rotate(
    wanted: Wanted,
    signing: Signing,
    chosen: ChosenStore,
    removed: tuple[str, ...],
    replaced: tuple[str, ...],
    output: Output,
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
    from pe_data.trust.current import read_current
    from pe_data.trust.proposal import Proposal
    from pe_data.trust.root import build, terms_of

    now = datetime.now(UTC)
    verified, _ = read_current(chosen.of())
    terms = terms_of(verified)
    for text in replaced:
        old, equals, new_name = text.partition("=")
        if not equals:
            raise click.BadParameter(f"expected OLD=NEW, found {text!r}", param_hint="--replace")
        terms = terms.with_key_replaced(_key_id(old, terms), _public(new_name))
    for reference in removed:
        terms = terms.without_key(_key_id(reference, terms))
    for name, holders in wanted.holders(now).items():
        terms = terms.with_role(name, holders)
    terms = terms.renewed(now + wanted.expires, now + wanted.fresh)
    number = verified.number + 1
    _sign_and_publish(Proposal(build(terms, number), verified.root), signing, chosen, None, output)


@root.command()
@click.argument("file", type=FILE)
@anchor_option
@store_option
@json_option
@needs_signatures
def publish(file: Path, anchor: Path | None, chosen: ChosenStore, output: Output) -> None:
    """Publish a version that enough people have signed.

    \b
    Examples:
      pe-data root publish root.proposal
    """
    from pe_data.trust.proposal import Proposal

    proposal = Proposal.from_bytes(file.read_bytes(), what=str(file))
    _sign_and_publish(proposal, Signing((), None), chosen, anchor, output)


@root.command()
@store_option
@json_option
@needs_signatures
def show(chosen: ChosenStore, output: Output) -> None:
    """Show who holds which role, how many have to sign, and until when; verified.

    \b
    Examples:
      pe-data root show --store s3://bucket/data
    """
    from pe_data.trust.current import read_current
    from pe_data.trust.root import describe, terms_of

    verified, anchor = read_current(chosen.of())
    terms = terms_of(verified)
    version = verified.number
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
    output(document, [f"trust root version {version}, followed from {anchor.path}", *describe(terms)])


@root.command()
@store_option
@json_option
def verify(chosen: ChosenStore, output: Output) -> int:
    """Verify the trust root as a client does, and check every nomination.

    \b
    Examples:
      pe-data root verify --store s3://bucket/data

    \b
    Exit codes: 0 everything verifies; 1 something does not, and the reason is printed.
    """
    from pe_data.trust.opening import open_policy

    store = chosen.of()
    policy = open_policy(store)
    from pe_data.read.nominations import unverified_nominations

    bad = [f"{address}: {error}" for address, error in unverified_nominations(store, policy)]
    version, until = policy.version, f"{policy.expires:%Y-%m-%d %H:%M} UTC"
    document = {"version": version, "expires": policy.expires.isoformat(), "unverified": bad}
    output(document, [f"trust root version {version}, valid until {until}"])
    for line in bad:
        say(line, err=True)
    return 1 if bad else 0


@root.command()
@click.argument("folder", type=PLACE)
@store_option
@json_option
@needs_signatures
def export(folder: Path, chosen: ChosenStore, output: Output) -> None:
    """Write root.json and floor.json for machines that see the store for the first time.

    The floor says which versions of the root and of the nominations exist now, so that nobody can
    show such a machine older ones.

    \b
    Examples:
      pe-data root export anchor/
    """
    from pe_data.read.nominations import floor_of
    from pe_data.trust.current import read_current
    from pe_data.trust.opening import open_policy

    store = chosen.of()
    floor = floor_of(store, open_policy(store))
    verified, _ = read_current(store)
    _write_anchor(folder, verified.root.to_bytes(), floor.to_bytes())
    output(
        {"folder": str(folder), "version": floor.version},
        [f"{folder}: root.json and floor.json of version {floor.version}"],
    )


def _sign_and_publish(
    proposal: "Proposal", signing: Signing, chosen: ChosenStore, anchor: Path | None, output: Output
) -> None:
    from pe_data.trust.proposal import publish as put

    number = proposal.version.number
    if signing.sign(proposal):
        missing = proposal.missing()
        lines = [f"trust root version {number}: {signing.out}", *(f"still needed: {line}" for line in missing)]
        output({"version": number, "published": False, "file": str(signing.out), "still_needed": missing}, lines)
        return
    store = chosen.of()
    put(store, proposal)
    lines = [f"{store.url}: trust root version {number} published"]
    if proposal.previous is not None:
        from pe_data.trust.opening import open_policy

        lines.append(f"this machine follows to version {open_policy(store).version}, and remembers it")
    if anchor is not None:
        _write_anchor(anchor, proposal.version.root.to_bytes(), None)
        lines.append(f"clients start from {anchor / 'root.json'}")
    output({"version": number, "published": True, "store": store.url}, lines)


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
    from pe_data.trust.policy import Holders

    match = _ROLE.fullmatch(text)
    if match is None:
        raise click.BadParameter(
            f"expected ROLE=KEY,KEY[:N] such as next-XX=alice,bob:2 for country XX, found {text!r}", param_hint="--role"
        )
    keys = [_public(name.strip()) for name in match["keys"].split(",")]
    return match["role"], Holders({one.keyid: one for one in keys}, int(match["threshold"] or 1), ends)


COMMANDS: dict[str, click.Command] = {"root": root}
