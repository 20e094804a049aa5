"""Uniform draws of household clones, computed for whole arrays.

A draw depends only on the variable, the source household's id, the clone index and the unit's position in the
household, not on the area, the weights or the order of the file. The text ``"{variable}:{household_id}:{clone}"`` is
hashed to a seed, and the household's units take the successive values of ``numpy.random.default_rng(seed).random()``.

One generator object per household clone would cost about 20 microseconds. The three steps (hash of the text,
``SeedSequence``, PCG64 XSL-RR 128/64) are integer arithmetic that numpy documents as stable, so they are done here on
arrays; the doubles are the same bit for bit. 128-bit numbers are pairs of uint64 arrays, and everything works in chunks
that stay in the processor's cache.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.inputs.chunks import chunks

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_MASK32: Final = 0xFFFFFFFF
_MASK64: Final = 0xFFFFFFFFFFFFFFFF

# --- hash of the key text -------------------------------------------------------------------------------------------

_HASH_BASE: Final = 31
_HASH_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)
_POWERS: Final[U64] = np.array([pow(_HASH_BASE, k, 1 << 64) for k in range(21)], dtype=np.uint64)


class KeySuffix(Struct, frozen=True):
    """The effect of ``":{household_id}:{clone}"`` on a hash, computed once for all programmes of a file.

    Appending this text to a text with hash ``x`` gives the hash ``x * factor + addend`` (mod 2**64).
    """

    factor: U64
    """uint64 (n,): 31 to the length of the text."""
    addend: U64
    """uint64 (n,): hash of the text alone."""


def key_suffix(household_ids: NDArray[np.integer], clones: NDArray[np.integer]) -> KeySuffix:
    """Hash the variable-independent end of the keys.

    Args:
        household_ids: integer (n,), ids of the source households, not negative.
        clones: integer (n,), clone indices, not negative.

    Raises:
        InputError: an id or clone index is negative or not an integer, or the lengths differ.
    """
    if household_ids.shape != clones.shape or household_ids.ndim != 1:
        raise InputError(
            f"household_ids and clones: shape: expected two vectors of one length, found {household_ids.shape} "
            f"and {clones.shape}"
        )
    house_factor, house_hash = _decimal_hash("household_ids", household_ids)
    clone_factor, clone_hash = _decimal_hash("clones", clones)
    colon, base = np.uint64(ord(":")), np.uint64(_HASH_BASE)
    # ":" + id, then ":" + clone
    house_hash += colon * house_factor
    clone_hash += colon * clone_factor
    clone_factor *= base
    house_hash *= clone_factor
    house_hash += clone_hash
    house_factor *= base
    house_factor *= clone_factor
    return KeySuffix(factor=house_factor, addend=house_hash)


def _decimal_hash(where: str, numbers: NDArray[np.integer]) -> tuple[U64, U64]:
    """31 to the number of decimal digits, and the hash of the decimal text, of every number."""
    if numbers.dtype.kind not in "iu":
        raise InputError(f"{where}: dtype: expected integers, found {numbers.dtype}")
    if numbers.size and int(numbers.min()) < 0:
        raise InputError(f"{where}: expected numbers from 0 up, found {int(numbers.min())}")
    rest = numbers.astype(np.uint64)
    largest = int(rest.max()) if rest.size else 0
    total = np.zeros(rest.shape, dtype=np.uint64)
    factor = np.full(rest.shape, _HASH_BASE, dtype=np.uint64)
    ten, zero = np.uint64(10), np.uint64(ord("0"))
    for k in range(len(str(largest))):
        present = rest > 0 if k else np.ones(rest.shape, dtype=np.bool_)
        tenth = rest // ten  # faster than divmod, which numpy does not vectorise
        digit = rest - tenth * ten
        rest = tenth
        digit += zero
        digit *= _POWERS[k]
        digit *= present
        total += digit
        np.copyto(factor, _POWERS[k + 1], where=present)
    return factor, total


def suffix_seeds(variable: str, suffix: KeySuffix) -> U64:
    """Seed of every household clone for one variable.

    Returns:
        uint64 (n,), each below 2**63.
    """
    start = 0
    for byte in variable.encode("ascii"):
        start = (_HASH_BASE * start + byte) & _MASK64
    x = suffix.factor * np.uint64(start)
    x += suffix.addend
    x ^= x >> np.uint64(33)
    x *= _HASH_MIX
    x ^= x >> np.uint64(33)
    x &= np.uint64((1 << 63) - 1)
    return x


def seeds(variable: str, household_ids: NDArray[np.integer], clones: NDArray[np.integer]) -> U64:
    """Seed of every household clone: the hash of ``"{variable}:{household_id}:{clone}"`` mod 2**63.

    Args:
        variable: ASCII name of the take-up variable.
        household_ids: integer (n,), ids of the source households.
        clones: integer (n,), clone indices.

    Returns:
        uint64 (n,).
    """
    return suffix_seeds(variable, key_suffix(household_ids, clones))


# --- SeedSequence ---------------------------------------------------------------------------------------------------

_POOL_SIZE: Final = 4
_INIT_A: Final = 0x43B0D7E5
_MULT_A: Final = 0x931E8875
_INIT_B: Final = 0x8B51F9DD
_MULT_B: Final = 0x58F38DED
_MIX_LEFT: Final = np.uint32(0xCA01F9DD)
_MIX_RIGHT: Final = np.uint32(0x4973F715)
_HALF_WORD: Final = np.uint32(16)


class _HashMix:
    """SeedSequence's running hash. Its constant changes with every word, in the same way for every seed."""

    def __init__(self, constant: int, multiplier: int) -> None:
        self._constant = constant
        self._multiplier = multiplier

    def __call__(self, words: U32) -> U32:
        out = words ^ np.uint32(self._constant)
        self._constant = (self._constant * self._multiplier) & _MASK32
        out *= np.uint32(self._constant)
        out ^= out >> _HALF_WORD
        return out


