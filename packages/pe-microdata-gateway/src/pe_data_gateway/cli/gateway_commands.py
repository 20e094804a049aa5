"""`pe-data serve` and `pe-data token`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import FILE, FOLDER, ChosenStore, json_option, signers_of, store_option, together
from pe_data.cli.output import Output
from pe_data.errors import MissingExtraError
from pe_data.names.countries import GATED_EXAMPLE, gated_codes
from pe_data.names.keys import check_country
from pe_data_gateway.settings import EVERY_RECORDS, EVERY_SECONDS, Settings

if TYPE_CHECKING:
    from pe_data_gateway.tokens import Token

TOKENS_VARIABLE = "PE_DATA_TOKENS"

tokens_option = click.option(
    "--tokens",
    "tokens_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=TOKENS_VARIABLE,
    show_envvar=True,
    required=True,
    help="File of tokens (mode 600); holds their digests, not them.",
)


def _served(context: click.Context, option: click.Parameter, countries: tuple[str, ...]) -> tuple[str, ...]:
    """The countries that were named, else every gated one."""
    return tuple(check_country(country) for country in countries) or gated_codes()


settings_options = together(
    "settings",
    Settings,
    click.option(
        "--country", "countries", multiple=True, callback=_served, help="Which countries; default: every gated one."
    ),
    tokens_option,
    click.option("--log", type=FOLDER, help="Folder for audit/{country}/.  [default: the store, if it is a folder]"),
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at."),
    click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0 for a free one."),
    click.option("--certificate", type=click.Path(exists=True, path_type=Path), help="For TLS: PEM with the chain."),
    click.option("--key", type=click.Path(exists=True, path_type=Path), help="For TLS: PEM with the private key."),
    click.option("--proxy", metavar="ADDRESS", help="Proxy that ends TLS; only it is let in without."),
    click.option(
        "--rate", type=click.FloatRange(min=0.01), default=50.0, show_default=True, help="Per second and user."
    ),
    click.option("--burst", type=click.IntRange(1), default=2000, show_default=True, help="At once, per user."),
    click.option(
        "--link-seconds", type=click.IntRange(5, 3600), default=300, show_default=True, help="Life of a link."
    ),
    click.option("--presign/--no-presign", default=True, help="Serve payloads straight from S3, GCS or Azure."),
    click.option("--signer", "signers", multiple=True, metavar="KEY", help="Signs checkpoints; see `pe-data key`."),
    click.option(
        "--checkpoint",
        "kept",
        type=FILE,
        multiple=True,
        help="A checkpoint that you kept elsewhere; the log must agree with it before the gateway goes on with it.",
    ),
    click.option(
        "--new-log",
        is_flag=True,
        help="The folder of the log is lost or empty, and the store has copies: go on after the last of them.",
    ),
    click.option(
        "--checkpoint-records", "every_records", type=click.IntRange(1), default=EVERY_RECORDS, show_default=True
    ),
    click.option(
        "--checkpoint-seconds",
        "every_seconds",
        type=click.FloatRange(min=0.1),
        default=EVERY_SECONDS,
        show_default=True,
    ),
)


@click.command()
@store_option
@settings_options
@json_option
def serve(chosen: ChosenStore, settings: Settings, output: Output) -> None:
    """Run the gateway in front of a private store: tokens in, an audit record for every release.

    Nothing is served that is not in the access log first. One process writes one log. Prints its
    address once it answers; stop it with SIGTERM.

    \b
    Examples:
      pe-data token new ada@example.org --scope uk/* --tokens tokens.json
      pe-data serve --store ./private --tokens tokens.json
      pe-data serve --store s3://private --log /var/lib/pe-data --tokens tokens.json --proxy 10.0.0.2 --host 10.0.0.3
    """
    try:
        from pe_data_gateway.serve import serve as run
    except ImportError as error:
        raise MissingExtraError(
            f"the gateway needs the package {(error.name or '?').partition('.')[0]}: install what pe-microdata-gateway "
            "depends on"
        ) from error
    served = settings.countries

    def on_ready(address: str) -> None:
        output({"countries": served, "address": address}, [f"serving {', '.join(served)} at {address}"])

    run(chosen.of(served[0]), settings, signers_of(settings.signers), on_ready)


@click.group(cls=Group)
def token() -> None:
    """Make, list and revoke tokens of a gateway.

    \b
    Examples:
      pe-data token new ada@example.org --scope uk/* --days 90
      pe-data token list
      pe-data token revoke ada@example.org
    """


@token.command("new")
@click.argument("user")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="COUNTRY/DATASET",
    help=f"What it is for: {GATED_EXAMPLE.code}/{GATED_EXAMPLE.example}, or {GATED_EXAMPLE.code}/* for all.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="Until it expires.")
@tokens_option
@json_option
def new(user: str, scopes: tuple[str, ...], days: int, tokens_path: Path, output: Output) -> None:
    """Make a token for USER and print it, this once.

    A running gateway knows it at the next request.

    \b
    Example:
      pe-data token new ada@example.org --scope uk/* --days 90
    """
    from pe_data_gateway.tokens import new_token

    text, made = new_token(tokens_path, user, scopes, timedelta(days=days))
    output({"token": text, **_document(made)}, [text])
    if not output.as_json:
        click.echo(f"token {made.id} of {user} for {', '.join(scopes)}, until {made.expires[:10]}", err=True)


@token.command("list")
@tokens_option
@json_option
def list_tokens(tokens_path: Path, output: Output) -> None:
    """List tokens by user. Token values are not stored.

    \b
    Example:
      pe-data token list --tokens tokens.json
    """
    from pe_data_gateway.tokens import read_tokens

    found = [_document(one) for one in read_tokens(tokens_path)]
    output({"tokens": found}, ("  ".join(str(value) for value in row.values() if value) for row in found))


@token.command()
@click.argument("which", metavar="ID|USER")
@tokens_option
@json_option
def revoke(which: str, tokens_path: Path, output: Output) -> None:
    """Revoke a token, or all tokens of a user; a running gateway refuses them at once.

    \b
    Example:
      pe-data token revoke ada@example.org
    """
    from pe_data_gateway.tokens import revoke_tokens

    ended = revoke_tokens(tokens_path, which)
    output({"ended": [_document(one) for one in ended]}, (f"token {one.id} of {one.user} has ended" for one in ended))


def _document(one: "Token") -> dict[str, object]:
    state = "revoked" if one.revoked else "active" if one.counts() else "expired"
    return {
        "id": one.id,
        "user": one.user,
        "scopes": " ".join(one.scopes),
        "state": state,
        "expires": one.expires[:10],
    }
