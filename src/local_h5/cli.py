"""``local-h5``: what a run would do, why, and whether the files are what they should be."""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_h5.errors import LocalH5Error
from local_h5.workflow import commands
from local_h5.workflow.command import end_in_one_line

_DESCRIPTION = "Calibrated US microdata, one H5 per area. Run it in the folder that holds the Snakefile."


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. An error of this package or of a file ends with one line and exit status 1.

    Args:
        arguments: of the command line; those of the process if None.
    """
    options = options_of(arguments)
    command = options.pop("command")
    end_in_one_line(lambda: command(**options))


def options_of(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command under ``command``, and its options.

    ``--configfile`` and ``--config`` take several values and count once, as Snakemake's do. The area of ``explain`` may
    follow them, where Snakemake would take it for one of their values.
    """
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
        import argcomplete

        argcomplete.autocomplete(parser, validator=lambda *_: True)
    options = vars(parser.parse_args(arguments))
    if "area" in options and options["area"] is None:
        overrides, files = options["overrides"], options["configfiles"]
        last = overrides if overrides and "=" not in overrides[-1] else files
        if not last:
            parser.error("explain: expected the id of an area, for example NC-01")
        options["area"] = str(last.pop())
    return options


class _LastCounts(argparse.Action):
    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        if getattr(namespace, self.dest):
            print(f"{option} is given twice: as in Snakemake, the last one counts.", file=sys.stderr)  # noqa: T201
        setattr(namespace, self.dest, values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("local-h5", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {importlib.metadata.version('local-h5')}")
    added = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    of = {}
    for function in commands.ALL:
        about = (function.__doc__ or "").partition("\n")[0]
        of[function] = added.add_parser(function.__name__, help=about, description=about)
    for function, one in of.items():
        one.set_defaults(command=function)
        one.add_argument(
            "--configfile", "--configfiles", dest="configfiles", nargs="+", type=Path, default=[], action=_LastCounts,
            metavar="FILE", help="configuration on top of config/config.yaml, one or several files, as for Snakemake",
        )  # fmt: skip
        one.add_argument(
            "--config", "-C", dest="overrides", nargs="*", default=[], action=_LastCounts, metavar="KEY=VALUE",
            help="overrides, as for Snakemake",
        )  # fmt: skip
    plan, areas, check, explain, verify, report = of.values()
    plan.add_argument("--format", dest="form", choices=("text", "json", "markdown"), default="text")
    verify.add_argument("--format", dest="form", choices=("text", "json"), default="text")
    areas.set_defaults(form="text")
    check.set_defaults(form="text")
    for one in (plan, areas, check, verify):
        one.add_argument("--json", dest="form", action="store_const", const="json", help="one JSON object")
    areas.add_argument(
        "--search", nargs="+", default=[], metavar="WORD", help="only areas that all of these words describe"
    )
    verify.add_argument("--deep", action="store_true", help="read all inputs again too, and look into every H5")
    verify.add_argument(
        "--delete-stale", action="store_true", help="delete what is stale or corrupt, so that the next run builds it"
    )
    report.add_argument("--results", type=Path, help="folder of the run [that of the configuration]")
    report.add_argument(
        "--against", metavar="RUN", help="say what changed from another run: its folder, @latest, @v3, sha256:… or an "
        "address of pe-data; and what publishing would do",
    )  # fmt: skip
    report.add_argument("--deep", action="store_true", help="with --against: read the files, for totals of a store's")
    report.add_argument(
        "--shapes", type=Path, metavar="FILE", help="GeoJSON with the districts' shapes by GEOID, for a true map"
    )
    report.add_argument("--output", type=Path, help="folder to write to [validation/ of the run]")
    named = explain.add_argument("area", nargs="?", help="id or path of an area, for example NC-01")
    named.completer = _areas_that_begin_with  # type: ignore[attr-defined]
    return parser


def _areas_that_begin_with(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """The areas of the configuration, for the completion of a shell; none where there is no right configuration."""
    from local_h5.suggestions import completions
    from local_h5.workflow.configuration import load_settings

    try:
        requests = load_settings(parsed_args.configfiles, parsed_args.overrides).requests
    except (LocalH5Error, OSError):
        return []
    return completions(prefix, [request.area_id for request in requests], [request.name for request in requests])
