"""Fetch a model from ModelScope. Request: {model, revision}. Response: {folder}."""

import json
import sys
from pathlib import Path


class InsideError(Exception):
    """Refused; the text is for the user."""


def main(asked: str, answered: str) -> None:
    request = json.loads(Path(asked).read_text())
    try:
        from modelscope import snapshot_download
    except ModuleNotFoundError as error:
        raise InsideError("`model.hub: modelscope` needs `pip install modelscope`") from error
    revision = None if request["revision"] == "main" else request["revision"]
    Path(answered).write_text(json.dumps({"folder": snapshot_download(request["model"], revision=revision)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
