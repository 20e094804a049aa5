"""The options of the command line, each written once.

Options that belong together reach a command as one argument: `@store_option` gives it a `ChosenStore`, `@json_option`
an `Output`, `@signing_options` a `Signing`.
"""

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from pe_data.cli.completion import DATASET_NAME
from pe_data.cli.output import Output
from pe_data.config.settings import DEFAULT, store_for
from pe_data.documents.pointer import DEFAULT_NAMESPACE, Said
from pe_data.names.digests import Sha256, parse_sha256
from pe_data.read.options import Options

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from pe_data.store.base import Store
    from pe_data.write.channels import Seal

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]
PASSPHRASE_VARIABLE = "PE_DATA_KEY_PASSPHRASE"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PLACE = click.Path(path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def together(argument: str, make: Callable[..., Any], *options: Callable[[Any], Any]) -> Decorator[F]:
    """A decorator that adds `options` and hands a command what `make` makes of their values."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(**values: Any) -> Any:
            made = make(**{name: values.pop(name) for name in names})
            return function(**{argument: made}, **values)

        before = len(getattr(wrapped, "__click_params__", ()))
        for option in reversed(options):
            option(wrapped)
        names = [parameter.name for parameter in wrapped.__click_params__[before:]]  # type: ignore[attr-defined]
        return wrapped  # type: ignore[return-value]

    return decorate


# --- kinds of values ------------------------------------------------------------------------------


class Duration(click.ParamType):
    """`30d`, `12h` or `45m`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,5})([mhd])", str(value))
        if match is None:
            self.fail(f"expected a time such as 30d, 12h or 45m, found {value!r}", param, ctx)
        return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[match[2]]: int(match[1])})


class Size(click.ParamType):
    """A number of bytes: `500MB`, `2.5 GB`, `0`."""

    name = "size"
    units = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}  # noqa: RUF012

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?B)?", str(value).strip().upper())
        if match is None or (match[2] is None and float(match[1]) != 0):
            self.fail(
                f"expected a size with its unit such as 500MB or 2.5GB (0 empties it), found {value!r}", param, ctx
            )
        return int(float(match[1]) * self.units[match[2] or "B"])


def digest_of(artifact: str) -> Sha256:
    """`sha256:4e92…` or the digits alone → the digest."""
    return parse_sha256(artifact.removeprefix("sha256:"), what="artifact")


dataset_argument = click.argument("dataset", type=DATASET_NAME, metavar="COUNTRY/DATASET")
artifact_argument = click.argument("artifact", metavar="sha256:DIGEST")
years_option = click.option(
    "--year",
    "years",
    type=int,
    multiple=True,
    help="Year that the file covers, if it does not say; one that it contradicts is refused.",
)
workers_option = click.option(
    "--workers", type=click.IntRange(1, 64), default=8, show_default=True, help="Transfers at a time."
)
members_option = click.option(
    "--members", "-m", multiple=True, metavar="GLOB", help="Only members whose name fits, such as 'districts/*'."
)
pickle_option = click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read files that pandas wrote as HDF5, which can run code of whoever made them.",
)
json_option: Decorator[Any] = together(
    "output",
    Output,
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text."),
)


# --- where ----------------------------------------------------------------------------------------

_store = click.option(
    "--store",
    metavar="URL",
    help="Folder, or s3://, gs://, az://, https:// or gateway+https:// address.  [default: PE_DATA_STORE, else the "
    "configuration, else a folder in your data directory]",
)
_cache = click.option("--cache", help="Cache folder.  [default: PE_DATA_CACHE]")
_offline = click.option("--offline", is_flag=True, default=None, help="Never use the network.")
_stale = click.option(
    "--allow-stale",
    is_flag=True,
    help="For @latest: if the store is out of reach, use the version used last, with a warning.",
)

