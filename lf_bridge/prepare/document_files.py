"""Which documents there are, and the text of each: Markdown and plain text as it is, HTML and PDF as people read them.

Archives (.zip, .gz) are read in memory, document by document, so that nothing of them is left on the disk.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from lf_bridge import workspace
from lf_bridge.errors import LfbError
from lf_bridge.prepare import encoding
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.formats.peek import is_binary
from lf_bridge.prepare.unpack import MOST_BYTES, MOST_MEMBERS

MARKDOWN, HTML, PDF = (".md", ".markdown"), (".html", ".htm", ".xhtml"), (".pdf",)
ENDINGS = (*MARKDOWN, *HTML, *PDF, ".txt", ".text")
# A manual of 10,000 pages is 30 MB of text. One document is in memory at a time, with a few copies of it.
MOST_DOCUMENT_BYTES = 64 << 20
_SAMPLE = 256 << 10
# Boilerplate of a site, not of a page. Source: HTML Living Standard, 4.3 Sections (nav, footer).
_SITE = "nav, footer, [role=navigation], [role=contentinfo]"


_DAMAGED = LfbError("is damaged", hint="copy or download it again")


_DAMAGED = LfbError("is damaged", hint="copy or download it again")


@dataclass(frozen=True)
class DocumentFile:
    """A file with one document, or an archive of them. ``label`` is its name from the folder that was given."""

    path: Path
    label: str
    digest: str


def find_documents(paths: Sequence[Path]) -> tuple[list[DocumentFile], int]:
    """The files in the order they are read, and how many others were left out.

    Raises ``LfbError`` for a path that does not exist and where there is no document.
    """
    files: dict[str, tuple[Path, str]] = {}
    left_out = 0
    for path in paths:
        if path.is_dir():
            inside = [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
            shown = [(file, name) for file, name in inside if not any(part.startswith(".") for part in name.parts)]
            found = [(file, name.as_posix()) for file, name in shown if _is_document(file.name)]
            left_out += len(shown) - len(found)
        elif path.is_file():
            found = [(path, path.name)]
        else:
            raise LfbError(f"{path} does not exist", hint="`data.documents` names the folder or file with documents")
        for file, label in found:
            files.setdefault(os.path.realpath(file), (file, label))
    if not files:
        hint = f"it reads {', '.join(ENDINGS)}, also in .zip and .gz"
        raise LfbError(f"{', '.join(map(str, paths))} holds no documents", hint=hint)
    return [DocumentFile(file, label, workspace.file_digest(file)) for file, label in files.values()], left_out


def read_texts(file: DocumentFile, work: Path) -> Iterator[tuple[str, str | LfbError, list[str]]]:
    """For each document in a file its label, its text and what was assumed; an error in place of one without text.

    An error's message completes "LABEL ...".
    """
    for label, name, data in _open(file):
        notes: list[str] = []
        try:
            yield label, data if isinstance(data, LfbError) else _text(name, data, label, work, notes), notes
        except LfbError as error:
            yield label, error, notes


def _is_document(name: str) -> bool:
    name = name.lower()
    return name.removesuffix(".gz").endswith(ENDINGS) or name.endswith(".zip")


def _open(file: DocumentFile) -> Iterator[tuple[str, str, bytes | LfbError]]:
    """Label, name and bytes of each document."""
    name = file.path.name.lower()
    if name.endswith(".zip"):
        yield from _members(file)
    elif name.endswith(".gz"):
        yield file.label, name.removesuffix(".gz"), _read(partial(gzip.open, file.path))
    else:
        yield file.label, name, _read(partial(io.FileIO, file.path))


def _members(file: DocumentFile) -> Iterator[tuple[str, str, bytes | LfbError]]:
    try:
        archive = zipfile.ZipFile(file.path)
    except zipfile.BadZipFile:
        yield file.label, "", _DAMAGED
        return
    with archive:
        members = [info for info in archive.infolist() if info.filename.lower().endswith(ENDINGS)]
        members = [info for info in members if not any(part.startswith((".", "__MACOSX")) for part in _parts(info))]
        if not members:
            yield file.label, "", LfbError("holds no documents", hint=f"it reads {', '.join(ENDINGS)}")
        left = MOST_BYTES
        for number, info in enumerate(sorted(members, key=lambda member: member.filename)):
            data = _read(partial(archive.open, info))
            left -= 0 if isinstance(data, LfbError) else len(data)
            if left < 0 or number == MOST_MEMBERS:
                problem = f"holds more than {MOST_MEMBERS} documents or {MOST_BYTES >> 30} GiB: the rest is left out"
                yield file.label, "", LfbError(problem, hint="if it is no archive bomb, unpack it and give the files")
                return
            name = "/".join(_parts(info))
            yield f"{file.label}/{name}", name.lower(), data


def _parts(info: zipfile.ZipInfo) -> list[str]:
    name = "".join(letter if letter.isprintable() else "?" for letter in info.filename.replace("\\", "/"))
    return [part for part in name.split("/") if part not in ("", ".", "..")]


def _read(open_file: Callable[[], IO[bytes] | gzip.GzipFile]) -> bytes | LfbError:
    try:
        with open_file() as stream:
            data = stream.read(MOST_DOCUMENT_BYTES + 1)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile):
        return _DAMAGED
    except (NotImplementedError, RuntimeError):
        return LfbError("is encrypted or packed by a method that cannot be read", hint="unpack it and give the files")
    except OSError as error:
        return LfbError(f"cannot be read: {os.strerror(error.errno or 0)}")
    if len(data) > MOST_DOCUMENT_BYTES:
        return LfbError(f"is larger than {MOST_DOCUMENT_BYTES >> 20} MiB", hint="give it in parts, a chapter a file")
    return data


def _text(name: str, data: bytes, label: str, work: Path, notes: list[str]) -> str:
    if name.endswith(PDF):
        from lf_bridge.prepare.pdf_text import pdf_text

        return pdf_text(data)
    head = data[:_SAMPLE]
    if not encoding.is_wide(head) and is_binary(head):
        raise LfbError("is a binary file, not text", hint="save it as text, Markdown, HTML or PDF")
    text = _decode(data, label, work, notes).removeprefix("\ufeff").replace("\0", "")
    return _page_text(text) if name.endswith(HTML) else text


def _decode(data: bytes, label: str, work: Path, notes: list[str]) -> str:
    if not encoding.is_wide(data[:_SAMPLE]):
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    path, output = work / "document", io.BytesIO()
    try:
        with private_file(path) as file:
            file.write(data)
        notes += encoding.transcode(path, label, output)
    except LfbError as error:
        raise LfbError(error.message.removeprefix(f"{label} "), hint=error.hint) from None
    finally:
        path.unlink(missing_ok=True)
    return output.getvalue().decode()


def _page_text(page: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    from lf_bridge.prepare.cleaning.html_text import html_text

    tree = LexborHTMLParser(page)
    for node in tree.css(_SITE):
        node.decompose()
    return html_text(tree.html or "")[0]
