"""`pe-data key`: make signing keys, and see which there are."""

from pathlib import Path

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import FILE, ask_passphrase, json_option
from pe_data.cli.output import Output
from pe_data.trust.keys import SHORTEST_PASSPHRASE


@click.group(cls=Group)
def key() -> None:
    """Make signing keys, and see which there are.

    A key is two files in PE_DATA_KEYS (by default in your data directory): NAME.key, encrypted and
    readable by you alone, and NAME.pub, to give to whoever keeps the trust root.

    \b
    Examples:
      pe-data key new alice
      pe-data key list
    """


@key.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--signer", metavar="ADDRESS", help="The private part is held elsewhere: gcpkms:…, awskms:…, hsm:…")
@click.option("--public", type=FILE, help="With --signer: the public key, as PEM.")
@json_option
def new(names: tuple[str, ...], signer: str | None, public: Path | None, output: Output) -> None:
    """Make ed25519 keys, or note down a key that is held elsewhere.

    The passphrase is asked for, or comes from PE_DATA_KEY_PASSPHRASE.

    \b
    Examples:
      pe-data key new alice
      pe-data key new owner nominator
      pe-data key new robot --signer gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1
          --public robot.pem
    """
    from pe_data.trust.keys import describe_key, key_folder, new_key

    if (signer is None) != (public is None):
        raise click.UsageError("--signer and --public belong together")
    if signer is not None and public is not None:
        if len(names) != 1:
            raise click.UsageError("--signer is for one key at a time")
        made = [describe_key(names[0], public.read_bytes(), signer)]
    else:
        prompt = "New passphrase of {} (at least " + f"{SHORTEST_PASSPHRASE} characters)"
        made = [new_key(name, ask_passphrase(prompt.format(name), new=True)) for name in names]
    rows = [{"name": one.name, "key_id": one.key_id, "folder": str(key_folder())} for one in made]
    output({"keys": rows}, (f"{row['name']}  {row['key_id']}  in {row['folder']}" for row in rows))


@key.command(name="list")
@json_option
def list_(output: Output) -> None:
    """The keys on this machine.

    \b
    Examples:
      pe-data key list --json
    """
    from pe_data.trust.keys import PRIVATE, key_folder, list_keys

    folder = key_folder()
    rows = [
        {
            "name": one.name,
            "key_id": one.key_id,
            "private": one.signer or ("file" if (folder / f"{one.name}{PRIVATE}").is_file() else None),
        }
        for one in list_keys()
    ]
    output({"keys": rows}, (f"{row['name']}  {row['key_id']}  {row['private'] or 'public part only'}" for row in rows))


COMMANDS: dict[str, click.Command] = {"key": key}
