"""A process that runs Python scripts one after another, as if each had been started by itself: ``python worker.py FD``.

It gets jobs through one socket, a line of JSON each, and ends when the socket does. It stands alone: the standard
library, and nothing of Snakemake's. Modules that a script imports stay imported; that is the gain. A script itself,
and modules beside it, are new in each job, and what a job changed in the process is put back when it ends. Where that
is not possible (a thread that goes on, a child, an open socket, much memory) the process ends after the job, and the
next job gets a new one.
"""

import _locale
import ast
import builtins
import contextlib
import contextvars
import fcntl
import gc
import json
import os
import resource
import signal
import stat
import sys
import threading
import time
import types
import warnings
from typing import Any, NoReturn

MAX_PRIVATE_MB = 500
"""Memory of its own, without what is mapped from files, that a worker may hold between jobs."""

MAX_KEPT_FILES = 128
"""Open files that jobs may leave behind, all read-only: those that a library has mapped, and keeps."""

INTERRUPTED = 130
"""Exit status after an interrupt, as shells count it."""

_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_ABSENT = object()
_BUILTINS, _BUILTINS_BEFORE = vars(builtins), dict(vars(builtins))


class Worker:
    """Runs jobs, and knows what the process was like before them."""

    def __init__(self) -> None:
        self.running = False
        self._process = os.getpid()
        self._scripts: dict[str, tuple[bytes, types.CodeType]] = {}
        self._streams = [os.dup(number) for number in range(3)]
        self._before = Before()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job.

        Args:
            job: ``argv``, script first; ``cwd``; ``log``, a file for standard error, or None.

        Returns:
            ``status`` as of a process; ``wall`` and ``cpu`` in seconds; ``max_rss`` in MB, or None where the system
            does not tell; ``stays``: whether another job may follow.
        """
        started, used = time.perf_counter(), _cpu()
        peak_is_own = _forget_peak()
        self.running = True
        try:
            status = self._redirected(job)
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            self.running = False
        if os.getpid() != self._process:
            os._exit(status)  # a child that the script forked, and that has come to its end
        stays = self._before.restore() and status != INTERRUPTED
        memory = _memory()
        stays = stays and memory.get("RssAnon", 0.0) <= MAX_PRIVATE_MB
        return {
            "status": status,
            "wall": time.perf_counter() - started,
            "cpu": _cpu() - used,
            "max_rss": memory.get("VmHWM") if peak_is_own else None,
            "stays": stays,
        }

    def _redirected(self, job: dict[str, Any]) -> int:
        """Run with standard error in the job's log, which is closed when this returns."""
        try:
            os.chdir(job["cwd"])
            if job["log"] is not None:
                log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
                os.dup2(log, 2)
                os.close(log)
        except OSError as error:
            print(f"error: {error.filename}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
            return 1
        try:
            return self._script(job["argv"])
        finally:
            for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()  # type: ignore[union-attr]
            for number, stream_now in enumerate(self._streams):
                os.dup2(stream_now, number)

    def _script(self, argv: list[str]) -> int:
        """Run a script as ``__main__``; the status that Python would end with."""
        path = os.path.abspath(argv[0])
        folder = os.path.dirname(os.path.realpath(path))
        sys.argv[:] = argv
        sys.path.insert(0, folder)
        try:
            code = self._code(path, folder)
            with warnings.catch_warnings():
                contextvars.copy_context().run(_execute, code, path)
        except SystemExit as end:
            return _status_of(end)
        except KeyboardInterrupt:
            _print_exception()
            return INTERRUPTED
        except BaseException:
            _print_exception()
            return 1
        finally:
            _forget_modules_of(folder)
        return 0

    def _code(self, path: str, folder: str) -> types.CodeType:
        """A script, compiled once. What it imports is imported and noted first, as no work of the job."""
        with open(path, "rb") as stream:
            source = stream.read()
        known = self._scripts.get(path)
        if known is not None and known[0] == source:
            return known[1]
        tree = ast.parse(source, path)
        code = compile(tree, path, "exec", dont_inherit=True)
        for statement in tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom) and not _is_beside(statement, folder):
                alone = ast.Module([statement], [])
                with contextlib.suppress(Exception):  # the job itself will say
                    exec(compile(alone, path, "exec", dont_inherit=True), {"__name__": "__warm__"})
        self._before.note_modules()
        gc.collect()
        gc.freeze()  # what is there now stays; the collection after each job looks at what is new
        self._scripts[path] = source, code
        return code