def _seed_words(seed: U64) -> tuple[U64, U64, U64, U64]:
    """``SeedSequence(seed).generate_state(4, uint64)`` for every seed."""
    # A seed below 2**32 is one word for numpy, two words (the upper one zero) here: the pool is padded with zeros, so
    # both give the same.
    absent = np.zeros(seed.shape, dtype=np.uint32)
    entropy = [seed.astype(np.uint32), (seed >> np.uint64(32)).astype(np.uint32), absent, absent]
    mixer = _HashMix(_INIT_A, _MULT_A)
    pool = [mixer(words) for words in entropy]
    for source in range(_POOL_SIZE):
        for target in range(_POOL_SIZE):
            if source != target:
                hashed = mixer(pool[source])
                hashed *= _MIX_RIGHT
                mixed = pool[target]
                mixed *= _MIX_LEFT
                mixed -= hashed
                mixed ^= mixed >> _HALF_WORD
    output = _HashMix(_INIT_B, _MULT_B)
    halves = [output(pool[k % _POOL_SIZE]) for k in range(2 * _POOL_SIZE)]
    first, second, third, fourth = (
        halves[2 * k].astype(np.uint64) | (halves[2 * k + 1].astype(np.uint64) << np.uint64(32))
        for k in range(_POOL_SIZE)
    )
    return first, second, third, fourth


# --- PCG64 ----------------------------------------------------------------------------------------------------------

_PCG_HIGH: Final = np.uint64(0x2360ED051FC65DA4)
_PCG_LOW: Final = np.uint64(0x4385DF649FCCF645)
_PCG_LOW_UPPER: Final = _PCG_LOW >> np.uint64(32)
_PCG_LOW_LOWER: Final = _PCG_LOW & np.uint64(_MASK32)
_LOW32: Final = np.uint64(_MASK32)
_SHIFT32: Final = np.uint64(32)
_ONE: Final = np.uint64(1)
_DOUBLE: Final = 2.0**-53


