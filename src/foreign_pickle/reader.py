"""Unpickling without trust.

A pickle is a program. This one may only build plain containers, scalars and numpy arrays; scipy, pandas and Arrow
objects become inert :class:`Placeholder` records of what the pickle said about them, and any other name is refused.

Rules:

* No name of the pickle is ever imported. Each is looked up in a table here, by exact module and name.
* No numpy object takes part while the pickle runs: numpy's ``__setstate__`` methods trust their arguments, and a
  crafted dtype makes bytes into object pointers. Arrays and dtypes are assembled by :class:`_Array` and
  :class:`_Dtype`, which check shape, type and length first, and become numpy arrays after the pickle has ended.
* Nothing that the pickle can reach lets itself be changed by it, save what it built itself.
* No array is allocated that the pickle does not carry the bytes of. (A pickle can still make the standard library's
  unpickler allocate a large memo table: that ends in an error or a killed process, never in foreign code.)
"""

import math
import pickle
import re
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

_SCALARS: Final = frozenset({str, bytes, bytearray, int, float, complex, bool, type(None), slice})

_SIMPLE_DTYPE = re.compile(r"b1|[iu][1248]|f(?:[248]|1[26])|c(?:8|16|32)|[SU][1-9]\d{0,8}|[Mm]8|O8?")
_TIME_UNIT = re.compile(r"Y|M|W|D|h|m|s|ms|us|μs|ns|ps|fs|as")

_PLACEHOLDERS: Final = tuple(
    (re.compile(rf"{module}(\.\w+)*"), re.compile(names))
    for module, names in (
        (r"scipy\.sparse", r"(csr|csc|coo|bsr|dia|lil)_(matrix|array)"),
        (
            "pandas",
            r"DataFrame|Series|Flags|Categorical|Timestamp|Timedelta|NaTType|_nat_unpickle|NA|FrozenList"
            r"|(_new_)?\w*Index|\w+Dtype|\w+Array|\w*BlockManager|\w*Block|_unpickle_block"
            r"|__pyx_unpickle_\w+|_timestamp_unpickle|_timedelta_unpickle",
        ),
        ("pyarrow", r"_restore_array|type_for_alias|py_buffer|chunked_array|\w+Array|\w+Type"),
        ("datetime", "date|time|datetime|timedelta|timezone"),
        ("pathlib", "(Pure)?(Posix|Windows)?Path"),
    )
)
"""Modules and names, whole, of objects that hold data and that a calibration package may contain."""

_MALFORMED: Final = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors of the standard library for bytes that are no pickle."""


class ForeignPickleError(ValueError):
    """A pickle is damaged, asks for a forbidden name, or has other content than expected."""


def load(stream: IO[bytes], where: str) -> object:
    """Unpickle from ``stream`` under the rules above.

    Args:
        stream: positioned at the start of the pickle; it is read to the pickle's end.
        where: file (and field), for errors.

    Returns:
        Plain containers, scalars, numpy arrays and :class:`Placeholder` objects.

    Raises:
        ForeignPickleError: the pickle asks for a name that is not allowed, or misuses one that is; or the bytes are no
            complete pickle.
    """
    try:
        return _resolve(_Unpickler(stream).load(), {})
    except _Refused as error:
        raise ForeignPickleError(
            f"{where}: expected numpy arrays, plain containers and scipy or pandas data, found {error}. Nothing "
            "of it was run; do not open the file elsewhere, get it from its maker again."
        ) from None
    except _MALFORMED as error:
        raise ForeignPickleError(
            f"{where}: expected a complete pickle, found {f'{type(error).__name__}: {error}'[:200]}. The file is "
            "damaged or something else; make or copy it again."
        ) from error


class _Refused(Exception):
    """The pickle asked for a forbidden name or call."""


class _Sealed(type):
    """Metaclass of classes that a pickle can name but not change."""

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        raise _Refused(f"an attempt to change {cls.__name__}.{name}")


class Placeholder(metaclass=_Sealed):
    """An object that is not built here: its name, the arguments of its call, and its state."""

    __slots__ = ("args", "kwargs", "state")
    origin: ClassVar[str] = ""
    """Module and name of the class or function that the pickle asked for."""
    name: ClassVar[str] = ""
    """The name alone."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    state: object

    def __new__(cls, *args: object, **kwargs: object) -> "Placeholder":
        self = super().__new__(cls)
        self.args, self.kwargs, self.state = args, kwargs, None
        return self

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"<placeholder for {self.origin}>"