class Before:
    """What a process is like between jobs, and how to make it so again."""

    def __init__(self) -> None:
        self._environ = dict(os.environ)
        self._argv, self._path = sys.argv[:], sys.path[:]
        self._main = sys.modules["__main__"]
        self._signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._limits = {limit: resource.getrlimit(limit) for limit in _LIMITS}
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._locale = _locale.setlocale(_locale.LC_ALL, None)
        self._recursion, self._switch = sys.getrecursionlimit(), sys.getswitchinterval()
        self._collector = gc.isenabled(), gc.get_threshold()
        self._modules: dict[str, tuple[types.ModuleType, dict[str, Any]]] = {}
        self._files = _open_files()
        self.note_modules()

    def note_modules(self) -> None:
        """Note what the names in all modules are bound to."""
        for name, module in list(sys.modules.items()):
            if name == "__main__" or not isinstance(module, types.ModuleType):
                continue
            if name not in self._modules or self._modules[name][0] is not module:
                self._modules[name] = module, dict(vars(module))

    def restore(self) -> bool:
        """Put everything back; False when something of the job goes on."""
        os.chdir("/")
        sys.modules["__main__"] = self._main
        self._restore_modules()
        sys.argv[:], sys.path[:] = self._argv, self._path
        if os.environ != self._environ:
            os.environ.clear()
            os.environ.update(self._environ)
            time.tzset()
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._signals.items():
            if signal.getsignal(number) != handler and handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.umask(self._umask)
        if _locale.setlocale(_locale.LC_ALL, None) != self._locale:
            _locale.setlocale(_locale.LC_ALL, self._locale)
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switch)
        if (gc.isenabled(), gc.get_threshold()) != self._collector:
            (gc.enable if self._collector[0] else gc.disable)()
            gc.set_threshold(*self._collector[1])
        gc.collect()  # a cycle with a few large arrays in it would wait for many small ones
        _seed_anew()
        _empty_logging()
        streams_are_open = not any(stream is None or stream.closed for stream in (sys.stdin, sys.stdout, sys.stderr))
        return self._restore_limits() and streams_are_open and not _goes_on() and self._files_are_harmless()

    def _restore_modules(self) -> None:
        """Bind the names in modules as before the job; what a module that is new has bound stays."""
        for name, (module, names) in self._modules.items():
            sys.modules[name] = module
            now = vars(module)
            try:
                if now == names:
                    continue
            except Exception:  # two arrays, say, do not compare to one truth
                pass
            for own, value in names.items():
                if now.get(own, _ABSENT) is not value:
                    now[own] = value
            for own in [own for own in now if own not in names]:
                if sys.modules.get(f"{name}.{own}") is now[own]:
                    names[own] = now[own]  # a part of a package, imported by the job
                else:
                    del now[own]
        for name in [name for name, module in sys.modules.items() if module is None]:
            del sys.modules[name]  # it would forbid an import
        self.note_modules()

    def _restore_limits(self) -> bool:
        try:
            for limit, (soft, hard) in self._limits.items():
                if resource.getrlimit(limit) != (soft, hard):
                    resource.setrlimit(limit, (soft, hard))
        except (OSError, ValueError):  # a hard limit cannot be raised again
            return False
        return True

    def _files_are_harmless(self) -> bool:
        """Whether the files that jobs have left open can be read only; these are what a library has mapped."""
        left = _open_files() - self._files
        return len(left) <= MAX_KEPT_FILES and all(map(_is_read_only, left))


