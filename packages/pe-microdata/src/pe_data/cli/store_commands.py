"""The commands that write to or look after a store, by name."""

import click

from pe_data.cli.publish_commands import channel, publish
from pe_data.cli.upkeep_commands import fsck, gc, mirror, pin

COMMANDS: dict[str, click.Command] = {
    "publish": publish,
    "channel": channel,
    "mirror": mirror,
    "fsck": fsck,
    "gc": gc,
    "pin": pin,
}