def _advance(high: U64, low: U64, inc_high: U64, inc_low: U64) -> None:
    """One step of the generator, in place: state = state * multiplier + increment (mod 2**128)."""
    lower = low & _LOW32
    upper = low >> _SHIFT32
    # upper 64 bits of low * _PCG_LOW, by 32-bit halves
    carry = lower * _PCG_LOW_LOWER
    carry >>= _SHIFT32
    cross = upper * _PCG_LOW_LOWER
    cross += carry
    lower *= _PCG_LOW_UPPER
    lower += cross & _LOW32
    lower >>= _SHIFT32
    cross >>= _SHIFT32
    upper *= _PCG_LOW_UPPER
    upper += cross
    upper += lower
    high *= _PCG_LOW
    high += upper
    high += low * _PCG_HIGH
    low *= _PCG_LOW
    _add(high, low, inc_high, inc_low)


def _add(high: U64, low: U64, other_high: U64, other_low: U64) -> None:
    """In place: add the second 128-bit number to the first."""
    low += other_low
    high += other_high
    high += low < other_low


def _output(high: U64, low: U64) -> NDArray[np.float64]:
    """The double of a state: XSL-RR to 64 bits, and the upper 53 of these."""
    rotation = high >> np.uint64(58)
    word = high ^ low
    out = word >> rotation
    # rotating by 0 must not shift by 64, which C leaves undefined
    np.subtract(np.uint64(64), rotation, out=rotation)
    rotation &= np.uint64(63)
    word <<= rotation
    out |= word
    out >>= np.uint64(11)
    return out.astype(np.float64) * _DOUBLE


def uniforms(seed: U64, counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """The first ``counts[i]`` values of ``numpy.random.default_rng(seed[i]).random()``, for every i, concatenated.

    Args:
        seed: uint64 (n,).
        counts: integer (n,), number of values for each seed; 0 is allowed.

    Returns:
        float64 (counts.sum(),), in [0, 1).

    Raises:
        InputError: the lengths differ or a count is negative.
    """
    if seed.shape != counts.shape or seed.ndim != 1:
        raise InputError(f"counts: shape: expected one count for each of the {seed.shape} seeds, found {counts.shape}")
    if counts.size and int(counts.min()) < 0:
        raise InputError(f"counts: expected numbers from 0 up, found {int(counts.min())}")
    seed = seed.astype(np.uint64, copy=False)
    ends = np.cumsum(counts, dtype=np.int64)
    out = np.empty(int(ends[-1]) if ends.size else 0, dtype=np.float64)
    starts = ends - counts
    for part in chunks(seed.size):
        _fill(out, seed[part], counts[part], starts[part])
    return out


def _fill(out: NDArray[np.float64], seed: U64, counts: NDArray[np.integer], starts: NDArray[np.int64]) -> None:
    """Write the values of one chunk of seeds at their places in ``out``."""
    high, low, seq_high, seq_low = _seed_words(seed)
    inc_high = (seq_high << _ONE) | (seq_low >> np.uint64(63))
    inc_low = (seq_low << _ONE) | _ONE
    # pcg_setseq_128_srandom: from state 0, step, add the initial state, step
    _add(high, low, inc_high, inc_low)
    _advance(high, low, inc_high, inc_low)
    drawn = 0
    while True:
        left = np.flatnonzero(counts > drawn)  # positions: six selections by a mask take several times as long
        if left.size == 0:
            return
        if left.size < counts.size:
            high, low, inc_high, inc_low = high[left], low[left], inc_high[left], inc_low[left]
            counts, starts = counts[left], starts[left]
        _advance(high, low, inc_high, inc_low)
        out[starts + drawn] = _output(high, low)
        drawn += 1
