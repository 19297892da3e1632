"""A new workspace: recipes, sample dialogues, the Modelfile template and what git must not see."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lf_bridge.errors import Fault, LfbError
from lf_bridge.workspace import write_atomic

PACKAGE = Path(__file__).parent
# Conversations, what is trained on them and what is made of that never enter a repository.
IGNORED = ("data/raw/", "data/dataset/", "runs/", "releases/", ".lfb/")
DATA_README = """# Data

- `raw/`: your logs, as CSV or JSON Lines: one message a row, or question and answer. Ignored by git.
- `dataset/`: what `lfb prepare` writes. Ignored by git.
- `sample/`: public sample dialogues with their licence, to try the chain: `lfb prepare data/sample`.
"""


def init(folder: Path) -> tuple[Path, ...]:
    """Write a workspace into ``folder`` and return its files, relative to it.

    A new folder appears whole or not at all. Raises ``LfbError`` where one of the files is there already (all are
    named, nothing is written) or where the folder cannot be written.
    """
    files = _contents()
    existing = sorted(name for name in files if (folder / name).exists())
    if folder.exists() and not folder.is_dir():
        raise LfbError(f"{folder} is not a folder", hint="name a new folder: `lfb init my-bot`")
    if existing:
        raise LfbError(
            f"{folder} has {len(existing)} of these files already",
            faults=[Fault(str(folder / name), "exists") for name in existing],
            hint="name a new folder: `lfb init my-bot`",
        )
    try:
        if folder.exists():
            _write(folder, files)
        else:
            _build(folder, files)
    except OSError as error:
        raise LfbError(f"cannot write {folder}: {error.strerror}", hint="name a folder you may write to") from error
    return tuple(sorted(files))


def _build(folder: Path, files: dict[Path, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write(unfinished, files)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path, files: dict[Path, bytes]) -> None:
    for name, content in files.items():
        write_atomic(folder / name, content, replace=False)


def shelf_root() -> Path:
    """The folder of the shipped `recipes/` and `data/sample/`."""
    shelf = PACKAGE / "shelf"  # in a wheel; a clone has the same two folders at its root
    return shelf if shelf.is_dir() else PACKAGE.parent


def _contents() -> dict[Path, bytes]:
    """Every file of a new workspace, by its path in it."""
    root = shelf_root()
    sources = [*sorted((root / "recipes").glob("*.yaml")), *sorted((root / "data" / "sample").rglob("*"))]
    files = {path.relative_to(root): path.read_bytes() for path in sources if path.is_file()}
    return files | {
        Path("Modelfile.template"): (PACKAGE / "publish" / "Modelfile.template").read_bytes(),
        Path("data/README.md"): DATA_README.encode(),
        Path(".gitignore"): "".join(f"{line}\n" for line in IGNORED).encode(),
    }
