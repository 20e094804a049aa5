"""docs/story.md and docs/release-manager.md, run as they stand: every command, and what it is said to print."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs"
STORIES = {"story.md": (9, 7), "release-manager.md": (6, 6)}
"""Page → blocks of commands, and how many of them are said to print something."""
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = "=== block "


def blocks(page: Path) -> tuple[list[str], list[list[str]]]:
    """The commands of each block, and the lines that they are said to print (none for some)."""
    commands: list[str] = []
    said: list[list[str]] = []
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "sh":
            commands.append(text)
            said.append([])
        else:
            said[-1] = text.splitlines()
    return commands, said


def pattern(line: str) -> re.Pattern[str]:
    """`…` stands for anything, a blank for blanks."""
    return re.compile(r"\s+".join(".*".join(map(re.escape, word.split("…"))) for word in line.split()))


@pytest.mark.slow
@pytest.mark.parametrize("page", STORIES)
def test_the_story_is_true(tmp_path: Path, page: str) -> None:
    commands, said = blocks(PAGES / page)
    assert (len(commands), sum(bool(lines) for lines in said)) == STORIES[page]
    program = Path(sys.executable).with_name("pe-data")
    if not program.is_file():
        pytest.fail(f"{program}: the package is not installed")
    script = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, command in enumerate(commands):
        script += [f"echo '{MARK}{number}'", command]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PE_DATA_")},
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "PE_DATA_STORE": str(tmp_path / "store"),
        "PE_DATA_CACHE": str(tmp_path / "cache"),
        "PE_DATA_KEYS": str(tmp_path / "keys"),
        "PE_DATA_CONFIG": str(tmp_path / "none.toml"),
        "COLUMNS": "400",
    }
    shell = shutil.which("bash")
    assert shell is not None
    done = subprocess.run(
        [shell, "-c", "\n".join(script)],
        cwd=PAGES.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = re.split(rf"^{MARK}\d+$", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(commands), done.stdout
    for text, lines in zip(printed, said, strict=True):
        rest = iter(text.splitlines())
        for line in lines:
            assert any(pattern(line).search(found) for found in rest), (
                f"not printed, or not in this order: {line}\n{text}"
            )
    assert "Traceback" not in done.stdout
    for log in tmp_path.glob("*/gateway.log"):
        assert "ada/" not in log.read_text()
        assert "serving uk at" in log.read_text()
    assert bool(list(tmp_path.glob("*/gateway.log"))) == (page == "story.md")
