"""The executor plugin: what it takes for a script, what it needs of Snakemake, and what importing it costs."""

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

pytest.importorskip("snakemake.cli")

from snakemake_executor_plugin_warm.command import ScriptCommand

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python x.py", ("python", ("x.py",), None)),
        ("python3.12 x.py --a b 2> log", ("python3.12", ("x.py", "--a", "b"), "log")),
        ("/bin/python3 s/x.py 'a b' 'it'\"'\"'s' 2> 'l o g'", ("/bin/python3", ("s/x.py", "a b", "it's"), "l o g")),
        (" python   x.py  --filter   2> log ", ("python", ("x.py", "--filter"), "log")),
        ("python x.py '2>' log", ("python", ("x.py", "2>", "log"), None)),
        ("python x.py 'a 2> b'", ("python", ("x.py", "a 2> b"), None)),
        ("python x.py ''", ("python", ("x.py", ""), None)),
    ],
)  # fmt: skip
def test_a_command_that_is_a_script(command: str, expected: tuple[str, tuple[str, ...], str | None]) -> None:
    read = ScriptCommand.read(command)
    assert read is not None
    assert (read.python, read.argv, read.log) == expected


@pytest.mark.parametrize(
    "command",
    [
        "", "python", "python -m module", "python -c 'pass'", "bash x.sh", "pythonic x.py", "A=b python x.py",
        "python x.py $HOME", "python x.py ~/a", "python x.py *.h5", "python x.py > out", "python x.py 2>log",
        "python x.py 2> log && touch a", "python x.py 2> log 2> other", "python x.py 2> a b", "python x.py; touch a",
        "python x.py | cat", "python x.py &", "python x.py\ntouch a", "python x.py {a,b}", "python x.py 'a",
        "(python x.py)",
        "python x.py `date`", "python x.py \\\n --a", "python x.py # note", 'python x.py "a"',
    ],
)  # fmt: skip
def test_a_command_that_a_shell_has_to_read(command: str) -> None:
    assert ScriptCommand.read(command) is None


def test_snakemake_still_has_what_is_used() -> None:
    """A version that moves one of them fails here, not in somebody's run."""
    from snakemake.benchmark import BenchmarkRecord, write_benchmark_records
    from snakemake.exceptions import format_error
    from snakemake.executors.local import Executor, common_settings
    from snakemake.jobs import Job
    from snakemake.rules import Rule
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.shell import shell
    from snakemake.workflow import Workflow

    assert list(inspect.signature(Executor.run_single_job).parameters) == ["self", "job"]
    assert list(inspect.signature(Executor.cached_or_run).parameters) == ["self", "job", "run_func", "args"]
    assert "self.pool = " in inspect.getsource(Executor.__post_init__)
    assert "future.exception()" in inspect.getsource(Executor._callback)
    assert {"shutdown", "cancel"} <= vars(Executor).keys()
    assert "self._executor.cancel()" in inspect.getsource(JobScheduler.schedule)
    assert "self._executor.shutdown()" in inspect.getsource(JobScheduler.schedule)
    assert common_settings.local_exec
    assert inspect.iscoroutinefunction(Job.prepare)
    assert {"shellcmd", "is_shadow", "conda_env", "container_img_url", "env_modules", "jobid"} <= set(dir(Job))
    assert {"is_shell", "lineno", "snakefile"} <= set(dir(Rule)) | set(inspect.getsource(Rule.__init__).split())
    assert "benchmark_repeats" in inspect.getsource(Job)
    assert callable(Workflow.async_run)
    assert (shell._process_prefix, shell._process_suffix) == (None, "")
    assert list(inspect.signature(write_benchmark_records).parameters) == ["records", "path", "extended_fmt"]
    assert {"max_rss", "running_time", "cpu_time"} <= set(inspect.signature(BenchmarkRecord).parameters)
    assert list(inspect.signature(format_error).parameters)[:4] == ["ex", "lineno", "linemaps", "snakefile"]
    environment = inspect.getsource(shell.__new__)
    from snakemake_executor_plugin_warm import _TEMPORARY, _THREADS

    assert environment.count('envvars["') == len(_THREADS + _TEMPORARY)
    assert all(f'envvars["{name}"]' in environment for name in _THREADS + _TEMPORARY)


def imported(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}; import json, sys; print(json.dumps(sorted(sys.modules)))"]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_importing_it_imports_nothing_of_the_project() -> None:
    """Snakemake imports every plugin at each start, in the processes of remote jobs too."""
    local = "import snakemake.executors.local, snakemake.benchmark, snakemake.shell"
    more = imported(f"{local}; import snakemake_executor_plugin_warm") - imported(local)
    own = {name for name in more if not name.startswith("snakemake_executor_plugin_warm")}
    assert own == set()


def test_a_worker_imports_nothing_of_snakemake(tmp_path: Path) -> None:
    from snakemake_executor_plugin_warm.workers import Workers

    script = tmp_path / "job.py"
    script.write_text("import sys; open('modules', 'w').write(' '.join(sys.modules))")
    workers = Workers()
    assert workers.run(sys.executable, {}, [str(script)], str(tmp_path), None).status == 0
    workers.end()
    roots = {name.partition(".")[0] for name in (tmp_path / "modules").read_text().split()}
    assert not {name for name in roots if name.startswith(("snakemake", "local_h5", "numpy"))}


def test_the_wheel_holds_it() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "src/snakemake_executor_plugin_warm" in build["targets"]["wheel"]["packages"]


def test_the_default_profile_names_it_and_no_other_does() -> None:
    profiles = ROOT.glob("profiles/*/config.yaml")
    named = {path.parent.name: yaml.safe_load(path.read_text()).get("executor") for path in profiles}
    assert named.pop("default") == "warm"
    assert "warm" not in named.values()
    assert None not in named.values()