reading_options: Decorator[Any] = together("options", Options.of, _store, _cache, _offline)
"""For commands that read: `--store --cache --offline`."""
address_options: Decorator[Any] = together("options", Options.of, _store, _cache, _offline, _stale)
"""The same, and `--allow-stale`."""
fetching_options: Decorator[Any] = together(
    "options",
    Options.of,
    click.option("--verify", is_flag=True, help="Hash cached files again."),
    click.option(
        "--allow-revoked", is_flag=True, help="Return cached files even if they were revoked, with a warning."
    ),
    _store,
    _cache,
    _offline,
    _stale,
)
"""The same, `--verify` and `--allow-revoked`."""
where_options: Decorator[Any] = together("where", dict, _store, _cache, _offline, _stale)
"""The same as `address_options`, as arguments of a public function."""
cache_option: Decorator[Any] = together("options", Options.of, _cache)
said_options: Decorator[Any] = together(
    "said",
    Said,
    click.option("--reason", help="Why, in one line; `pe-data history` shows it."),
    click.option("--by", metavar="WHO", help="Who moves the channel: a person or an office."),
)
"""`--reason --by`."""
namespace_option = click.option(
    "--namespace",
    metavar="NAME",
    help=f"Whose channels these are.  [default: the configured one, else {DEFAULT_NAMESPACE!r}]",
)


@dataclass(frozen=True, slots=True)
class ChosenStore:
    """The store that was named, else the configured one."""

    store: str | None

    def of(self, country: str = DEFAULT) -> "Store":
        """Open it, for a country."""
        from pe_data.store.opening import open_store

        config = store_for(country, store=self.store or None)
        return open_store(config.url, options=config.options)


store_option: Decorator[Any] = together("chosen", ChosenStore, _store)


def namespace_of(name: str | None, country: str) -> str:
    """The namespace that was named, else the configured one."""
    return name or store_for(country).namespace or DEFAULT_NAMESPACE


# --- signing --------------------------------------------------------------------------------------

key_option = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Sign with this key: a name, a file, or env:VARIABLE. Its passphrase is asked for, or comes from "
    f"{PASSPHRASE_VARIABLE}.",
)
out_option = click.option("--out", type=PLACE, help="Write a file for others to sign, publish nothing.")


class Signable(Protocol):
    """What collects signatures: documents (`pe_data.documents.papers`) or a version of the trust root."""

    def sign(self, signer: "Signer") -> None: ...
    def to_bytes(self) -> bytes: ...
    def missing(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Signing:
    """Sign and publish now, write a file for others to sign, or publish what they signed."""

    keys: tuple[str, ...]
    out: Path | None
    file: Path | None = None

    def signed_file(self, *others: object) -> bytes | None:
        """The file of `--publish`, which nothing else may be named beside; None without it."""
        if self.file is None:
            return None
        if self.keys or self.out or any(others):
            raise click.UsageError("--publish takes the file alone")
        return self.file.read_bytes()

    def need_keys(self) -> None:
        """Raise UsageError if no `--key` was named."""
        if not self.keys:
            raise click.UsageError("say with which --key")

    def sign(self, papers: Signable) -> bool:
        """Sign with every key, and write a file for others to sign if one is named; whether it was written."""
        for signer in signers_of(self.keys):
            papers.sign(signer)
        if self.out is not None:
            self.out.write_bytes(papers.to_bytes())
        return self.out is not None

    @property
    def written(self) -> str:
        """Says that a file was written."""
        return f"signed {len(self.keys)} time(s): {self.out}"


signing_options: Decorator[Any] = together(
    "signing",
    Signing,
    out_option,
    click.option("--publish", "file", type=FILE, help="Publish a file that enough people have signed."),
    key_option,
)


def seal_of(references: tuple[str, ...]) -> "Seal | None":
    """What signs the pointer of `latest` with the keys that `--key` names; None without a key."""
    if not references:
        return None
    signers = signers_of(references)

    def seal(body: bytes) -> bytes:
        from pe_data.documents.envelope import POINTER_TYPE, sign

        return sign(body, POINTER_TYPE, signers).to_bytes()

    return seal


def needs_signatures(function: F) -> F:
    """A decorator: the command needs the libraries for signatures. Raises MissingExtraError without them."""

    @functools.wraps(function)
    def wrapped(**values: Any) -> Any:
        from pe_data.documents.signing_libraries import need_libraries

        need_libraries()
        return function(**values)

    return wrapped  # type: ignore[return-value]


def signers_of(references: tuple[str, ...]) -> "list[Signer]":
    """The signers that `--key` names."""
    if not references:
        return []
    from pe_data.trust.keys import load_signer

    return [load_signer(reference, ask_passphrase) for reference in references]


def ask_passphrase(what: str, *, new: bool = False) -> str:
    """From the environment, else from the person at the terminal; never from the command line."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    prompt = what if new else f"Passphrase of {what}"
    return given or str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))
