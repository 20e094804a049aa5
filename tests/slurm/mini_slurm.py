"""A real Slurm of several nodes on one host, for one test run: no systemd, no fixed port, nothing left behind.

By hand:

    python tests/slurm/mini_slurm.py --nodes 3 -- sinfo -N -l
    python tests/slurm/mini_slurm.py --nodes 3 -- snakemake --workflow-profile profiles/slurm all

starts one, runs the command in its environment and stops it again. Jobs that exceed their memory are killed, and a node
whose slurmd is gone counts as dead after a few seconds.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "squeue", "scontrol")
NODE_TIMEOUT = 20
"""Seconds without an answer after which a node is dead."""


def missing_programs() -> list[str]:
    """Programs of Slurm and munge that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=_search_path()) is None]


@dataclass
class MiniSlurm:
    """A cluster that runs as long as its ``with`` block.

    Attributes:
        folder: configuration, logs, state; a short path, because it holds a socket.
        nodes: number of nodes, named n1, n2, …
        cpus: of each node, whatever the host has.
        memory_mb: of each node, whatever the host has.
    """

    folder: Path
    nodes: int = 3
    cpus: int = 2
    memory_mb: int = 16000
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> "MiniSlurm":
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def names(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.nodes + 1)]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this cluster."""
        return {
            **os.environ,
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{_search_path()}",
        }

    def start(self) -> None:
        for name in ("log", "state", "munge", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o700)
        key = self.folder / "munge/key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(self._configuration())
        self._keep_configuration_in_steps()
        munge = self.folder / "munge"
        self._start(
            "munged", "-F", "--force", f"--key-file={key}", f"--socket={munge}/s", f"--pid-file={munge}/pid",
            f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--num-threads=2",
        )  # fmt: skip
        self._wait(lambda: (munge / "s").exists(), "munged")
        self._start("slurmctld", "-D", "-i")
        self._wait(lambda: self.ask("scontrol", "ping").returncode == 0, "slurmctld")
        for name in self.names:
            self.start_node(name)
        self.wait_idle()

    def stop(self) -> None:
        for name in self.names:
            self.kill_node(name)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()

    def start_node(self, name: str) -> None:
        (self.folder / "spool" / name).mkdir(exist_ok=True)
        self._start(name, "-D", "-N", name, program="slurmd")

    def kill_node(self, name: str) -> None:
        """What a power failure does: slurmd and everything that it started are gone at once."""
        daemon = self.daemons.pop(name, None)
        if daemon is not None:
            daemon.kill()
            daemon.wait()
        for pid in self._processes_of(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def states(self) -> dict[str, str]:
        """Node → state in lower case, such as ``idle``, ``mixed``, ``down*``."""
        lines = self.ask("sinfo", "-h", "-N", "-o", "%N %T").stdout.splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs of this cluster, ended ones too, in their order: id, state, node, CPUs, memory, time, comment."""
        fields = ("id", "state", "node", "cpus", "memory", "time", "comment")
        lines = self.ask("squeue", "-h", "-t", "all", "-S", "i", "-o", "%i|%T|%N|%C|%m|%M|%k").stdout.splitlines()
        return [dict(zip(fields, line.split("|"), strict=True)) for line in lines]

    def wait_idle(self) -> None:
        """Until every node is there and has nothing to do."""
        self._wait(lambda: set(self.states().values()) == {"idle"}, "nodes")

    def ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def logs(self) -> str:
        """The end of every daemon's log."""
        paths = sorted((self.folder / "log").iterdir())
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in paths)

    def _start(self, name: str, *arguments: str, program: str | None = None) -> None:
        executable = shutil.which(program or name, path=_search_path())
        assert executable is not None, f"{program or name} is not installed"
        with (self.folder / "log" / f"{name}.out").open("wb") as log:
            self.daemons[name] = subprocess.Popen(
                [executable, *arguments], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.folder,
            )  # fmt: skip

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                raise RuntimeError(f"{what} did not start ({', '.join(dead) or 'time is up'})\n{self.logs()}")
            time.sleep(0.1)

    def _keep_configuration_in_steps(self) -> None:
        """The executor plugin takes SLURM_CONF away inside jobs; a cluster has its configuration in a fixed place."""
        real = shutil.which("srun", path=_search_path())
        wrapper = self.folder / "bin" / "srun"
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        wrapper.chmod(0o755)

    def _processes_of(self, node: str) -> list[int]:
        """Processes of the node's jobs, and the step daemons above them."""
        wanted = f"SLURMD_NODENAME={node}".encode()
        spool = str(self.folder / "slurm.conf").encode()
        found: set[int] = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    environment = (folder / "environ").read_bytes().split(b"\0")
                    ours = any(value.endswith(spool) for value in environment) or _in_path(environment, self.folder)
                    if ours and wanted in environment:
                        found |= {int(folder.name), *_step_daemons_above(int(folder.name))}
        return sorted(found)

    def _configuration(self) -> str:
        host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.getuid()).pw_name
        controller, *ports = _free_ports(1 + self.nodes)
        folder = self.folder
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus}"
            f" RealMemory={self.memory_mb} State=UNKNOWN"
            for name, port in zip(self.names, ports, strict=True)
        )
        return f"""\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/s
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/state/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdPidFile={folder}/spool/%n.pid
SlurmdSpoolDir={folder}/spool/%n
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdParameters=config_overrides
SlurmdTimeout={NODE_TIMEOUT}
SlurmctldTimeout=10
InactiveLimit=0
KillWait=1
MessageTimeout=10
MinJobAge=600
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def running_cluster(nodes: int = 3, **options: int) -> Iterator[MiniSlurm]:
    """A cluster in a folder of its own below the system's temporary one."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, MiniSlurm(Path(folder), nodes, **options) as cluster:
        yield cluster


def _search_path() -> str:
    """The daemons lie in folders that an ordinary user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _in_path(environment: Sequence[bytes], folder: Path) -> bool:
    return any(value.startswith(b"PATH=" + str(folder).encode()) for value in environment)


def _step_daemons_above(pid: int) -> set[int]:
    found = set()
    while pid > 1:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if status["Name"].startswith("slurmstepd"):
            found.add(pid)
        pid = int(status["PPid"])
    return found


def _main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2, help="of each node")
    parser.add_argument("command", nargs="+", help="to run in the cluster's environment")
    args = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing stays behind
    with running_cluster(args.nodes, cpus=args.cpus) as cluster:
        return subprocess.run(args.command, env={**cluster.environment, **(environment or {})}, check=False).returncode


if __name__ == "__main__":
    sys.exit(_main())