class _Function:
    """A callable that a pickle can name. It calls a function of this module and cannot be changed."""

    __slots__ = ("_function", "_label")

    def __init__(self, label: str, function: Callable[..., object]) -> None:
        self._label = label
        self._function = function

    def __call__(self, *args: object) -> object:
        return self._function(*args)

    def __setstate__(self, state: object) -> NoReturn:
        raise _Refused(f"an attempt to change {self._label}")


class _Dtype:
    """A dtype in the making: simple types only, none with fields."""

    __slots__ = ("_code", "_order", "_unit")

    def __init__(self, code: object) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _SIMPLE_DTYPE.fullmatch(text):
            raise _Refused(f"numpy dtype {code!r}"[:80])
        self._code = text
        self._order = "="
        self._unit = ""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 8 or any(part is not None for part in state[2:5]):
            raise _Refused(f"a numpy dtype {self._code} with fields")
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|"):
            raise _Refused(f"a numpy dtype of byte order {order!r}"[:80])
        self._order = order
        if self._code in ("M8", "m8") and len(state) > 8:
            self._unit = _time_unit(state[8])

    @property
    def holds_objects(self) -> bool:
        return self._code.startswith("O")

    def dtype(self) -> np.dtype[np.generic]:
        if self.holds_objects:
            return np.dtype(np.object_)
        return np.dtype(f"{self._order}{self._code}{self._unit}")


def _time_unit(metadata: object) -> str:
    """``[ns]`` from the metadata of a datetime dtype, ``({}, (b"ns", 1, 1, 1))``."""
    match metadata:
        case (_, (bytes() | str() as unit, int() as count, *_)):
            text = unit.decode("utf-8") if isinstance(unit, bytes) else unit
            if text == "generic":
                return ""
            if _TIME_UNIT.fullmatch(text) and 0 < count < 10**6:
                return f"[{count}{text}]"
    raise _Refused("a numpy datetime dtype of unknown unit")


