"""The access log by itself: its chain, its ends, and what is found when somebody touched it."""

import errno
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from storage_helpers import at_time
from trust_helpers import make_trust, variables

from pe_data.cli import app
from pe_data.errors import AuditChainError, AuditError, InvalidDocumentError
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes
from pe_data.store.folder import FolderStore
from pe_data_gateway.audit.checkpoints import Checkpoint, to_bytes
from pe_data_gateway.audit.records import Entry, Head, NamedInput, chain, parse_record
from pe_data_gateway.audit.report import Question, by_user, is_input
from pe_data_gateway.audit.segments import lines, records, segment_keys
from pe_data_gateway.audit.verify import verify_log
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.checkpointer import Checkpointer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FRS = NamedInput("FRS 2023-24 adult.tab", Sha256("1" * 64))


def entry(number: int = 0, user: str = "ada", **more: object) -> Entry:
    fields = {"dataset": "frs", "artifact": Sha256(f"{number:064x}"), "inputs": (FRS,), **more}
    return Entry("manifest", "uk", f"request-{number}", user=user, **fields)


def write(root: Path, count: int, **options: object) -> list[bytes]:
    """A log of the opening and `count` further records; its lines."""
    log = AuditLog(root, "uk", **options)
    for number in range(count):
        log.append(entry(number)).result(timeout=30)
    log.close()
    return segment(root).read_bytes().splitlines(keepends=True)


def segment(root: Path) -> Path:
    return root / "audit/uk/000000000001.jsonl"


def verdict(root: Path, **options: object):
    return at_time(NOW, verify_log, FolderStore(root), "uk", **options)


def kinds(root: Path, **options: object) -> list[str]:
    return [problem.kind for problem in verdict(root, **options).problems]


# --- writing --------------------------------------------------------------------------------------


def test_records_are_chained_and_read_back(tmp_path):
    write(tmp_path, 5)
    found = list(records(FolderStore(tmp_path), "uk"))
    assert [record.seq for record in found] == [1, 2, 3, 4, 5, 6]
    assert [record.prev for record in found[1:]] == [record.hash for record in found[:-1]]
    assert found[0].entry.action == "opened"
    assert found[3].entry == entry(2)
    assert verdict(tmp_path).clean
    assert oct(segment(tmp_path).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize(
    "one",
    [
        Entry("opened", "uk", "-"),
        Entry("collection", "uk", "r", "ada", "t", "frs", Sha256("1" * 64), Sha256("2" * 64), "::1", "a", (FRS,), "n"),
    ],
)
def test_few_fields_or_all_of_them_are_canonical_and_read_back(one):
    record, line = at_time(NOW, chain, one, Head())
    assert canonical_json(json.loads(line)) + b"\n" == line
    assert parse_record(line[:-1], what="line") == record
    assert record.entry == one


def test_a_record_is_one_canonical_line_whose_hash_fits():
    record, line = at_time(NOW, chain, entry(7, agent="évil\nagent"), Head())
    assert line.count(b"\n") == 1
    assert parse_record(line[:-1], what="line") == record
    document = json.loads(line)
    digest = document.pop("hash")
    assert digest == sha256_bytes(canonical_json(document)) == record.hash
    with pytest.raises(InvalidDocumentError, match="edited"):
        parse_record(line[:-1].replace(b'"ada"', b'"bob"'), what="line")
    with pytest.raises(InvalidDocumentError, match="canonical"):
        parse_record(line[:-1].replace(b'{"action"', b'{ "action"'), what="line")


def test_many_threads_share_flushes_and_lose_nothing(tmp_path, monkeypatch):
    flushes = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (flushes.append(file), fsync(file))[1])
    log = AuditLog(tmp_path, "uk")
    threads = [
        threading.Thread(target=lambda k=k: [log.append(entry(k * 100 + i)).result(30) for i in range(10)])
        for k in range(30)
    ]
    before = len(flushes)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = {record.entry.artifact for record in records(FolderStore(tmp_path), "uk")} - {None}
    assert len(found) == 300
    assert len(flushes) - before < 300
    assert verdict(tmp_path).clean


