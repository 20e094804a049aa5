"""`pe-data certify` and `bundle-status`: the boundary to release bundles."""

from pathlib import Path
from typing import Any

import click

from pe_data.cli.options import (
    FILE,
    FOLDER,
    json_option,
    key_option,
    needs_signatures,
    reading_options,
    signers_of,
)
from pe_data.cli.output import Output
from pe_data.read.options import Options


@click.command()
@click.argument("country")
@click.option("--data-producer", required=True, metavar="NAME", help="Who made the data: the name of the data package.")
@click.option("--dataset", "datasets", multiple=True, help="Only this one.  [default: every nominated one]")
@click.option("--default-dataset", metavar="NAME", help="What users get who ask for none, such as national/US.")
@click.option(
    "--release-manifest",
    required=True,
    type=FILE,
    help="Says where in the hub the files lie: as `snakemake publish` or `pe-data release-manifest` wrote it.",
)
@click.option(
    "--release-manifest-path",
    default="release_manifest.json",
    show_default=True,
    metavar="PATH",
    help="Where that lies in the hub's repository.",
)
@click.option("--policyengine-version", required=True, help="Version of the bundle that will take the block.")
@click.option("--bundle-id", required=True, help="Name of that bundle, such as COUNTRY-6.11.1.")
@click.option("--model-version", help="Certify for this version of the model.  [default: the installed one]")
@click.option("--model-fingerprint", help="Data-build fingerprint of that model, if the version differs.")
@click.option("--model-wheel", type=FILE, help="Wheel of that model, whose sha256 goes into the block.")
@click.option(
    "--core-version",
    help="Certify for this version of policyengine-core; bundle_pin names none.  [default: the installed one]",
)
@click.option("--by", "certified_by", metavar="WHO", help="Who certifies.  [default: the producer]")
@click.option("--quick", is_flag=True, help="Compare the sizes of payloads in the store instead of hashing them.")
@click.option("--out", default=".", show_default=True, type=FOLDER, help="Folder to write to.")
@key_option
@reading_options
@json_option
@needs_signatures
def certify(
    country: str,
    datasets: tuple[str, ...],
    quick: bool,
    out: Path,
    keys: tuple[str, ...],
    options: Options,
    output: Output,
    **terms: Any,
) -> None:
    """Check what was nominated for a country, and write the data-release block that a bundle pins.

    Written are data_release.json, statement.intoto.json (in-toto Statement v1), trace.tro.jsonld
    (TRACE) and, with --key, statement.dsse.json, the statement signed.

    \b
    Examples:
      pe-data certify us --data-producer local-h5 --release-manifest results/release_manifest.json \\
          --policyengine-version 6.11.1 --bundle-id us-6.11.1 --model-version 2.2.1 --core-version 3.33.3 \\
          --key carol --out release/

    \b
    Exit codes: 0 certified; 1 refused, and the reason is printed; 2 wrong usage.
    """
    from pe_data.certify.certify import certify_data_release

    if options.offline:
        raise click.UsageError("certifying asks the store; it cannot be done offline")
    certified = certify_data_release(
        country,
        datasets=datasets or None,
        depth="presence" if quick else "full",
        store=options.store,
        cache=options.cache.root,
        signers=signers_of(keys),
        **terms,  # the other options have the names of its arguments
    )
    paths = certified.write(out)
    release, held = certified.release, certified.release.certification
    line = (
        f"certified: {release.country_id} data release {release.build_id}, {len(release.datasets)} file(s), for "
        f"{release.model_package.name} {held.certified_for_model_version} ({held.compatibility_basis})"
    )
    output({"release": certified.block, "files": paths}, [line, *(f"written: {path}" for path in paths)])


@click.command("bundle-status")
@click.argument("file", type=FILE)
@reading_options
@json_option
def bundle_status(file: Path, options: Options, output: Output) -> int:
    """Check whether a release that was certified earlier is still reproducible.

    FILE is the data_release.json of `pe-data certify`. Every pinned file is looked up: whether it or
    its collection was revoked, and whether its payload is still there.

    \b
    Example:
      pe-data bundle-status release/data_release.json --json

    \b
    Exit codes: 0 reproducible, 1 unreproducible: licence revoked, 2 cannot tell (or wrong usage),
    3 unreproducible: payload missing. Of several, the first of: revoked, missing, cannot tell.
    """
    from pe_data.certify.status import State
    from pe_data.certify.status import bundle_status as check

    status = check(file, options)
    bad = [one for one in status.files if one.state is not State.REPRODUCIBLE]
    lines = [line for one in bad for line in (f"{one.dataset}: {one.state}", f"  {one.reason}")]
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    document = {"state": status.state, "counts": status.counts, "files": status.files}
    output(document, [*lines, f"{status.state} ({counts})"])
    return status.state.exit_code


COMMANDS: dict[str, click.Command] = {
    "certify": certify,
    "bundle-status": bundle_status,
}
