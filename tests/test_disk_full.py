"""A full disk at different moments: one clear error, nothing half-made, and the same command goes on afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins import Place, make_place
from test_faults import check_invariants

pytestmark = pytest.mark.chain  # with the real quantizer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def leave(disk: Path, kilobytes: int) -> None:
    """Fill the disk but for so many kilobytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = int(subprocess.run(["stat", "-f", "-c", "%a", str(disk)], capture_output=True, text=True).stdout) * 4096
    filler.write_bytes(b"\0" * max(0, free - kilobytes * 1024))


@pytest.mark.parametrize("kilobytes", [0, 8, 40, 100, 200, 400])
def test_a_full_disk_is_said_and_survived(small_disk: Path, kilobytes: int) -> None:
    place: Place = make_place(small_disk / "workspace")
    leave(small_disk, kilobytes)
    failed = place.lfb("run", "recipes/mini.yaml", "--json", code=1)
    assert failed.out == ""
    assert failed.err.count("error:") == 1
    assert "No space left on device" in failed.err, failed.err
    assert "hint:" in failed.err
    (small_disk / "filler").unlink()
    check_invariants(place)
    assert place.lfb("run", "recipes/mini.yaml", "--json").out.startswith("{")
