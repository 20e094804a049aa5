"""`pe-data export-hub` with the hub's real client, against a server on this machine."""

import hashlib
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import forked
import pytest
from hub_server import SIGNATURE, TOKEN, Blob, Hub, HubServer, Refusal, exporting
from revocation_helpers import NC, make_world
from storage_helpers import areas, make_item, publish_areas, replace

import pe_data
from pe_data.cli import run
from pe_data.store.folder import FolderStore
from pe_data.write import export_hub
from pe_data.write.publish import publish_artifact, publish_collection

REPO, TAG = "example/areas", "2026-1"
WORDS = ["export-hub", "us/areas", "--repo", REPO, "--repo-type", "dataset", "--tag", TAG]
DISTRICTS = tuple(f"districts/NC-{number:02}" for number in range(1, 61))
SMALL = (*DISTRICTS[:4], "national/US")
DOCUMENTS = {"release_manifest.json", f"releases/{TAG}/release_manifest.json", "sha256sums.txt"}


@dataclass
class World:
    """A store, and a hub with an empty repository."""

    folder: Path
    store: FolderStore
    server: HubServer

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def publish(self, *names: str, salt: str = "", run_id: str = "r1") -> str:
        """The digest of the collection with these areas."""
        made = areas(self.folder / f"files{salt}", *names, salt=salt)
        return publish_areas(self.store, made, run_id, now=datetime.now(UTC)).artifact_sha256

    def released(self, tag: str = TAG) -> dict[str, bytes]:
        """What lies at a tag, by path."""
        return {path: blob.data for path, blob in self.hub.tree(self.hub.tags[tag]).items()}


