"""The merge, and the proof that what was written is the tuned model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lf_bridge import points
from lf_bridge.errors import Fault, LfbError
from lf_bridge.factory.arguments import export_arguments, find_command
from lf_bridge.factory.base import check_base
from lf_bridge.factory.train import SETTINGS
from lf_bridge.factory.weights import check_weights
from lf_bridge.handover import Environment, MergedModel, Run
from lf_bridge.process import run, run_inside
from lf_bridge.recipe.model import Recipe
from lf_bridge.recipe.yaml_file import write_yaml
from lf_bridge.talk import Talk
from lf_bridge.workspace import Step, build, commit, folder_bytes, keyed_step

FORMAT = 1
# Mean absolute difference of logits over their standard deviation that rounding alone may make, by number format.
# A float32 merge was measured at 4e-7; the half formats keep 11 and 8 bits of each weight.
TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 5e-2}


def export(trained: Run, recipe: Recipe, validation: Path, environment: Environment, talk: Talk) -> MergedModel:
    """Merge the run's adapter into its base (keyed step inside the run's folder) and prove the result.

    ``validation`` is the held-out ShareGPT file. The proof: base plus adapter and the merged model give the same
    logits on held-out turns, the merged model differs from the base, its own chat template renders what was trained,
    its configs end an answer with the token that the template does. Raises ``LfbError`` naming what does not hold.
    """
    step = keyed_step(
        trained.folder,
        "export",
        {
            "format": FORMAT,
            "run": trained.key,
            "export": recipe.export.model_dump(),
            "evaluate": recipe.evaluate.model_dump(),
            "versions": dict(environment.versions),
        },
    )
    if step.result() is not None:
        talk.say("export: finished already")
        return _merged(step, trained)
    command = find_command(environment)
    check_base(trained.base)
    with build(step) as working:
        points.reach("export: before merge")
        started = time.monotonic()
        model, log = working / "model", working / "export.log"
        write_yaml(
            working / "export.yaml",
            export_arguments(
                recipe,
                base=Path(trained.base.location) if trained.adapter else trained.result,
                adapter=trained.result if trained.adapter else None,
                output=model,
            ),
        )
        with talk.meter("export", "merge and proof") as meter:
            meter.update(0, 2, "merging")
            run([str(command), "export", str(working / "export.yaml")], log=log, environment=SETTINGS)
            _check_files(model)
            points.reach("export: after merge")
            meter.update(1, 2, "comparing with base and adapter")
            cases = working / "cases.jsonl"
            cases.touch(mode=0o600)
            proof = run_inside(
                environment.python,
                "prove",
                _request(trained, recipe, validation, model, cases),
                log=log,
                environment=SETTINGS,
            )
            meter.update(2, 2)
        _check_proof(proof)
        points.reach("export: after proof")
        for mended in proof["mended"]:
            talk.say(f"export: mended: {mended}")
        points.reach("export: before commit")
        seconds = round(time.monotonic() - started, 1)
        commit(step, {"proof": proof, "seconds": seconds, "bytes": folder_bytes(model)})
    points.reach("export: after commit")
    talk.say(
        f"export: merged model equals base plus adapter (logit difference {proof['merge_difference']:.1e}) "
        f"and differs from the base ({proof['tuning_change']:.1e})"
    )
    return _merged(step, trained)


def _request(trained: Run, recipe: Recipe, validation: Path, model: Path, cases: Path) -> dict[str, Any]:
    return {
        "base": trained.base.location,
        "adapter": str(trained.result) if trained.adapter else None,
        "tuned": None if trained.adapter else str(trained.result),
        "merged": str(model),
        "template": trained.template,
        "validation": str(validation),
        "cases": recipe.evaluate.cases,
        "questions": 0 if trained.stage == "pt" else recipe.evaluate.questions,
        "answer_tokens": recipe.evaluate.answer_tokens,
        "trust_remote_code": recipe.model.trust_remote_code,
        "device": recipe.compute.device,
        "output": str(cases),
    }


def _check_files(model: Path) -> None:
    check_weights(model, adapter=False)
    missing = [
        name for name in ("config.json", "tokenizer.json", "tokenizer_config.json") if not (model / name).exists()
    ]
    if "tokenizer.json" in missing and (model / "tokenizer.model").exists():
        missing.remove("tokenizer.json")
    if missing:
        raise LfbError(
            "the export ended with exit code 0 but is not whole",
            faults=[Fault(name, "was not written") for name in missing],
            hint="read export.log in that run, then run the same command again",
        )


def _check_proof(proof: dict[str, Any]) -> None:
    tolerance = TOLERANCE.get(proof["dtype"], TOLERANCE["bfloat16"])
    difference, change = proof["merge_difference"], proof["tuning_change"]
    faults = []
    if not 0 <= difference <= tolerance:
        faults.append(
            Fault("merge", f"differs from base plus adapter by {difference:.1e}; at most {tolerance:.0e} is rounding")
        )
    if not change > 2 * abs(difference):
        faults.append(Fault("tuning", f"the merged model differs from the base by {change:.1e} only: it is the base"))
    if proof["embedding_rows"] < proof["vocabulary"]:
        faults.append(Fault("vocabulary", f"{proof['vocabulary']} tokens but {proof['embedding_rows']} embedding rows"))
    if faults:
        raise LfbError(
            "the merged model is not the tuned one",
            faults=faults,
            hint="`lfb doctor` checks the versions; then run `lfb export` again",
        )


def _merged(step: Step, trained: Run) -> MergedModel:
    result = step.result()
    assert result is not None
    return MergedModel(
        run=trained,
        folder=step.folder / "model",
        cases=step.folder / "cases.jsonl",
        key=step.key,
        bytes=result["bytes"],
        seconds=result["seconds"],
        mended=tuple(result["proof"]["mended"]),
    )
