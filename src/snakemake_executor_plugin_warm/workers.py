"""The processes that stay: started when a job wants one, one job at a time, ended when their socket is closed."""

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_WORKER = Path(__file__).with_name("worker.py")
"""Started by its path: as a module it would import the package first, and Snakemake with it."""

LOOK = 1.0
"""Seconds after which a silent worker is looked at. Its socket ends with it, unless a child of a job has it too."""

PATIENCE = 5.0
"""Seconds that a worker gets to end by itself."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that its worker has told the end of.

    Attributes:
        status: as of a process.
        wall: seconds.
        cpu: seconds, of the job alone.
        max_rss: the most memory while the job ran, in MB; None where the system does not tell.
    """

    status: int
    wall: float
    cpu: float
    max_rss: float | None


class WorkerEnded(Exception):
    """A worker that ended without telling how its job did.

    Attributes:
        status: of the process; negative for a signal.
        begun: whether the job had begun.
    """

    def __init__(self, status: int, *, begun: bool) -> None:
        super().__init__(status, begun)
        self.status, self.begun = status, begun

    @property
    def reason(self) -> str:
        """What happened, as the end of a log."""
        if self.status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-self.status).name}"
        return f"ended with exit status {self.status}, before the script did"


class Cancelled(Exception):
    """No job is begun any more."""


class Worker:
    """One process."""

    def __init__(self, python: str, environment: Mapping[str, str]) -> None:
        self.python, self.environment = python, environment
        self.stays = True
        self._socket, theirs = socket.socketpair()
        with theirs:
            channel = theirs.fileno()
            # Ctrl-C must not reach it before it can deal with that; it unblocks the signal itself.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._process = subprocess.Popen(
                    [python, str(_WORKER), str(channel)],
                    stdin=subprocess.DEVNULL,
                    env=dict(environment),
                    pass_fds=[channel],
                )
            except OSError:
                self._socket.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._socket.settimeout(LOOK)
        self._read = b""

    def run(self, argv: list[str], folder: str, log: str | None) -> Ended:
        """Run a script to its end.

        Raises:
            WorkerEnded: the process ended, or was ended, before it told.
        """
        begun = False
        request = json.dumps({"argv": argv, "cwd": folder, "log": log})
        try:
            self._send(request.encode() + b"\n")
            begun = self._line() == b"begun"
            answer = json.loads(self._line()) if begun else None
            if answer is not None:
                self.stays = answer.pop("stays")
                return Ended(**answer)
        except (OSError, EOFError, ValueError):
            pass
        self.stays = False
        raise WorkerEnded(self.end(), begun=begun)

    def interrupt(self) -> None:
        """Let a job end as after Ctrl-C, and the process with it."""
        self._process.terminate()

    def end(self) -> int:
        """Close the socket, and wait; kill what does not end. Returns the status of the process."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes up who waits for a line
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._socket.close()

    def end_by(self, until: float) -> None:
        """Wait for the process until a time of the monotonic clock, and kill it then."""
        try:
            self._process.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                if self._process.poll() is not None:
                    raise EOFError from None

    def _line(self) -> bytes:
        """The next line from the worker."""
        while b"\n" not in self._read:
            try:
                piece = self._socket.recv(65536)
            except TimeoutError:
                if self._process.poll() is None:
                    continue
                self._socket.setblocking(False)  # it may have told before it ended
                piece = self._socket.recv(65536)
            if not piece:
                raise EOFError
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line


class Workers:
    """All of one executor; at most as many as there are jobs at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[Worker] = set()
        self._idle: list[Worker] = []
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled

    def run(self, python: str, environment: Mapping[str, str], argv: list[str], folder: str, log: str | None) -> Ended:
        """Run a script in one of them, or in a new one.

        Args:
            python: the interpreter.
            environment: of the process; a job with another one gets another process.
            argv: script and arguments.
            folder: to run it in.
            log: file for standard error; None leaves it where Snakemake's goes.

        Raises:
            Cancelled: before the job began.
            WorkerEnded: while the job ran, or twice before it began.
            OSError: no process can be started.
        """
        for again in (True, False):
            worker = self._take(python, environment)
            try:
                return worker.run(argv, folder, log)
            except WorkerEnded as ended:
                if ended.begun or not again or self._cancelled:
                    raise
            finally:
                self._put_back(worker)
        raise AssertionError

    def _take(self, python: str, environment: Mapping[str, str]) -> Worker:
        with self._lock:
            if self._cancelled:
                raise Cancelled
            for place in reversed(range(len(self._idle))):
                if (self._idle[place].python, self._idle[place].environment) == (python, environment):
                    return self._idle.pop(place)
            other = self._idle.pop(0) if self._idle else None
            worker = Worker(python, environment)
            self._all.add(worker)
        if other is not None:
            self._end(other)
        return worker

    def _put_back(self, worker: Worker) -> None:
        with self._lock:
            if worker.stays and not self._cancelled:
                self._idle.append(worker)
                return
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)

    def end(self) -> None:
        """End those that wait for a job."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            self._end(worker)

    def cancel(self) -> None:
        """End all, and let no job begin any more. What does not end within some seconds is killed."""
        self._cancelled = True  # at once, also if another Ctrl-C comes
        with self._lock:
            workers = list(self._all)
        for worker in workers:
            worker.interrupt()
        until = time.monotonic() + PATIENCE
        for worker in workers:
            worker.end_by(until)