def expected(*names: str, salt: str = "") -> dict[str, bytes]:
    return {f"{name}.h5": f"{name}{salt}".encode() for name in names}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    constants = pytest.importorskip("huggingface_hub.constants")
    server = HubServer()
    environment = {
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PE_DATA_STORE": str(tmp_path / "store"),
        "PE_DATA_CACHE": str(tmp_path / "cache"),
        "PE_DATA_CONFIG": str(tmp_path / "none.toml"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield World(tmp_path, FolderStore(tmp_path / "store"), server)
    server.stop()


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said; with nothing secret in it."""
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("pe-data: error: ")
    assert said.out == ""
    assert TOKEN not in line
    assert SIGNATURE not in line
    return line


def test_a_whole_export(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    digest = world.publish(*DISTRICTS)
    main = world.hub.branches["main"]
    assert run([*WORDS, "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert said.err == ""  # no bar where nobody would see one
    assert report["uri"] == f"pe-data://us/areas@sha256:{digest}"
    assert (report["tag"], report["commit"]) == (TAG, world.hub.tags[TAG])
    found = world.released()
    assert found == expected(*DISTRICTS) | {path: found[path] for path in (*DOCUMENTS, "README.md")}
    assert [len(commit.operations) for commit in world.hub.log] == [50, 10, 3]
    assert {path for _, path in world.hub.log[-1].operations} == DOCUMENTS
    assert {kind for kind, _ in world.hub.log[0].operations} == {"lfsFile"}
    assert world.hub.branches == {"main": main}  # as it was, and no other branch
    sums = dict(line.split("  ")[::-1] for line in found["sha256sums.txt"].decode().splitlines())
    assert sums == {
        path: hashlib.sha256(data).hexdigest()
        for path, data in found.items()
        if path not in ("README.md", "sha256sums.txt")
    }
    assert run(["release-manifest", *WORDS[1:], "--out", str(world.folder / "m.json")]) == 0
    assert found["release_manifest.json"] == (world.folder / "m.json").read_bytes()
    listed = json.loads(found["release_manifest.json"])["artifacts"]
    assert {one["path"] for one in listed.values()} == set(expected(*DISTRICTS))
    path = pe_data.ensure(f"hf://datasets/{REPO}@{TAG}/{DISTRICTS[7]}.h5")
    assert path.read_bytes() == DISTRICTS[7].encode()


def test_a_second_run_writes_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)
    assert run([*WORDS, "--main"]) == 0
    before = world.hub.state
    world.hub.calls.clear()
    capsys.readouterr()
    assert run([*WORDS, "--main"]) == 0
    assert world.hub.state == before
    assert {call.split("/")[5] for call in world.hub.calls} == {"refs", "paths-info"}
    assert f"main has all of it\nsent: 0 file(s), 0 bytes; {len(SMALL) + 3} already there" in capsys.readouterr().out


def test_main_changes_on_request_by_one_commit_of_copies(world: World) -> None:
    world.publish(*SMALL)
    assert run(WORDS) == 0
    main = world.hub.branches["main"]
    assert set(world.hub.trees[main]) == {"README.md"}
    before, sent = len(world.hub.log), len(world.hub.sent)
    assert run([*WORDS, "--main"]) == 0
    (commit,) = world.hub.log[before:]
    assert (commit.branch, commit.parent) == ("main", main)
    assert {path for _, path in commit.operations} == set(expected(*SMALL)) | DOCUMENTS
    assert len(world.hub.sent) == sent
    assert world.hub.tree("main") == world.hub.tree(TAG)


def test_only_what_changed_is_fetched_and_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish(*SMALL)
    assert run([*WORDS, "--main"]) == 0
    made = areas(world.folder / "files", *SMALL) | areas(world.folder / "other", SMALL[1], salt=" heavier")
    publish_areas(world.store, made, "r2", now=datetime.now(UTC))
    world.hub.sent.clear()
    world.hub.log.clear()
    fetched: list[Any] = []
    real = export_hub.fetch_with
    monkeypatch.setattr(export_hub, "fetch_with", lambda *more: fetched.extend(more[2]) or real(*more))
    assert run([*WORDS[:-1], "2026-2"]) == 0
    assert fetched == [SMALL[1]]
    assert world.hub.sent == [hashlib.sha256(f"{SMALL[1]} heavier".encode()).hexdigest()]
    assert [len(commit.operations) for commit in world.hub.log] == [1, 3]
    assert world.released("2026-2")[f"{SMALL[1]}.h5"] == f"{SMALL[1]} heavier".encode()
    assert world.released()[f"{SMALL[1]}.h5"] == SMALL[1].encode()  # the earlier tag is as it was


def test_small_files_without_a_sha256_at_the_hub(world: World) -> None:
    world.hub.large = ()
    world.publish(*SMALL)
    assert run([*WORDS, "--main"]) == 0
    before = world.hub.state
    assert run([*WORDS, "--main"]) == 0
    assert world.hub.state == before
    tree = world.hub.tree("main")
    tree[f"{SMALL[0]}.h5"] = Blob(b"x" * len(SMALL[0]), False)  # as long, but another one
    assert run([*WORDS, "--main"]) == 0
    assert [path for _, path in world.hub.log[-1].operations] == [f"{SMALL[0]}.h5"]
    assert world.hub.tree("main") == world.hub.tree(TAG)


def test_a_dry_run_says_what_would_be_done(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(*DISTRICTS)
    monkeypatch.delenv("HF_TOKEN")  # of a public repository everybody may know
    monkeypatch.setenv("HF_TOKEN_PATH", str(world.folder / "none"))
    before = world.hub.state
    assert run([*WORDS, "--dry-run", "--main"]) == 0
    assert world.hub.state == before
    assert not (world.folder / "cache" / "artifacts").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"dataset {REPO}, tag {TAG}"
    assert lines[1] == "commit 1 of 3: 50 file(s), 750 bytes: districts/NC-01.h5 … districts/NC-50.h5"
    assert lines[3].endswith(": release_manifest.json … sha256sums.txt")
    assert lines[4].startswith("main: 63 file(s), ")
    assert lines[5].startswith("dry run, nothing was written; to send: 63 file(s), ")


def test_without_a_token_nothing_is_asked(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(*SMALL)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(world.folder / "none"))
    assert run(WORDS) == 1
    assert "expected a token that may write, in HF_TOKEN" in error_of(capsys)
    assert world.hub.calls == []


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "status"),
    [("branch", 403), ("preupload", 401), ("batch", 403), ("object", 403), ("object", 503), ("commit", 401),
     ("commit", 503), ("tag", 403)],
)  # fmt: skip
def test_a_refusal_leaves_no_release_and_no_secret(
    world: World, step: str, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def gate(asked: str, what: str) -> None:
        if asked == step:
            raise Refusal(status, f"not with the token {TOKEN} of somebody")

    monkeypatch.setattr("time.sleep", lambda _: None)  # the client tries again when the hub is busy
    world.publish(*SMALL)
    main = world.hub.branches["main"]
    world.hub.gate = gate
    with caplog.at_level("DEBUG"):
        assert run([*WORDS, "--main"]) == 1
    assert f"hub dataset {REPO}: " in error_of(capsys)
    assert TOKEN not in caplog.text
    assert SIGNATURE not in caplog.text
    assert world.hub.tags == {}
    assert world.hub.branches["main"] == main
    world.hub.gate = lambda step, what: None
    assert run([*WORDS, "--main"]) == 0
    assert world.hub.tree("main") == world.hub.tree(TAG)
    assert set(world.hub.branches) == {"main"}


def test_a_file_that_the_hub_does_not_take(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)
    world.hub.refuse_objects = True
    assert run(WORDS) == 1
    line = error_of(capsys)
    assert "storage limit reached" in line or "LFS batch API returned errors" in line
    assert (world.hub.tags, world.hub.log) == ({}, [])


def test_a_wrong_token_is_not_shown(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(*SMALL)
    for wrong in ("hf_anotherTokenOfSomebody000", "a-token-of-another-form"):
        monkeypatch.setenv("HF_TOKEN", wrong)
        assert run([*WORDS, "-vv"]) == 1
        said = capsys.readouterr()
        assert "Use a token that may write" in said.err or "found none that this token may see" in said.err
        assert wrong not in said.out + said.err


@pytest.mark.slow
def test_every_step_may_be_the_last_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off after any write, the same call completes the release, and gives what an undisturbed one gives."""
    monkeypatch.setattr(export_hub, "BATCH", 2)
    names = SMALL[2:]
    world.publish(*names)
    whole, steps = None, 0
    for last in range(100):
        world.server.hub = hub = Hub()
        count = 0

        def done(step: str, what: str, last: int = last) -> None:
            nonlocal count
            if step in ("branch", "object", "commit", "tag", "drop"):
                count += 1
                if count > last:
                    raise Refusal(403, "no more for today")  # although it was done

        hub.done = done
        ended = run([*WORDS, "--main"])
        assert (TAG in hub.tags) <= (set(DOCUMENTS) < set(hub.tree(hub.tags.get(TAG, "main"))))
        hub.done = lambda step, what: None
        assert run([*WORDS, "--main"]) == 0
        whole = whole or hub.tree(TAG)
        assert hub.tree(TAG) == hub.tree("main") == whole
        assert set(hub.branches) == {"main"}
        assert len(hub.sent) == len(set(hub.sent)) == len(names)
        steps = last
        if ended == 0 and count <= last:
            break
    assert steps == 1 + len(names) + 4 + 1 + 1 + 1  # branch, objects, commits, tag, main, the branch goes


@pytest.mark.parametrize(("step", "number", "after"), [("commit", 2, False), ("commit", 1, True)])
def test_a_killed_export_is_completed_by_the_next(world: World, step: str, number: int, after: bool) -> None:
    world.publish(*DISTRICTS)
    pid = world.folder / "pid"
    seen = 0

    def kill(asked: str, what: str) -> None:
        nonlocal seen
        seen += asked == step
        if asked == step and seen == number:
            os.kill(int(pid.read_text()), signal.SIGKILL)
            if not after:
                raise Refusal(503, "too late")

    setattr(world.hub, "done" if after else "gate", kill)
    ended = forked.run(exporting, str(pid), *WORDS)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == ended.stderr == ""
    assert TAG not in world.hub.tags
    world.hub.gate = world.hub.done = lambda step, what: None
    assert run(WORDS) == 0
    assert [len(commit.operations) for commit in world.hub.log] == [50, 10, 3]
    found = world.released()
    assert found == expected(*DISTRICTS) | {path: found[path] for path in (*DOCUMENTS, "README.md")}
    assert len(world.hub.sent) == len(set(world.hub.sent)) == 60
    assert set(world.hub.branches) == {"main"}


def test_a_branch_of_an_earlier_collection_is_not_mixed_in(world: World) -> None:
    world.publish(*SMALL)

    def gate(step: str, what: str) -> None:
        if step == "tag":
            raise Refusal(403, "not today")

    world.hub.gate = gate
    assert run(WORDS) == 1
    world.hub.gate = lambda step, what: None
    world.publish(*SMALL[1:], run_id="r2")
    assert run(WORDS) == 0
    assert set(world.released()) == set(expected(*SMALL[1:])) | DOCUMENTS | {"README.md"}


@pytest.mark.parametrize("change", ["nothing there", "another file", "another manifest", "one is missing"])
def test_a_tag_on_something_else_is_never_moved(world: World, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)
    if change == "nothing there":
        world.hub.tags[TAG] = world.hub.branches["main"]
    else:
        assert run(WORDS) == 0
        tree = dict(world.hub.tree(TAG))
        if change == "one is missing":
            del tree[f"{SMALL[2]}.h5"]
        else:
            path = f"{SMALL[2]}.h5" if change == "another file" else "release_manifest.json"
            tree[path] = Blob(b"other", path.endswith(".h5"))
        world.hub.tags[TAG] = world.hub.add(tree)
        capsys.readouterr()
    before = world.hub.state
    for more in ([], ["--main"], ["--dry-run"]):
        assert run([*WORDS, *more]) == 1
        assert f"tag {TAG}: expected none, or one with these files" in error_of(capsys)
    assert world.hub.state == before


@pytest.mark.parametrize("branch", ["stage", "main"])
def test_somebody_else_who_commits_meanwhile(world: World, branch: str, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)

    def gate(step: str, what: str) -> None:
        if step == "commit" and what.startswith(branch):
            world.hub.branches[what] = world.hub.add({**world.hub.tree(what), "note.txt": Blob(b"mine", False)})
            world.hub.gate = lambda step, what: None

    world.hub.gate = gate
    assert run([*WORDS, "--main"]) == 1
    assert "Somebody else wrote there. Run the same again" in error_of(capsys)
    assert run([*WORDS, "--main"]) == 0
    assert {**world.hub.tree("main"), **world.hub.tree(TAG)} == (
        {**world.hub.tree(TAG), "note.txt": Blob(b"mine", False)}
    )


def test_a_file_that_the_repository_leaves_out_stops_the_release(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish(*SMALL)
    world.hub.ignored = {f"{SMALL[3]}.h5"}
    assert run(WORDS) == 1
    assert f"{SMALL[3]}.h5: expected sha256" in error_of(capsys)
    assert world.hub.tags == {}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--repo", "example/none"], "expected an existing repository of that kind"),
        (["--repo-type", "model"], "expected an existing repository of that kind"),
        (["--tag", "main"], "none with the name of the tag"),
        (["--repo", "local/local-h5"], "stands for none"),
        (["--tag", "a/b"], "expected letters"),
        (["--default-dataset", "national/XX"], "expected the name of a file"),
    ],
)
def test_a_place_that_cannot_be(world: World, words: list[str], found: str, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)
    before = world.hub.state
    assert run([*WORDS, *words]) == 1
    assert found in error_of(capsys)
    assert world.hub.state == before


def test_a_hub_that_does_not_answer(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(*SMALL)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run(WORDS) == 1
    assert "its branches and tags: " in error_of(capsys)


# --- which data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("country", ["us", "uk", "fr"])
def test_gated_data_go_to_no_hub(world: World, country: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_item(world.folder, "a", b"of people who were promised something")
    terms = {"country": country, "access": "gated" if country == "us" else "public", "licence": "End User Licence"}
    items = {"a": replace(made, manifest=replace(made.manifest, **terms))}
    publish_collection(world.store, items, country=country, dataset="areas", run_id="r1")
    for more in ([], ["--dry-run"]):
        assert run(["export-hub", f"{country}/areas", *WORDS[2:], *more]) == 1
        assert "expected public data, found gated data (licence: End User Licence)" in error_of(capsys)
    assert world.hub.calls == []


def test_revoked_data_go_to_no_hub_even_if_the_hub_has_them(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    revoking = make_world(world.folder / "trusted", monkeypatch)
    world.hub.trees[world.hub.branches["main"]][f"{NC}.h5"] = Blob(NC.encode(), True)
    revoking.revoke(revoking.single(NC), "alice")
    assert run(WORDS) == 1
    assert "was revoked" in error_of(capsys)
    assert world.hub.calls == []


def test_a_single_file(world: World) -> None:
    made = make_item(world.folder, "cps", b"of the nation", dataset="cps_2024")
    publish_artifact(world.store, made)
    assert run(["export-hub", "us/cps_2024", *WORDS[2:]]) == 0
    assert set(world.released()) == {"cps_2024.h5", "README.md", *DOCUMENTS}


def test_an_earlier_version_by_its_digest(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first = world.publish(*SMALL)
    world.publish(*SMALL[1:], run_id="r2")
    assert run([WORDS[0], f"us/areas@sha256:{first}", *WORDS[2:]]) == 0
    assert set(expected(*SMALL)) < set(world.released())
    capsys.readouterr()
    for address, found in (
        (f"us/areas@sha256:{'ab' * 32}", "found it nowhere in the history"),
        (f"us/areas/{SMALL[0]}@latest", "as a whole"),
        ("us/areas@next", "as a whole"),
        ("us/nothing", "us/nothing/latest.json"),
    ):
        assert run([WORDS[0], address, *WORDS[2:]]) == 1
        assert found in error_of(capsys)


# --- release manifests that were written before ------------------------------------------------------


def test_manifests_of_a_run_say_where(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(*SMALL)
    whole, coded = world.folder / "release_manifest.json", world.folder / "coded.json"
    claims = ["--default-dataset", "national/US", "--package", "areas-of-the-nation"]
    assert run(["release-manifest", *WORDS[1:], *claims, "--out", str(whole)]) == 0
    assert run(["release-manifest", *WORDS[1:], "--local-area", "national/US", "--out", str(coded)]) == 0
    given = ["--release-manifest", str(whole), "--release-manifest", str(coded)]
    assert run(["export-hub", "us/areas", *given]) == 0
    found = world.released()
    assert found["release_manifest.json"] == found[f"releases/{TAG}/release_manifest.json"] == whole.read_bytes()
    assert found["local_area/release_manifest.json"] == coded.read_bytes()
    before = world.hub.state
    assert run([*WORDS, *claims, "--local-area", "national/US"]) == 1  # the second one names the package otherwise
    assert "another local_area/release_manifest.json" in capsys.readouterr().err
    assert run(["export-hub", "us/areas", *given]) == 0
    assert world.hub.state == before


def test_the_page_is_true(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/hub.md, in order."""
    page = Path(__file__).parents[2] / "docs" / "hub.md"
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert [words[:2] for words in commands] == [["pe-data", "export-hub"]] * 3
    monkeypatch.chdir(world.folder)
    made = areas(world.folder / "files", *SMALL)
    items = {name: replace(one, manifest=replace(one.manifest, dataset="local_areas")) for name, one in made.items()}
    at = {"country": "us", "dataset": "local_areas", "run_id": "r1"}
    publish_collection(world.store, items, **at)
    (world.folder / "results" / "local_area").mkdir(parents=True)
    for folder, more in (("results", []), ("results/local_area", ["--local-area", "national/US"])):
        words = ["release-manifest", "us/local_areas", *WORDS[2:], *more, "--out", f"{folder}/release_manifest.json"]
        assert run(words) == 0
    before = world.hub.state
    assert run(commands[0][1:]) == 0
    assert world.hub.state == before
    assert [run(words[1:]) for words in commands[1:]] == [0, 0]
    assert set(world.hub.tags) == {TAG, "2026-2"}
    assert {"local_area/release_manifest.json", *DOCUMENTS} < set(world.released())
    assert world.hub.tree("main") == world.hub.tree("2026-2")


def test_the_area_coded_file_alone(world: World) -> None:
    world.publish(*SMALL)
    coded = world.folder / "coded.json"
    assert run(["release-manifest", *WORDS[1:], "--local-area", "national/US", "--out", str(coded)]) == 0
    assert run(["export-hub", "us/areas", "--release-manifest", str(coded)]) == 0
    assert {path for path in world.released() if path.endswith(".h5")} == {"national/US.h5"}


def _edit(document: dict[str, Any], change: str) -> None:
    artifacts = document["artifacts"]
    first = artifacts[SMALL[0]]
    if change == "sha256":
        first["sha256"] = "ab" * 32
    elif change == "name":
        artifacts["districts/XX-01"] = first
    elif change == "place":
        first["repo_id"] = "example/elsewhere"
    elif change == "path":
        first["path"] = artifacts[SMALL[1]]["path"]
    elif change == "manifest's path":
        first["path"] = "release_manifest.json"
    elif change == "outside":
        first["path"] = "../../etc/passwd"
    else:
        artifacts.clear()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("sha256", f"artifacts.{SMALL[0]}: expected a file of pe-data://us/areas@sha256:"),
        ("name", "no such file"),
        ("place", "one repository at one revision"),
        ("path", f"artifacts.{SMALL[0]}.path: expected {SMALL[0]}.h5, found '{SMALL[1]}.h5'"),
        ("manifest's path", f"expected {SMALL[0]}.h5, found 'release_manifest.json'"),
        ("outside", f"expected {SMALL[0]}.h5, found '../../etc/passwd'"),
        ("nothing", "found no files"),
    ],
)
def test_a_manifest_of_something_else(
    world: World, change: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish(*SMALL)
    path = world.folder / "m.json"
    assert run(["release-manifest", *WORDS[1:], "--out", str(path)]) == 0
    document = json.loads(path.read_text())
    _edit(document, change)
    path.write_text(json.dumps(document))
    capsys.readouterr()
    assert run(["export-hub", "us/areas", "--release-manifest", str(path)]) == 1
    assert found in error_of(capsys)
    assert (world.hub.tags, world.hub.log) == ({}, [])


@pytest.mark.parametrize("words", [["us/areas"], ["us/areas", "--repo", REPO], [*WORDS[1:], "--offline"]])
def test_wrong_usage(world: World, words: list[str]) -> None:
    world.publish(*SMALL)
    assert run(["export-hub", *words]) == 2
    path = world.folder / "m.json"
    assert run(["release-manifest", *WORDS[1:], "--out", str(path)]) == 0
    assert run(["export-hub", *words[:1], "--release-manifest", str(path), "--tag", "t2"]) == 2
    assert run(["export-hub", "us/areas", "--release-manifest", str(path), "--release-manifest", str(path)]) == 1
    assert world.hub.calls == []
