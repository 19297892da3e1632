"""Exports come packed and in many encodings; what is read is the same."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from lf_bridge.errors import LfbError
from lf_bridge.prepare import unpack as unpacking
from lf_bridge.prepare.sources import find_sources
from lf_bridge.prepare.unpack import Unpacked, unpack

ENGLISH = "role,text\ncustomer,Where is it?\nagent,“On its way” – café Zoë\n"
CHINESE = "角色,内容\n" + "客户,您好，我的快递怎么还没有到？\n客服,亲，请您稍等，我帮您查询一下订单\n" * 40


def zstd(data: bytes) -> bytes:
    output = pa.BufferOutputStream()
    with pa.CompressedOutputStream(output, "zstd") as stream:
        stream.write(data)
    return bytes(output.getvalue().to_pybytes())


def zipped(*members: tuple[str, bytes]) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return output.getvalue()


def read(folder: Path, **files: bytes) -> Unpacked:
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    sources, _ = find_sources([folder])
    (folder / ".work").mkdir(mode=0o700, exist_ok=True)
    return unpack(sources, folder / ".work")


def refusal(folder: Path, name: str, data: bytes) -> str:
    with pytest.raises(LfbError) as caught:
        read(folder, **{name: data})
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "encode", "note"),
    [
        (ENGLISH, lambda text: text.encode("utf-16"), ""),
        (CHINESE, lambda text: text.encode("utf-16"), ""),
        (ENGLISH, lambda text: text.encode("utf-16-le"), ""),
        (CHINESE, lambda text: text.encode("gb18030"), "log.csv is not UTF-8: read as GB18030"),
        (ENGLISH, lambda text: text.encode("cp1252"), "log.csv is not UTF-8: read as cp1252"),
        ("роль,текст\nклиент,Где мой заказ?\n" * 9, lambda text: text.encode("cp1251"), "read as cp1251"),
    ],
    ids=["utf-16", "utf-16 chinese", "utf-16 unmarked", "gb18030", "cp1252", "cp1251"],
)
def test_other_encodings_become_utf8(tmp_path: Path, text: str, encode: Callable[[str], bytes], note: str) -> None:
    found = read(tmp_path, log__csv=encode(text))
    assert found.files[0].path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(found.files[0].path.stat().st_mode) == 0o600
    assert note in "".join(found.notes)
    assert bool(note) == bool(found.notes)


def test_lines_in_a_second_encoding_are_read_in_it_and_counted(tmp_path: Path) -> None:
    good = "".join(f"{n},客户,“你好” café\n" for n in range(50)).encode()
    mixed = good + "50,agent,déjà vu à Genève\n".encode("cp1252") + good + "51,agent,tout à fait\n".encode("cp1252")
    found = read(tmp_path, log__csv=mixed)
    lines = found.files[0].path.read_text(encoding="utf-8").splitlines()
    assert lines[50] == "50,agent,déjà vu à Genève"
    assert lines[0] == lines[51] == "0,客户,“你好” café"
    assert found.notes == ("log.csv: 2 lines are not UTF-8: read as cp1252 (the first is line 51)",)


def test_a_character_cut_by_a_length_limit_costs_only_itself(tmp_path: Path) -> None:
    found = read(tmp_path, log__csv="客户,您好您好您好".encode() + "，".encode()[:2] + b"\nagent,ok\n")
    assert found.files[0].path.read_text(encoding="utf-8") == "客户,您好您好您好\ufffd\nagent,ok\n"
    assert found.notes == ("log.csv: 1 lines hold broken characters, which are lost (the first is line 1)",)


def test_nul_bytes_are_removed_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path, log__csv=b"role,text\nuser,hello there\nuser,h\0i\0 again\n" + b"agent,fine\n" * 20)
    assert b"user,hi again\n" in found.files[0].path.read_bytes()
    assert found.notes == ("log.csv: 2 NUL bytes were removed (the first is in line 3)",)


def test_archives_give_the_files_in_them_under_their_names(tmp_path: Path) -> None:
    inside = ENGLISH.encode()
    found = read(
        tmp_path,
        a__csv=inside,
        b__csv__gz=gzip.compress(inside) + gzip.compress(inside),
        c__csv__zst=zstd(inside),
        d__zip=zipped(
            ("../../up.csv", inside), ("deep/x.csv", inside), ("more.zip", zipped(("z.csv", inside))), ("a.exe", b"MZ"),
            ("__MACOSX/._x.csv", b"no"), ("old/x.csv", CHINESE.encode("gb18030")),
        ),
    )  # fmt: skip
    texts = {plain.label: plain.path.read_text(encoding="utf-8") for plain in found.files}
    assert texts == {
        "a.csv": ENGLISH,
        "b.csv.gz": 2 * ENGLISH,
        "c.csv.zst": ENGLISH,
        "d.zip/up.csv": ENGLISH,
        "d.zip/deep/x.csv": ENGLISH,
        "d.zip/old/x.csv": CHINESE,
    }
    assert found.files[0].path == tmp_path / "a.csv"
    assert all(plain.path.parent == tmp_path / ".work" / "unpacked" for plain in found.files[1:])
    assert [plain.source_number for plain in found.files] == [0, 1, 2, 3, 3, 3]
    assert "d.zip: 1 archives in it were left out: unpack them and give the files" in found.notes
    assert "d.zip: 1 files in it were left out: no logs by their endings" in found.notes


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstd, lambda data: zipped(("log.csv", data))], ids=["gz", "zst", "zip"]
)
def test_an_archive_bomb_is_stopped_while_it_unpacks(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 1 << 20)
    packed = pack(bytes(64 << 20))
    monkeypatch.setattr(unpacking, "MOST_TIMES", (4 << 20) // len(packed))
    text = refusal(tmp_path, "log__csv__gz", packed)
    assert "unpacks to more than" in text
    assert not list((tmp_path / ".work" / "unpacked").iterdir())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("log__csv__gz", gzip.compress(os.urandom(9999))[:-40], "log.csv.gz ends too early: it was cut off"),
        ("log__csv__zst", zstd(os.urandom(9999))[:-40], "log.csv.zst ends too early: it was cut off"),
        ("log__zip", zipped(("a.csv", os.urandom(9999)))[:-40], "log.zip ends too early: it was cut off"),
        ("log__csv__gz", gzip.compress(gzip.compress(b"a,b\n")), "log.csv.gz holds another archive"),
        ("log__csv", b"\x89PNG\r\n" + bytes(range(256)) * 9, "log.csv is a binary file, not text"),
        ("log__csv", bytes(9999), "log.csv is a binary file, not text"),
        ("log__zip", zipped(("a.exe", b"MZ")), "log.zip holds no logs"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_by_name(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    assert refusal(tmp_path, name, data) == message


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(("log.csv", b"role,text\n")))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1
    assert refusal(tmp_path, "log__zip", bytes(data)) == "log.zip is encrypted"


def test_one_refused_file_does_not_stop_the_others(tmp_path: Path) -> None:
    found = read(tmp_path, a__csv=ENGLISH.encode(), b__csv__gz=gzip.compress(os.urandom(9999))[:-40])
    assert [plain.label for plain in found.files] == ["a.csv"]
    assert [fault.where for fault in found.refused] == ["b.csv.gz"]
    assert found.notes == ("b.csv.gz ends too early: it was cut off: left out",)


def test_links_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.csv").write_text(ENGLISH)
    (tmp_path / "deep" / "again").symlink_to(tmp_path)
    (tmp_path / "same.csv").symlink_to(tmp_path / "deep" / "a.csv")
    (tmp_path / "self.csv").symlink_to(tmp_path / "self.csv")
    sources, warnings = find_sources([tmp_path])
    assert [source.label for source in sources] == ["deep/a.csv"]
    assert warnings == ["2 links were left out: they lead back to a folder that holds them, or nowhere"]


def test_empty_files_and_files_of_other_kinds_are_left_out_with_a_word(tmp_path: Path) -> None:
    for name, text in (("a.csv", ENGLISH), ("b.csv", ""), ("c.exe", "x"), ("README.md", "x"), (".hidden.csv", "x")):
        (tmp_path / name).write_text(text)
    sources, warnings = find_sources([tmp_path])
    assert [source.label for source in sources] == ["a.csv"]
    assert warnings[0] == "b.csv is empty and was left out"
    assert warnings[1].startswith("1 files were left out: they end in none of .csv")
