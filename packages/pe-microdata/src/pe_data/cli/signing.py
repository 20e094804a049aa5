"""What the commands about keys, the trust root and nominations have in common."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

PASSPHRASE_VARIABLE = "PE_DATA_KEY_PASSPHRASE"
_DURATION = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

key_option = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Sign with this key: a name, a file, or env:VARIABLE. Its passphrase is asked for, or comes from "
    f"{PASSPHRASE_VARIABLE}.",
)


class Duration(click.ParamType):
    """`30d`, `12h` or `45m`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"expected a time such as 30d, 12h or 45m, found {value!r}", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


def ask_passphrase(what: str) -> str:
    """From the environment, else from the person at the terminal; never from the command line."""
    return os.environ.get(PASSPHRASE_VARIABLE) or str(click.prompt(f"Passphrase of {what}", hide_input=True, err=True))


def signers_of(references: tuple[str, ...]) -> "list[Signer]":
    """The signers that `--key` names."""
    if not references:
        return []
    from pe_data.trust.keys import load_signer

    return [load_signer(reference, ask_passphrase) for reference in references]


out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Write a file for others to sign, publish nothing."
)
publish_option = click.option(
    "--publish",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Publish a file that enough people have signed.",
)


class Signable(Protocol):
    """What collects signatures: documents (`pe_data.documents.papers`) or a version of the trust root."""

    def sign(self, signer: "Signer") -> None: ...
    def to_bytes(self) -> bytes: ...
    def missing(self) -> list[str]: ...


def sign_or_write(papers: Signable, keys: tuple[str, ...], out: Path | None) -> bool:
    """Sign with every key, and write a file for others to sign if one is named; whether it was written."""
    for signer in signers_of(keys):
        papers.sign(signer)
    if out is not None:
        out.write_bytes(papers.to_bytes())
    return out is not None
