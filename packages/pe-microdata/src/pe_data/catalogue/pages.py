"""The pages of a catalogue, from what was read of a store."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from pe_data.catalogue import lines, places
from pe_data.catalogue.columns import ColumnSet, ColumnSets
from pe_data.catalogue.district_map import FEW, district_map, entities_of
from pe_data.catalogue.read import Content, Source, Version
from pe_data.documents.collection import Member, demonstrations
from pe_data.documents.manifest import Manifest
from pe_data.documents.told import called, facts_of
from pe_data.pages.templates import SHARED, environment, script_json, style, text_of
from pe_data.read.diff import SHOWN, compare_sides
from pe_data.read.diff_text import sections, summary
from pe_data.read.history import SINGLE
from pe_data.texts import human_size

OWN = "pe_data.catalogue"

Facts = list[tuple[str, str]]
"""Labels and values."""


class Page(NamedTuple):
    """One page, or a file that pages load."""

    path: str
    text: str


class Found(NamedTuple):
    """What the search finds: a variable or a file."""

    title: str
    words: str
    dataset: str
    path: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the first page says of a public dataset.

    Attributes:
        row: Its line in the list.
        map: Of its districts; empty without one.
        found: What can be searched of its newest version.
    """

    row: Mapping[str, Any]
    map: Mapping[str, Any]
    found: Sequence[Found]


@dataclass(frozen=True)
class Maker:
    """Makes pages.

    Attributes:
        title: Of the whole catalogue.
        store: Address of the store in lines that fetch; None if readers have it in their configuration.
    """

    title: str
    store: str | None

    @cached_property
    def _templates(self) -> Any:
        made = environment(OWN)
        made.globals.update(human_size=human_size, anchor=places.anchor, site=self.title)
        made.filters["data"] = script_json
        return made

    def page(self, template: str, path: str, **values: Any) -> Page:
        """One page of a template."""
        return Page(path, self._templates.get_template(template).render(root=places.root(path), **values))

    def start(self, datasets: Sequence[Shown], gated: int) -> Page:
        """The first page; the first dataset with districts has its map there."""
        mapped = next((one for one in datasets if one.map), None)
        rows = [one.row for one in datasets]
        return self.page("start.html", places.START, rows=rows, gated=gated, mapped=mapped)


def assets(datasets: Iterable[Shown]) -> list[Page]:
    """Style, script and index, which all pages share."""
    index = [one for shown in datasets for one in shown.found]
    return [
        Page(f"{places.ASSETS}/style.css", style() + text_of("site.css", OWN)),
        Page(f"{places.ASSETS}/site.js", text_of("map.js", SHARED) + text_of("site.js", OWN)),
        Page(f"{places.ASSETS}/search.js", f"var catalogue_index = {script_json(index)};\n"),
    ]