class _Array:
    """An array in the making; ``value`` is set once shape, type and length agree."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: NDArray[np.generic] | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _Dtype() as kind, fortran, data) if self.value is None:
                self.value = _array(data, kind, shape, bool(fortran))
            case _:
                raise _Refused("a numpy array with a state that numpy does not write")


def _array(data: Any, kind: _Dtype, shape: tuple[object, ...], fortran: bool) -> NDArray[np.generic]:
    sizes = tuple(size for size in shape if type(size) is int and size >= 0)
    if sizes != shape or len(sizes) > 32:
        raise _Refused(f"a numpy array of shape {shape!r}"[:80])
    count = math.prod(sizes)
    dtype = kind.dtype()
    if kind.holds_objects:
        if type(data) is not list or len(data) != count:
            raise _Refused(f"a numpy object array of shape {shape} without its {count:,} items")
        # numpy lists the items row by row, whatever the order in memory.
        return np.fromiter(data, dtype=np.object_, count=count).reshape(sizes)
    if type(data) not in (bytes, bytearray) or len(data) != count * dtype.itemsize:
        raise _Refused(f"a numpy array of {dtype} and shape {shape} without its bytes")
    if not count:
        return np.zeros(sizes, dtype=dtype)
    return np.frombuffer(bytes(data), dtype=dtype).reshape(sizes, order="F" if fortran else "C")


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    if subtype is not _NDARRAY:
        raise _Refused("a numpy array of a class that is no plain array")
    return _Array()


def _from_buffer(data: object, kind: object, shape: object, order: object = "C") -> _Array:
    if not isinstance(kind, _Dtype) or kind.holds_objects:
        raise _Refused("a numpy array over a buffer of unknown type")
    array = _Array()
    array.value = _array(data, kind, shape if isinstance(shape, tuple) else (shape,), order == "F")
    return array


def _scalar(kind: object, data: object = None) -> object:
    if not isinstance(kind, _Dtype) or kind.holds_objects:
        raise _Refused("a numpy scalar of unknown type")
    return _array(data, kind, (1,), False)[0]


def _dtype(code: object, *_: object) -> _Dtype:
    return _Dtype(code)


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    if isinstance(text, str) and encoding in ("latin1", "latin-1", "utf-8", "ascii"):
        return text.encode(str(encoding))
    raise _Refused("_codecs.encode of something else than text")


def _bytes(data: object = b"", encoding: object = None) -> bytes:
    if isinstance(data, str):
        return _encode(data, encoding)
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise _Refused("a byte string made of something else than bytes")


def _items(items: object = ()) -> Iterable[object]:
    if isinstance(items, list | tuple | set | frozenset | dict):
        return items
    raise _Refused("a container made of something else than a plain container")


def _pairs(items: object = ()) -> dict[object, object]:
    return dict(_items(items))  # type: ignore[arg-type]


def _new(kind: object, base: object = None, state: object = None) -> Placeholder:
    """``copyreg._reconstructor``, as protocols 0 and 1 call it."""
    if isinstance(kind, _Sealed) and issubclass(kind, Placeholder) and state is None:
        return kind()
    raise _Refused("copyreg._reconstructor of a class that is not allowed")


def _uncallable(*_: object) -> NoReturn:
    raise _Refused("a class called that may only be named")


_NDARRAY = _Function("numpy.ndarray", _uncallable)

_NUMPY: Final[dict[str, Callable[..., object]]] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}

_BUILTINS: Final[dict[str, Callable[..., object]]] = {
    "bytearray": _bytes,
    "bytes": _bytes,
    "complex": complex,
    "dict": _pairs,
    "frozenset": lambda items=(): frozenset(_items(items)),
    "list": lambda items=(): list(_items(items)),
    "object": _uncallable,
    "set": lambda items=(): set(_items(items)),
    "slice": slice,
    "tuple": lambda items=(): tuple(_items(items)),
}

_FUNCTIONS: Final[dict[tuple[str, str], _Function]] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Function("numpy.dtype", _dtype),
    ("_codecs", "encode"): _Function("_codecs.encode", _encode),
    ("collections", "OrderedDict"): _Function("collections.OrderedDict", _pairs),
    **{(module, "_reconstructor"): _Function("copyreg._reconstructor", _new) for module in ("copyreg", "copy_reg")},
    **{
        (f"numpy.{core}.{module}", name): _Function(f"numpy {name}", function)
        for core in ("core", "_core")
        for (module, name), function in ((key.split("."), f) for key, f in _NUMPY.items())
    },
    **{
        (module, name): _Function(name, function)
        for module in ("builtins", "__builtin__")
        for name, function in _BUILTINS.items()
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        allowed = _FUNCTIONS.get((module, name))
        if allowed is not None:
            return allowed
        if any(m.fullmatch(module) and n.fullmatch(name) for m, n in _PLACEHOLDERS):
            namespace = {"__slots__": (), "origin": f"{module}.{name}", "name": name}
            return _Sealed(name, (Placeholder,), namespace)
        raise _Refused(f"a request for {module}.{name}"[:200])

    def persistent_load(self, pid: object) -> NoReturn:
        raise _Refused("a reference to an object outside the pickle")


def _resolve(value: object, done: dict[int, tuple[object, object]]) -> object:
    """``value`` with the arrays and dtypes in the making replaced by numpy's; containers are changed in place.

    ``done`` maps the id of what was met to itself (which keeps the id valid) and to its replacement, so that shared
    and cyclic structures take one visit each.
    """
    if type(value) in _SCALARS or isinstance(value, np.generic):
        return value
    if id(value) in done:
        return done[id(value)][1]
    result: object = value
    match value:
        case _Dtype():
            result = value.dtype()
        case _Array():
            if value.value is None:
                raise _Refused("a numpy array without data")
            array: NDArray[Any] = value.value
            done[id(value)] = value, array
            result = array
            if array.dtype.hasobject and not _SCALARS.issuperset(map(type, array.ravel().tolist())):
                for place, item in np.ndenumerate(array):
                    array[place] = _resolve(item, done)
        case tuple():
            result = tuple(_resolve(item, done) for item in value)
        case list():
            done[id(value)] = value, value
            if not _SCALARS.issuperset(map(type, value)):
                value[:] = [_resolve(item, done) for item in value]
        case dict():
            done[id(value)] = value, value
            for key in value:
                value[key] = _resolve(value[key], done)
        case Placeholder():
            done[id(value)] = value, value
            value.args = tuple(_resolve(item, done) for item in value.args)
            value.kwargs = {key: _resolve(item, done) for key, item in value.kwargs.items()}
            value.state = _resolve(value.state, done)
        case set() | frozenset() if not _SCALARS.issuperset(map(type, value)):
            raise _Refused("a set of something else than scalars")
        case _Function():
            result = value._label
    done[id(value)] = value, result
    return result