def test_an_answer_comes_after_the_flush(tmp_path, monkeypatch):
    seen: list[str] = []
    log = AuditLog(tmp_path, "uk")
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (fsync(file), seen.append("flushed"))[0])
    done = threading.Event()
    log.submit(entry(1), lambda _: (seen.append("answered"), done.set()))
    assert done.wait(30)
    assert seen == ["flushed", "answered"]
    log.close()


def test_rotation_carries_the_chain_into_the_next_file(tmp_path):
    write(tmp_path, 40, rotate_bytes=2000)
    names = sorted(path.name for path in (tmp_path / "audit/uk").glob("*.jsonl"))
    assert len(names) > 5
    assert verdict(tmp_path).clean
    assert verdict(tmp_path).records == 41
    write(tmp_path, 3, rotate_bytes=2000)
    assert verdict(tmp_path).records == 45
    assert verdict(tmp_path).clean
    (tmp_path / "audit/uk" / names[2]).unlink()
    assert kinds(tmp_path) == ["dropped"]


def test_one_process_writes_a_log(tmp_path):
    log = AuditLog(tmp_path, "uk")
    with pytest.raises(AuditError, match="another process writes this audit log"):
        AuditLog(tmp_path, "uk")
    other = AuditLog(tmp_path, "zz")
    other.close()
    log.close()
    AuditLog(tmp_path, "uk").close()


# --- disks that fail ------------------------------------------------------------------------------