class DatasetPages:
    """The pages of one public dataset: iterate over them, then ask for `shown`.

    Raises:
        WithheldError: a file of it is gated, and none of the pages may be shown.
        PeDataError: as `Source.contents`.
    """

    def __init__(self, maker: Maker, source: Source) -> None:
        self.maker, self.source = maker, source
        self.name = f"{source.country}/{source.dataset}"
        self.page = places.dataset(source.country, source.dataset)
        self._sets = ColumnSets()
        self._changes: dict[int, str] = {}
        """Version → what changed; those that the store still has."""
        self._newest: Content | None = None
        self._paths = {
            one.body.version: places.members(source.country, source.dataset, one.body.version, one.rows)
            for one in source.versions
            if one.collection
        }

    def __iter__(self) -> Iterator[Page]:
        after: Content | None = None
        for content in self.source.contents():
            if content.version is self.source.versions[0]:
                self._newest = content
            if after is not None:
                yield from self._version(after, content)
            after = content
        if after is not None:
            yield from self._version(after, None)
        for version in self.source.versions:
            if not version.kept:
                yield self._render("missing.html", self.version_page(version), version=version)
        for columns in self._sets.found.values():
            yield self._columns(columns)
        yield self._dataset()

    @cached_property
    def shown(self) -> Shown:
        """For the first page, once the pages are made."""
        newest = self.source.versions[0]
        manifests = self._newest.manifests.values() if self._newest else ()
        row = {
            "name": self.name,
            "page": self.page,
            "version": newest.body.version,
            "published_at": newest.body.published_at,
            "files": len(newest.rows) if newest.kept else None,
            "size": newest.size_bytes if newest.kept else None,
            "years": _years(manifests),
            "licence": _several(one.licence for one in manifests),
            "revoked": newest.revoked,
        }
        return Shown(row, self._map, [*self._files_found(), *self._variables_found()])

    def version_page(self, version: Version) -> str:
        """Where a version stands."""
        return places.version(self.source.country, self.source.dataset, version.body.version)

    def member_page(self, version: Version, name: str) -> str:
        """Where a member of a version stands; a single file has the page of its version."""
        return self._paths[version.body.version][name] if version.collection else self.version_page(version)

    # --- pages ---

    def _render(self, template: str, path: str, **values: Any) -> Page:
        of = {"name": self.name, "dataset_page": self.page, "path_of": self.version_page}
        return self.maker.page(template, path, columns_page=self._columns_page, **of, **values)

    def _version(self, content: Content, before: Content | None) -> Iterator[Page]:
        version = content.version
        whole, number, rows = version.collection, version.body.version, version.rows
        said = whole.dictionary if whole else ()
        columns = {name: self._sets.of(one, said, number) for name, one in content.manifests.items()}
        common = _common(list(rows.values()))
        yield self._render(
            "version.html",
            self.version_page(version),
            version=version,
            facts=self._facts(content),
            file=None if whole else self._file(content, SINGLE, columns[SINGLE]),
            fetch=lines.of_collection(version.uri, min(rows), self.maker.store) if not version.revoked else (),
            files=[self._line(content, name) for name in sorted(rows)] if whole else (),
            entities=entities_of(content.manifests.values()),
            change=self._change(content, before),
            before=before.version if before else None,
            notes=common if whole else (),
            more_notes=any(set(row.notes) - set(common) for row in rows.values()),
            demonstration=demonstrations(common),
            columns=_distinct(columns.values()),
        )
        for name, row in rows.items() if whole else ():
            yield self._render(
                "member.html",
                self.member_page(version, name),
                version=version,
                member=name,
                demonstration=demonstrations(row.notes),
                file=self._file(content, name, columns[name]),
                history=self._history_of(name, row),
            )

    def _columns(self, columns: ColumnSet) -> Page:
        versions = [one for one in self.source.versions if one.body.version in columns.used]
        return self._render("columns.html", self._columns_page(columns), columns=columns, versions=versions)

    def _dataset(self) -> Page:
        newest = self.source.versions[0]
        latest = replace(newest.uri, channel="latest", sha256=None, manifest=None)
        fetch: list[lines.Lines] = []
        if newest.kept and not newest.revoked and newest.collection:
            fetch = lines.of_collection(latest, min(newest.rows), self.maker.store)
        elif newest.kept and not newest.revoked:
            row = newest.rows[SINGLE]
            fetch = lines.of_file(latest, row.artifact_sha256, row.extension, self.maker.store)
        columns = [one for one in self._sets.found.values() if newest.body.version in one.used]
        return self._render(
            "dataset.html",
            self.page,
            address=str(latest),
            newest=newest,
            versions=self.source.versions,
            changes=self._changes,
            fetch=fetch,
            map=self.shown.map,
            columns=_distinct(columns),
        )

    def _columns_page(self, columns: ColumnSet) -> str:
        return places.columns(self.source.country, self.source.dataset, columns.key)

    # --- parts of pages ---

    def _facts(self, content: Content) -> Facts:
        """What is said of a version; of a single file all that is known of it."""
        version, manifests = content.version, content.manifests.values()
        body, collection = version.body, version.collection
        moved = [
            ("address", str(version.uri)),
            ("published", body.published_at),
            ("by", body.by or ""),
            ("reason", body.reason or ""),
        ]
        if collection is None:
            return [row for row in moved if row[1]] + self._facts_of_file(content, SINGLE)
        rows = list(version.rows.values())
        facts = [
            *moved,
            ("run", collection.run_id),
            ("validation", collection.validation.summary() if collection.validation else ""),
            ("files", f"{len(rows):,}"),
            ("size", human_size(version.size_bytes or 0)),
            ("years", _years(manifests)),
            ("licence", _several(one.licence for one in manifests)),
            ("citation", _several(row.citation for row in rows)),
            ("model", _several(_model(one) for one in manifests)),
        ]
        return [row for row in facts if row[1]]

    def _facts_of_file(self, content: Content, name: str) -> Facts:
        row, manifest = content.version.rows[name], content.manifests[name]
        if content.ended(name):
            manifest = msgspec.structs.replace(manifest, status="revoked")
        return [*facts_of(manifest, row.about), ("manifest", f"sha256:{row.manifest_sha256}")]

    def _file(self, content: Content, name: str, columns: ColumnSet) -> dict[str, Any]:
        """What is said of one file."""
        version, manifest, row = content.version, content.manifests[name], content.version.rows[name]
        uri = replace(version.uri, member=name) if version.collection else version.uri
        revoked = content.ended(name)
        fetch = lines.of_file(uri, row.artifact_sha256, row.extension, self.maker.store)
        moved = f"version {version.body.version} of {version.body.published_at}"
        exact = f"{human_size(row.size_bytes)} ({row.size_bytes:,} bytes)"
        known = [(label, exact if label == "size" else text) for label, text in self._facts_of_file(content, name)]
        return {
            "facts": [("address", str(uri)), ("published", moved), *known],
            "revoked": revoked,
            "fetch": [] if revoked else fetch,
            "entities": manifest.entities,
            "columns": columns,
            "inputs": manifest.inputs.files if manifest.inputs else (),
        }

    def _line(self, content: Content, name: str) -> dict[str, Any]:
        """One file in the list of its version."""
        row = content.version.rows[name]
        return {
            "name": name,
            "page": self.member_page(content.version, name),
            "about": called(row.title, row.area),
            "size": row.size_bytes,
            "rows": {entity: one.rows for entity, one in content.manifests[name].entities.items()},
            "revoked": name in content.revoked,
        }

    def _history_of(self, name: str, here: Member) -> list[dict[str, Any]]:
        return [
            {
                "version": one,
                "page": self.member_page(one, name),
                "row": row,
                "same": row.artifact_sha256 == here.artifact_sha256,
            }
            for one in self.source.versions
            if one.kept and (row := one.rows.get(name)) is not None
        ]

    def _change(self, content: Content, before: Content | None) -> dict[str, Any] | None:
        """What is new in a version, and its line in the history."""
        number = content.version.body.version
        if before is None:
            earlier = "of which the store has files" if number > 1 else ""
            self._changes[number] = f"the first version {earlier}".strip()
            return None
        if (before.version.collection is None) != (content.version.collection is None):
            kinds = ("a collection", "one file") if content.version.collection else ("one file", "a collection")
            self._changes[number] = text = "{} now, {} before".format(*kinds)
            return {"summary": text, "sections": [], "deep": None}
        found = compare_sides(before.side(), content.side())
        self._changes[number] = summary(found)
        line = lines.of_diff(self.name, before.version.body.version, number, self.maker.store)
        return {"summary": summary(found), "sections": sections(found, SHOWN), "deep": line if found else None}

    @cached_property
    def _map(self) -> Mapping[str, Any]:
        """The cartogram of the newest version; empty without districts."""
        if self._newest is None or self._newest.version.collection is None:
            return {}
        version = self._newest.version
        made = district_map(self._newest, lambda name: self.member_page(version, name))
        return {**made, "dataset": self.name, "page": self.page} if made else {}

    def _files_found(self) -> Iterator[Found]:
        if self._newest is not None and self._newest.version.collection:
            version = self._newest.version
            for name, row in sorted(version.rows.items()):
                yield Found(name, called(row.title, row.area), self.name, self.member_page(version, name))

    def _variables_found(self) -> Iterator[Found]:
        newest, seen = self.source.versions[0].body.version, set()
        for columns in self._sets.found.values():
            for row in columns.rows if newest in columns.used else ():
                one = row.variable
                if (one.name, one.entity) not in seen:
                    seen.add((one.name, one.entity))
                    words = " · ".join(part for part in (one.entity, one.label, one.unit, one.description) if part)
                    page = f"{self._columns_page(columns)}#{places.anchor(one.entity, one.name)}"
                    yield Found(one.name, words, self.name, page)


def _several(texts: Iterable[str | None]) -> str:
    """Each once, the most frequent first."""
    counted = Counter(text for text in texts if text)
    shown = [text for text, _ in counted.most_common(FEW)]
    return "; ".join(shown) + (f" and {len(counted) - FEW:,} more" if len(counted) > FEW else "")


def _years(manifests: Iterable[Manifest]) -> str:
    return ", ".join(map(str, sorted({year for one in manifests for year in one.time_period})))


def _model(manifest: Manifest) -> str | None:
    build = manifest.build
    return f"{build.model_package} {build.model_version or ''}".strip() if build.model_package else None


def _common(rows: Sequence[Member]) -> tuple[str, ...]:
    """The notes that all files have."""
    shared = set(rows[0].notes).intersection(*(row.notes for row in rows)) if rows else set()
    return tuple(note for note in (rows[0].notes if rows else ()) if note in shared)


def _distinct(columns: Iterable[ColumnSet]) -> list[ColumnSet]:
    return list({one.key: one for one in columns}.values())
