"""`pe-data cache`: list, verify, prune."""

import re
from datetime import UTC, datetime

import click

from pe_data.cli.common import as_json, options_of, print_json, print_table, say
from pe_data.cli.tables import human_size

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_cache = click.option("--cache", help="Cache folder.  [default: PE_DATA_CACHE]")


class Size(click.ParamType):
    """A number of bytes: `500MB`, `2.5 GB`, `0`."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?B)?", str(value).strip().upper())
        if match is None or (match[2] is None and float(match[1]) != 0):
            self.fail(
                f"expected a size with its unit such as 500MB or 2.5GB (0 empties it), found {value!r}", param, ctx
            )
        return int(float(match[1]) * _UNITS[match[2] or "B"])


@click.group("cache")
def cache_group() -> None:
    """Look after the verified files on this machine.

    \b
      pe-data cache list
      pe-data cache verify
      pe-data cache prune --max-size 5GB
    """


@cache_group.command("list")
@_cache
@as_json
def list_cache(cache: str | None, json_output: bool) -> None:
    """Show what is in the cache: digest, kind, size, last use."""
    found = options_of(None, cache, None).cache
    entries = list(found.entries())
    if json_output:
        print_json({"folder": str(found.root), "entries": entries})
        return
    print_table(
        ("sha256", "kind", "size", "last used"),
        [(e.sha256, e.suffix.partition(".")[0], human_size(e.size), _day(e.used)) for e in entries],
    )
    total = sum(entry.size for entry in entries)
    say(f"{len(entries)} files, {human_size(total)}, in {found.root}")


@cache_group.command("verify")
@_cache
@as_json
def verify(cache: str | None, json_output: bool) -> int:
    """Hash every file again; wrong ones are removed. Exit code 1 if there were any."""
    from pe_data.cache.maintain import verify_cache

    checked = list(verify_cache(options_of(None, cache, None).cache))
    bad = [c for c in checked if not c.right]
    if json_output:
        print_json({"checked": len(checked), "removed": [c.entry for c in bad]})
    else:
        for one in bad:
            say(f"removed {one.entry.path}: its bytes were not those of its name")
        say(f"{len(checked)} files checked, {len(bad)} wrong")
    return 1 if bad else 0


@cache_group.command("prune")
@click.option("--max-size", type=Size(), required=True, help="Keep at most this much (5GB, 0).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_cache
@as_json
def prune(max_size: int, dry_run: bool, cache: str | None, json_output: bool) -> None:
    """Remove the files that were used longest ago, and abandoned downloads.

    \b
      pe-data cache prune --max-size 5GB --dry-run
    """
    from pe_data.cache.maintain import prune as prune_cache

    pruned = prune_cache(options_of(None, cache, None).cache, max_size, dry_run=dry_run)
    if json_output:
        print_json(pruned)
        return
    freed = sum(entry.size for entry in pruned.removed)
    word = "would remove" if dry_run else "removed"
    say(
        f"{word} {len(pruned.removed)} files ({human_size(freed)}) and {pruned.partials} abandoned "
        f"downloads; {human_size(pruned.kept_bytes)} stay"
    )


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


COMMANDS: dict[str, click.Command] = {"cache": cache_group}
