"""The client of the trust root as a command line that the public tuf-conformance suite can drive.

    client.py --metadata-dir DIR init ROOT
    client.py --metadata-dir DIR --metadata-url URL refresh
    client.py --metadata-dir DIR --metadata-url URL --target-name NAME... --target-base-url URL
        --target-dir DIR download

`--target-name` may be repeated: every target is then asked for, in order and through one updater.

It is the code that walks a store's trust root (`pe_data.trust.client`), pointed at a web server. The
exit code is 0 when everything was verified and 1 when anything was not.
"""

import argparse
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from tuf.ngclient import Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from pe_data.errors import PeDataError, TrustRootError
from pe_data.files.locks import exclusive
from pe_data.trust.client import CheckedFetcher, library_errors, refresh


class WebFetcher(CheckedFetcher, Urllib3Fetcher):
    """Reads a web server instead of a store."""


def refreshed(args: argparse.Namespace) -> Updater:
    """An updater with today's top-level metadata."""
    fetcher = WebFetcher(app_user_agent="pe-data")
    return refresh(Path(args.metadata_dir), None, fetcher, args.metadata_url, what=args.metadata_url)


def download(args: argparse.Namespace) -> None:
    updater = refreshed(args)
    for name in args.target_names:
        with library_errors(name):
            target = updater.get_targetinfo(name)
            if target is None:
                raise TrustRootError(f"{name}: expected a target of this repository, found none")
            path = str(Path(args.target_dir) / quote(name, ""))
            if updater.find_cached_target(target, path) is None:
                updater.download_target(target, path, args.target_base_url)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metadata-dir", required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", dest="target_names", action="append", default=[], metavar="NAME")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root")
    commands.add_parser("refresh")
    commands.add_parser("download")
    args = parser.parse_args()
    folder = Path(args.metadata_dir)
    try:
        with exclusive(folder.with_name(f"{folder.name}.lock")):
            if args.command == "init":
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(args.trusted_root, folder / "root.json")
            elif args.command == "refresh":
                refreshed(args)
            else:
                download(args)
    except (PeDataError, OSError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
