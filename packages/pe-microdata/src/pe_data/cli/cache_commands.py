"""`pe-data cache`: list, verify, prune."""

from datetime import UTC, datetime

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import Size, cache_option, json_option
from pe_data.cli.output import Output
from pe_data.read.options import Options
from pe_data.texts import human_size, table


@click.group("cache", cls=Group)
def cache_group() -> None:
    """Look after the verified files on this machine.

    \b
    Examples:
      pe-data cache list
      pe-data cache verify
      pe-data cache prune --max-size 5GB
    """


@cache_group.command("list")
@cache_option
@json_option
def list_cache(options: Options, output: Output) -> None:
    """Show what is in the cache: digest, kind, size, last use.

    \b
    Example:
      pe-data cache list --json
    """
    folder, entries = str(options.cache.root), list(options.cache.entries())
    rows = [(e.sha256, e.suffix.partition(".")[0], human_size(e.size), _day(e.used)) for e in entries]
    total = human_size(sum(entry.size for entry in entries))
    lines = [*table(("sha256", "kind", "size", "last used"), rows), f"{len(entries)} files, {total}, in {folder}"]
    output({"folder": folder, "entries": entries}, lines)


@cache_group.command("verify")
@cache_option
@json_option
def verify(options: Options, output: Output) -> int:
    """Hash every file again; wrong ones are removed.

    \b
    Example:
      pe-data cache verify

    Exit codes: 0 all were right; 1 there were wrong ones.
    """
    from pe_data.cache.maintain import verify_cache

    checked = list(verify_cache(options.cache))
    bad = [c for c in checked if not c.right]
    lines = [f"removed {one.entry.path}: its bytes were not those of its name" for one in bad]
    lines.append(f"{len(checked)} files checked, {len(bad)} wrong")
    output({"checked": len(checked), "removed": [c.entry for c in bad]}, lines)
    return 1 if bad else 0


@cache_group.command("prune")
@click.option("--max-size", type=Size(), required=True, help="Keep at most this much (5GB, 0).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@cache_option
@json_option
def prune(max_size: int, dry_run: bool, options: Options, output: Output) -> None:
    """Remove the files that were used longest ago, and abandoned downloads.

    \b
    Examples:
      pe-data cache prune --max-size 5GB --dry-run
    """
    from pe_data.cache.maintain import prune as prune_cache

    pruned = prune_cache(options.cache, max_size, dry_run=dry_run)
    freed = human_size(sum(entry.size for entry in pruned.removed))
    word = "would remove" if dry_run else "removed"
    line = (
        f"{word} {len(pruned.removed)} files ({freed}) and {pruned.partials} abandoned downloads; "
        f"{human_size(pruned.kept_bytes)} stay"
    )
    output(pruned, [line])


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


COMMANDS: dict[str, click.Command] = {"cache": cache_group}
