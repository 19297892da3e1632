"""A crash or Ctrl-C at any named point: the same command again goes on, and nothing half-made is ever used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from servers import Server
from standins import Place, make_place

from lf_bridge.points import POINTS

RUN = ("run", "recipes/mini.yaml", "--json", "--show-text")


def crash(place: Place, point: str, mode: str, command: tuple[str, ...] = RUN) -> int:
    """Run the chain up to a point; returns the exit code."""
    driver = str(Path(__file__).parent / "fault_driver.py")
    return place.command(driver, point, mode, *command, LFB_STANDIN_SECONDS="0.5").code


def check_invariants(place: Place) -> None:
    """What is in its place is whole: a dataset that reads, steps with their record, releases that are recorded."""
    dataset = place.root / "data" / "dataset"
    if (dataset / "dataset_info.json").exists():
        information = json.loads((dataset / "dataset_info.json").read_text())
        for name in ("support_train", "support_validation"):
            assert json.loads((dataset / information[name]["file_name"]).read_text())
    for run in (place.root / "runs").glob("[!.]*-*"):
        for step in run.glob("[!.]*"):
            assert step.suffix == ".unfinished" or (step / "step.json").exists()
    for release in (place.root / "releases").glob("[!.]*/*.json"):
        assert json.loads(release.read_text())["gguf_digest"]


def crash_everywhere(place: Place, mode: str, command: tuple[str, ...] = RUN) -> None:
    """One workspace, crashed at each point in turn: each rerun passes the last point and dies at the next."""
    expected = -9 if mode == "kill" else 130
    for point in POINTS:
        assert crash(place, point, mode, command) == expected, f"`{point}` was never reached"
        check_invariants(place)
    report = json.loads(place.lfb(*command).out)
    assert report["release"]["answer"]
    assert list((place.root / "runs").rglob("*.unfinished")) == []


@pytest.mark.chain
@pytest.mark.parametrize("mode", ["kill", "interrupt"])
def test_the_chain_survives_a_crash_at_every_point(tmp_path: Path, mode: str) -> None:
    crash_everywhere(make_place(tmp_path), mode)


@pytest.mark.chain
@pytest.mark.parametrize("mode", ["kill"])
def test_latest_always_serves_a_model_that_answered(tmp_path: Path, server: Server, mode: str) -> None:
    """A second version is crashed at each point of publishing: until it has answered, `latest` stays the first."""
    place = make_place(tmp_path)
    name = f"crash-{server.version.replace('.', '-')}"
    place.recipe(
        (place.root / "recipes" / "mini.yaml")
        .read_text()
        .replace("name: mini-bot, to: local", f"name: {name}, to: ollama")
    )
    place.environment["OLLAMA_HOST"] = server.address
    first = json.loads(place.lfb(*RUN).out)["release"]
    place.recipe((place.root / "recipes" / "mini.yaml").read_text().replace("num_ctx: 256", "num_ctx: 320"))
    moved = POINTS.index("publish: after latest")
    for point in (point for point in POINTS if point.startswith("publish:")):
        assert crash(place, point, mode) == -9, f"`{point}` was never reached"
        listed = server.command("list", folder=tmp_path).splitlines()
        digests = {line.split()[0]: line.split()[1] for line in listed[1:]}
        version = (
            first["tag"]
            if POINTS.index(point) < moved
            else next(tag for tag in digests if tag not in (first["tag"], f"{name}:latest") and tag.startswith(name))
        )
        assert digests[f"{name}:latest"] == digests[version]
    assert json.loads(place.lfb(*RUN).out)["release"]["tag"] != first["tag"]
