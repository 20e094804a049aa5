"""Where everything in a cache lies is said in one module, and nothing from outside leads out of the cache."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.paths import CachePaths, of_store
from pe_data.errors import InvalidNameError
from pe_data.names.digests import sha256_bytes

SOURCE = Path(pe_data.__file__).parent
ROOT = Path("/cache")
PATHS = CachePaths(ROOT)
DIGEST = sha256_bytes(b"a")


def joins_below_a_cache(tree: ast.AST) -> Iterator[int]:
    """Lines with `….cache.root / …`, `cache_folder() / …` or a glob below one of them."""
    for node in ast.walk(tree):
        base = None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            base = node.left
        elif isinstance(node, ast.Attribute) and node.attr in ("glob", "rglob", "joinpath"):
            base = node.value
        if base is not None and re.search(r"\bcache\.root$|\bcache_folder\(\)$", ast.unparse(base)):
            yield node.lineno


def test_no_other_module_makes_a_path_below_a_cache() -> None:
    example = ast.parse("a = options.cache.root / 'x'\nb = (cache_folder()).glob('*')")
    assert list(joins_below_a_cache(example)) == [1, 2]
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path != SOURCE / "cache/paths.py"
        for line in joins_below_a_cache(ast.parse(path.read_text(encoding="utf-8")))
    ]
    entries = (SOURCE / "cache/entries.py").read_text(encoding="utf-8")
    assert found == []
    assert "self.root /" not in entries
    assert "self.root.glob" not in entries


@given(st.text(max_size=40))
def test_a_text_that_is_no_name_leads_nowhere(text: str) -> None:
    """Every path is below the cache, or there is none."""
    makers = (
        lambda: PATHS.beside(text, "asked"),
        lambda: PATHS.channel("store", text, "data", "latest", "seen"),
        lambda: PATHS.channel("store", "us", text, "latest", "seen"),
        lambda: PATHS.channel(text, "us", "data", "latest", "seen"),
        lambda: PATHS.revocations(text),
        lambda: PATHS.hub_stamp(Path(text)),
        lambda: PATHS.web_record(text),
        lambda: PATHS.fsck_state(text),
        lambda: of_store(PATHS.trust, text),
        lambda: PATHS.named(PATHS.beside(DIGEST, "h5"), text),
        lambda: Cache(ROOT).path(text, "h5"),
    )
    for make in makers:
        try:
            path = make()
        except InvalidNameError:
            continue
        assert ".." not in path.parts
        assert path.is_relative_to(ROOT)
        assert len(path.parts) <= len(ROOT.parts) + 4


@pytest.mark.parametrize("name", ["../x", "us/../../x", "", ".", "US", "us\n"])
def test_a_country_that_is_no_code_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        PATHS.channels_used(name)


def test_places_that_earlier_versions_wrote_to_are_the_same() -> None:
    """Of a store's channels and trust root, of the hub's and the web's records: what a cache holds stays found."""
    store = "s3://bucket/data"
    name = sha256_bytes(store.encode())
    assert PATHS.channel(f"{store}/", "us", "areas", "latest", "used") == ROOT / (
        f"channels/{name[:16]}/us/areas.latest.used.json"
    )
    assert of_store(PATHS.trust, store) == ROOT / "trust" / name[:16]
    assert PATHS.fsck_state(store) == ROOT / f"fsck/{name[:16]}.json"
    assert PATHS.web_record(store) == ROOT / f"web/{name}.json"
    assert PATHS.hub_stamp(Path("/hub/a")) == ROOT / f"hub/{sha256_bytes(b'/hub/a')}.stamp"
    assert PATHS.beside(DIGEST, "asked") == ROOT / f"artifacts/{DIGEST[:2]}/{DIGEST}.asked"
    assert PATHS.partial(DIGEST, "h5", "uk.user-1") == ROOT / f"artifacts/gated/uk.user-1/partial/{DIGEST}.h5.part"
