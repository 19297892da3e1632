"""The one door to the Hugging Face Hub and its cache on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from lf_bridge.errors import LfbError
from lf_bridge.talk import Talk

_WANTED = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.py")


def find_cached(repo_id: str, revision: str = "main") -> Path | None:
    """The folder of a model in the Hub cache, or None where it is absent or its weights are not all there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(repo_id, revision=revision, local_files_only=True, allow_patterns=list(_WANTED))
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if _is_whole(folder) else None


def fetch(repo_id: str, revision: str, talk: Talk) -> Path:
    """The folder of a model, downloaded into the Hub cache where it is not there.

    Raises ``LfbError`` where there is no such model, it is gated, the Hub may not be asked (``HF_HUB_OFFLINE``) or
    does not answer, and where the disk is full.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    cached = find_cached(repo_id, revision)
    if cached:
        return cached
    talk.say(f"fetching {repo_id} from the Hub")
    try:
        folder = Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(_WANTED)))
    except (HFValidationError, OSError) as error:  # every answer of the Hub that is no model is an OSError
        problem, next_step = _explain(error, repo_id)
        raise LfbError(f"cannot fetch `{repo_id}`: {problem}", hint=next_step) from error
    if not _is_whole(folder):
        raise LfbError(f"`{repo_id}` has no weights in safetensors", hint="name a model that has them in `model.base`")
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether configuration and all weights are there: an interrupted download leaves a folder too."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all((folder / shard).is_file() for shard in shards)


def _explain(error: Exception, repo_id: str) -> tuple[str, str]:
    """What went wrong, and the next step."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # "not in the cache" hides why the Hub was not asked
    match error:
        case errors.OfflineModeIsEnabled():
            return "it is not in the cache, and HF_HUB_OFFLINE forbids the Hub", (
                "`unset HF_HUB_OFFLINE`, or set `model.base` to a folder"
            )
        case errors.GatedRepoError():
            return (
                "its owner asks you to accept a licence first",
                f"accept it on {repo_id}'s page, then `hf auth login`",
            )
        case errors.RepositoryNotFoundError() | errors.RevisionNotFoundError() | errors.HFValidationError():
            return "the Hub has no such model or revision, or it is private", (
                "look at the spelling of `model.base` and `model.revision`; for a private model `hf auth login`"
            )
        case OSError(errno=int(), strerror=str(words)) if not isinstance(error, ConnectionError):
            return words, "free the disk or set HF_HOME to another one, then run the command again"
    return f"the Hub does not answer ({type(error).__name__})", (
        "run the command again, set `model.hub: modelscope`, or set `model.base` to a folder"
    )