def _execute(code: types.CodeType, path: str) -> None:
    """Run a script in a ``__main__`` of its own."""
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    try:
        exec(code, vars(module))
    finally:
        _BUILTINS.update(_BUILTINS_BEFORE)  # what follows needs them
        _join_threads()
        vars(module).clear()  # else it lives until the garbage collector comes, with all that it holds


def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)  # noqa: T201
    return 1


def _print_exception() -> None:
    """As Python does it at the end of a process, without the lines of this module."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if kind is not None and error is not None:
        with contextlib.suppress(Exception):
            sys.excepthook(kind, error.with_traceback(trace), trace)


def _join_threads() -> None:
    """Wait for threads as the end of a process does; not for daemons."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def _goes_on() -> bool:
    """Whether a thread or a child process of a job is still there."""
    if threading.active_count() > 1:
        return True
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _is_beside(statement: ast.Import | ast.ImportFrom, folder: str) -> bool:
    """Whether a module is imported that lies beside the script."""
    names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else [statement.module or ""]
    roots = {name.partition(".")[0] for name in names}
    return any(os.path.exists(os.path.join(folder, end)) for root in roots for end in (root, f"{root}.py"))


def _forget_modules_of(folder: str) -> None:
    """Modules beside the script are part of it, and new in each job."""
    beside = set()
    for name, module in sys.modules.items():
        file = getattr(module, "__file__", None)
        if "." not in name and isinstance(file, str) and file.endswith((".py", ".pyc")) and name != "__main__":
            own = os.path.dirname(file)
            if os.path.basename(file).startswith("__init__."):
                own = os.path.dirname(own)
            if own == folder:
                beside.add(name)
    if beside:
        for name in list(sys.modules):
            if name.partition(".")[0] in beside:
                del sys.modules[name]


def _seed_anew() -> None:
    """Random numbers as in a process that has just begun."""
    if (random := sys.modules.get("random")) is not None:
        random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


def _empty_logging() -> None:
    """No handler of a job's for the next."""
    logging = sys.modules.get("logging")
    if logging is not None and (logging.root.handlers or logging.root.level != logging.WARNING):
        logging.root.handlers.clear()
        logging.root.setLevel(logging.WARNING)
    if logging is not None and logging.root.manager.disable:
        logging.disable(logging.NOTSET)


def _open_files() -> set[int]:
    """Numbers of open files."""
    try:
        listed = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return set()
    return {number for number in listed if _is_open(number)}  # not that of the listing


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_read_only(number: int) -> bool:
    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    return flags & os.O_ACCMODE == os.O_RDONLY and stat.S_ISREG(os.fstat(number).st_mode)


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _forget_peak() -> bool:
    """Let the peak of the memory begin anew; False where the system has no such thing."""
    try:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    except OSError:
        return False
    return True


def _memory() -> dict[str, float]:
    """``VmHWM``, the peak, and ``RssAnon``, what is not mapped from files, in MB; empty where it is not told."""
    found = {}
    try:
        with open("/proc/self/status") as stream:
            for line in stream:
                if line.startswith(("VmHWM:", "RssAnon:")):
                    name, _, size = line.partition(":")
                    found[name] = int(size.split()[0]) / 1024
    except (OSError, ValueError):
        return {}
    return found


def serve(channel: int) -> NoReturn:
    """Run the jobs that come through a socket, until it ends."""
    os.set_inheritable(channel, False)
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and sys.path[0] == here:
        del sys.path[0]
    del sys.argv[1:]

    worker: Worker | None = None

    def interrupt(*_: object) -> None:
        if worker is None or not worker.running:
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt

    # A handler, and not SIG_IGN, which children of a job would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    worker = Worker()
    with contextlib.suppress(OSError), open(channel, "rb", closefd=False) as requests:
        for line in requests:
            os.write(channel, b"begun\n")
            ended = worker.run(json.loads(line))
            os.write(channel, json.dumps(ended).encode() + b"\n")
            if not ended["stays"]:
                break
    os._exit(0)  # whatever a job has left running


if __name__ == "__main__":
    serve(int(sys.argv[1]))
