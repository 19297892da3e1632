"""What a recipe means in LLaMA-Factory's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.handover import Environment
from lf_bridge.process import find_beside
from lf_bridge.recipe.model import Recipe


def training_arguments(
    recipe: Recipe,
    *,
    base: Path,
    output: Path,
    dataset_folder: Path,
    dataset: str,
    validation: str | None,
    environment: Environment,
) -> dict[str, Any]:
    """The arguments of `llamafactory-cli train`; every path is absolute.

    Enumerations and types are checked by the recipe, since LLaMA-Factory checks neither.
    """
    train, method, compute = recipe.train, recipe.method, recipe.compute
    precision = chosen_precision(recipe, environment)
    arguments: dict[str, Any] = {
        "model_name_or_path": str(base.resolve()),
        "trust_remote_code": recipe.model.trust_remote_code,
        "template": recipe.model.template,
        "stage": method.stage,
        "do_train": True,
        "finetuning_type": method.finetuning,
        "dataset_dir": str(dataset_folder.resolve()),
        "dataset": dataset,
        "cutoff_len": recipe.data.cutoff_length,
        "preprocessing_num_workers": compute.workers,
        "output_dir": str(output.resolve()),
        "logging_steps": train.logging_steps,
        "logging_nan_inf_filter": False,
        "save_steps": train.save_steps,
        "save_total_limit": 2,
        "report_to": "none",
        "per_device_train_batch_size": train.batch_size,
        "gradient_accumulation_steps": train.gradient_accumulation,
        "learning_rate": train.learning_rate,
        "num_train_epochs": train.epochs,
        "lr_scheduler_type": train.scheduler,
        "warmup_ratio": train.warmup_ratio,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_gradient_norm,
        "seed": train.seed,
        "flash_attn": compute.attention,
        "disable_gradient_checkpointing": not compute.gradient_checkpointing,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": runs_on_cpu(recipe, environment),
    }
    if train.max_steps is not None:
        arguments["max_steps"] = train.max_steps
    if method.finetuning == "lora":
        arguments |= {
            "lora_rank": method.rank,
            "lora_alpha": method.alpha or 2 * method.rank,
            "lora_dropout": method.dropout,
            "lora_target": method.target,
        }
    if recipe.model.scratch is not None:
        arguments["train_from_scratch"] = True
    if compute.base_quantization is not None:
        arguments |= {"quantization_bit": compute.base_quantization, "quantization_method": "bnb"}
    if validation is not None:
        arguments |= {
            "eval_dataset": validation,
            "per_device_eval_batch_size": train.batch_size,
            "eval_strategy": "steps" if train.evaluate_steps else "epoch",
        }
        if train.evaluate_steps:
            arguments["eval_steps"] = train.evaluate_steps
    return arguments


def export_arguments(recipe: Recipe, *, base: Path, adapter: Path | None, output: Path) -> dict[str, Any]:
    """The arguments of `llamafactory-cli export`: ``base`` is what the adapter goes onto, never a quantized one.

    Without an adapter ``base`` is the whole model that training wrote.
    """
    arguments: dict[str, Any] = {
        "model_name_or_path": str(base.resolve()),
        "trust_remote_code": recipe.model.trust_remote_code,
        "template": recipe.model.template,
        "export_dir": str(output.resolve()),
        "export_size": recipe.export.shard_gigabytes,
        "export_device": recipe.export.device,
    }
    if adapter is not None:
        arguments |= {"adapter_name_or_path": str(adapter.resolve()), "finetuning_type": "lora"}
    else:
        arguments["finetuning_type"] = "full"
    return arguments


def find_command(environment: Environment) -> Path:
    """`llamafactory-cli` of the training environment; raises ``LfbError`` where it is not there."""
    command = find_beside(environment.python, "llamafactory-cli")
    if command is None:
        raise LfbError(
            f"there is no `llamafactory-cli` beside {environment.python}",
            hint="`pip install 'lf-bridge[train]'`, or name the environment that has it with `--train-python`",
        )
    return command


def runs_on_cpu(recipe: Recipe, environment: Environment) -> bool:
    """Whether this training runs on the CPU: asked for, or nothing else there."""
    return recipe.compute.device == "cpu" or environment.device == "cpu"


def chosen_precision(recipe: Recipe, environment: Environment) -> str:
    """The number format that is trained in; ``auto`` takes the best that the device has."""
    if recipe.compute.precision != "auto":
        return recipe.compute.precision
    return "fp32" if runs_on_cpu(recipe, environment) else environment.precision