def test_a_full_disk_answers_with_an_error_and_the_partial_line_is_taken_back(tmp_path, monkeypatch):
    log = AuditLog(tmp_path, "uk")
    write_bytes = os.write

    def full(file, data):
        if len(data) > 50:
            return write_bytes(file, data[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AuditError, match="No space left on device; nothing is served"):
        log.append(entry(1)).result(timeout=30)
    monkeypatch.undo()
    assert log.broken is None
    assert log.append(entry(2)).result(timeout=30).seq == 2, "space again: it goes on where it was"
    log.close()
    assert verdict(tmp_path).clean


def test_after_a_failed_flush_nothing_more_is_answered(tmp_path, monkeypatch):
    log = AuditLog(tmp_path, "uk")

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(AuditError, match="the flush failed"):
        log.append(entry(1)).result(timeout=30)
    monkeypatch.undo()
    with pytest.raises(AuditError, match="the flush failed"):
        log.append(entry(2)).result(timeout=30)
    assert log.broken
    log.close()


@pytest.mark.parametrize("harm", ["truncate", "delete", "replace", "append"])
def test_a_log_that_is_touched_under_the_gateway_ends_it(tmp_path, harm):
    log = AuditLog(tmp_path, "uk")
    log.append(entry(1)).result(timeout=30)
    path = segment(tmp_path)
    data = path.read_bytes()
    if harm == "truncate":
        os.truncate(path, len(data) // 2)
    elif harm == "append":
        path.write_bytes(data + b"{}\n")
    else:
        path.unlink()
        if harm == "replace":
            path.write_bytes(data)
    for number in (2, 3):
        with pytest.raises(AuditChainError, match="Nothing is served"):
            log.append(entry(number)).result(timeout=30)
    log.close()


def test_a_folder_that_is_a_file_is_an_error_that_says_so(tmp_path):
    (tmp_path / "audit").write_text("in the way")
    with pytest.raises(AuditError, match=r"cannot open the audit log: .*nothing is served without it"):
        AuditLog(tmp_path, "uk")


# --- opening after a crash ------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_set_aside_and_told(tmp_path, kept):
    whole = write(tmp_path, 3)
    torn = at_time(NOW, chain, entry(9), Head(4, Sha256("0" * 64)))[1][:kept]
    with segment(tmp_path).open("ab") as handle:
        handle.write(torn)
    assert verdict(tmp_path).torn
    assert verdict(tmp_path).clean
    found = write(tmp_path, 1)
    assert found[:4] == whole
    assert "never served" in json.loads(found[4])["note"]
    assert [path.read_bytes() for path in (tmp_path / "audit/uk").glob("*.torn")] == [torn]
    assert verdict(tmp_path).clean
    assert verdict(tmp_path).records == 6


def test_a_killed_gateway_that_wrote_nothing_yet_leaves_an_empty_file_behind(tmp_path):
    write(tmp_path, 40, rotate_bytes=2000)
    (tmp_path / "audit/uk/000000000042.jsonl").touch()
    write(tmp_path, 0)
    assert verdict(tmp_path).clean


@pytest.mark.parametrize("harm", ["edit", "drop", "reorder"])
def test_a_changed_log_is_not_continued(tmp_path, harm):
    found = write(tmp_path, 5)
    segment(tmp_path).write_bytes(b"".join(harmed(found, harm)))
    with pytest.raises(AuditChainError, match="pe-data audit verify"):
        AuditLog(tmp_path, "uk")


def test_a_log_that_ends_before_its_checkpoint_is_not_continued(tmp_path):
    found = write(tmp_path, 5)
    write_checkpoint(tmp_path, 6, found)
    segment(tmp_path).write_bytes(b"".join(found[:4]))
    with pytest.raises(AuditChainError, match="expected at least 6 records"):
        AuditLog(tmp_path, "uk")


def test_a_log_that_was_deleted_but_for_its_checkpoints_is_not_begun_again(tmp_path):
    found = write(tmp_path, 5)
    write_checkpoint(tmp_path, 6, found)
    segment(tmp_path).unlink()
    with pytest.raises(AuditChainError, match="the end of the log is missing"):
        AuditLog(tmp_path, "uk")


# --- tampering ------------------------------------------------------------------------------------


def harmed(found: list[bytes], harm: str) -> list[bytes]:
    if harm == "edit":
        return [*found[:3], found[3].replace(b'"user":"ada"', b'"user":"eve"'), *found[4:]]
    if harm == "drop":
        return [*found[:3], *found[4:]]
    assert harm == "reorder"
    return [*found[:3], found[4], found[3], *found[5:]]


def rewritten(found: list[bytes], seq: int, user: str) -> list[bytes]:
    """The whole log again with another user in one record, every hash right."""
    head, result = Head(), []
    for number, line in enumerate(found):
        old = parse_record(line[:-1], what="line")
        changed = entry(number, user=user) if number == seq else old.entry
        record, new = at_time(old.time, chain, changed, head)
        head = Head(record.seq, record.hash)
        result.append(new)
    return result


def write_checkpoint(root: Path, seq: int, found: list[bytes], signers=(), country: str = "uk") -> bytes:
    record = parse_record(found[seq - 1][:-1], what="line")
    raw = to_bytes(Checkpoint(country, Head(seq, record.hash), NOW), signers)
    (root / f"audit/uk/{seq:012d}.checkpoint.json").write_bytes(raw)
    return raw


@pytest.mark.parametrize(("harm", "kind"), [("edit", "edited"), ("drop", "dropped"), ("reorder", "reordered")])
def test_an_edited_dropped_or_reordered_record_is_found_and_named(tmp_path, harm, kind):
    found = write(tmp_path, 6)
    segment(tmp_path).write_bytes(b"".join(harmed(found, harm)))
    problems = verdict(tmp_path).problems
    assert kind in [problem.kind for problem in problems]
    assert all("line 4" in problem.where or "line 5" in problem.where for problem in problems)
    result = CliRunner().invoke(app, ["audit", "verify", "uk", "--log", str(tmp_path)], standalone_mode=False)
    assert result.return_value == 1
    assert f"{kind}: " in result.output
    assert "NOT intact" in result.output


def test_an_inserted_record_is_found(tmp_path):
    found = write(tmp_path, 6)
    head = parse_record(found[2][:-1], what="line")
    extra = at_time(NOW, chain, entry(99), Head(head.seq, head.hash))[1]
    segment(tmp_path).write_bytes(b"".join([*found[:3], extra, *found[3:]]))
    assert kinds(tmp_path) != []


def test_a_truncated_tail_is_found_by_the_checkpoint(tmp_path):
    found = write(tmp_path, 6)
    write_checkpoint(tmp_path, 7, found)
    assert verdict(tmp_path).clean
    segment(tmp_path).write_bytes(b"".join(found[:5]))
    assert kinds(tmp_path) == ["truncated"]


def test_a_log_written_again_from_the_start_is_found_by_a_checkpoint_kept_elsewhere(tmp_path):
    found = write(tmp_path, 6)
    kept = write_checkpoint(tmp_path, 7, found)
    (tmp_path / "audit/uk/000000000007.checkpoint.json").unlink()
    segment(tmp_path).write_bytes(b"".join(rewritten(found, 3, "eve")))
    assert verdict(tmp_path).clean, "the chain alone cannot tell"
    assert kinds(tmp_path, kept={"kept.json": kept}) == ["rewritten"]
    (tmp_path / "kept.json").write_bytes(kept)
    command = ["audit", "verify", "uk", "--log", str(tmp_path), "--checkpoint", str(tmp_path / "kept.json")]
    assert CliRunner().invoke(app, command, standalone_mode=False).return_value == 1


def test_a_forged_checkpoint_is_refused_and_a_signed_one_counts(tmp_path):
    trust = make_trust(FolderStore(tmp_path), tmp_path / "trust-files", {"audit-uk": 1, "audit-zz": 1})
    policy = trust.policy()
    stranger = make_trust(FolderStore(tmp_path / "other"), tmp_path / "other-files", {"audit-uk": 1})
    found = write(tmp_path, 6)
    write_checkpoint(tmp_path, 5, found, [trust.signers["alice"]])
    good = verdict(tmp_path, policy=policy)
    assert (good.clean, good.signed, good.unsigned, good.covered) == (True, 1, 0, 5)
    again = rewritten(found, 3, "eve")
    segment(tmp_path).write_bytes(b"".join(again))
    assert kinds(tmp_path, policy=policy) == ["forged"]
    write_checkpoint(tmp_path, 5, again, [stranger.signers["alice"]])
    assert kinds(tmp_path, policy=policy) == ["forged"]
    write_checkpoint(tmp_path, 5, again)  # unsigned: says nothing, and is counted as such
    unsigned = verdict(tmp_path, policy=policy)
    assert (unsigned.signed, unsigned.unsigned) == (0, 1)
    with variables(trust.environment):
        command = ["audit", "verify", "uk", "--log", str(tmp_path), "--require-signed"]
        assert CliRunner().invoke(app, command, standalone_mode=False).return_value == 1


def test_a_checkpoint_of_another_country_is_refused(tmp_path):
    found = write(tmp_path, 2)
    write_checkpoint(tmp_path, 2, found, country="zz")
    assert kinds(tmp_path) == ["forged"]


def test_no_log_is_no_proof(tmp_path):
    result = CliRunner().invoke(app, ["audit", "verify", "uk", "--log", str(tmp_path)])
    assert isinstance(result.exception, AuditError)
    assert result.exception.exit_code == 2
    assert "found none" in str(result.exception)


# --- checkpoints while it runs --------------------------------------------------------------------


def test_checkpoints_come_after_so_many_records_and_finished_files_go_to_the_archive(tmp_path):
    log = AuditLog(tmp_path / "log", "uk", rotate_bytes=2000)
    archive = FolderStore(tmp_path / "archive")
    checkpointer = Checkpointer({"uk": log}, every_records=10, every_seconds=0.05, archive=archive)
    for number in range(30):
        log.append(entry(number)).result(timeout=30)
    checkpointer.start()
    checkpointer.stop()
    log.close()
    kept = sorted(path.name for path in (tmp_path / "archive/audit/uk").iterdir())
    assert "000000000031.checkpoint.json" in kept
    finished = [name for name in kept if name.endswith(".jsonl")]
    assert finished == sorted(path.name for path in (tmp_path / "log/audit/uk").glob("*.jsonl"))[:-1]
    assert verdict(tmp_path / "log").covered == 31
    archived = at_time(NOW, verify_log, archive, "uk")
    assert [problem.kind for problem in archived.problems] == ["truncated"], "its last file is still open"


# --- questions ------------------------------------------------------------------------------------


def test_which_users_had_what_was_derived_from_a_survey(tmp_path):
    log = AuditLog(tmp_path, "uk")
    other = NamedInput("FRS 2022-23 adult.tab", Sha256("2" * 64))
    for one in (
        entry(1, user="ada"),
        entry(1, user="ada"),
        entry(2, user="bob", inputs=(other,)),
        entry(3, user="cyd", dataset="wealth"),
    ):
        log.append(one).result(timeout=30)
    log.close()
    store = FolderStore(tmp_path)

    def users(**question: object) -> list[str]:
        return [line.user for line in by_user(records(store, "uk"), Question(**question))]

    assert users() == ["ada", "bob", "cyd"]
    assert users(dataset="frs") == ["ada", "bob"]
    assert users(dataset="frs", derived_from="FRS 2023-24") == ["ada"]
    assert users(derived_from="frs_2022_23") == ["bob"]
    assert users(derived_from=f"sha256:{FRS.sha256}") == ["ada", "cyd"]
    assert users(user="bob", derived_from="FRS 2023-24") == []
    assert users(since=datetime.now(UTC) + timedelta(days=1)) == []
    assert by_user(records(store, "uk"), Question(user="ada"))[0].manifests == 2


@pytest.mark.parametrize(
    ("name", "derived", "same"),
    [
        ("FRS 2023-24 adult.tab", "FRS 2023-24", True),
        ("frs_2023_24/adult.tab", "frs 2023-24", True),
        ("FRS 2023-24", "FRS 2023-2", False),
        ("XFRS 2023-24", "FRS 2023-24", False),
        ("FRS 2022-23", "FRS 2023-24", False),
    ],
)
def test_an_input_is_known_by_whole_words_of_its_name(name, derived, same):
    assert is_input(NamedInput(name, Sha256("1" * 64)), derived) is same


def test_an_export_cannot_smuggle_a_formula_into_a_spreadsheet(tmp_path):
    log = AuditLog(tmp_path, "uk")
    log.append(entry(1, agent='=HYPERLINK("http://evil")')).result(timeout=30)
    log.close()
    runner = CliRunner()
    table = runner.invoke(app, ["audit", "export", "--country", "uk", "--to", "csv", "--log", str(tmp_path)])
    assert "'=HYPERLINK" in table.output
    assert ",=HYPERLINK" not in table.output
    rows = json.loads(
        runner.invoke(app, ["audit", "export", "--country", "uk", "--to", "json", "--log", str(tmp_path)]).output
    )
    assert [(row["user"], row["inputs"]) for row in rows] == [("ada", [FRS.name])]


@pytest.mark.parametrize("size", [1, 7, 400])
def test_lines_are_read_in_pieces_of_any_size(tmp_path, monkeypatch, size):
    expected = write(tmp_path, 5)
    monkeypatch.setattr("pe_data.store.byte_source.PIECE_BYTES", size)
    store = FolderStore(tmp_path)
    (key,) = segment_keys(store, "uk")
    assert max(map(len, store.open(key).pieces())) == size
    assert [line.data + b"\n" for line in lines(store, segment_keys(store, "uk"))] == expected
