"""Presidio's recognizers beside ours: optional, slow (about 1,000 messages a second), and off by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.prepare.privacy.findings import Finding

# https://microsoft.github.io/presidio/supported_entities/, those that name one of our types.
_TYPES = {
    "PERSON": "name", "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "bank_card",
    "IBAN_CODE": "iban", "IP_ADDRESS": "ip", "LOCATION": "address", "US_SSN": "id_card", "UK_NINO": "id_card",
    "US_PASSPORT": "id_card", "US_DRIVER_LICENSE": "id_card", "US_ITIN": "id_card", "IN_AADHAAR": "id_card",
    "ES_NIF": "id_card", "IT_FISCAL_CODE": "id_card", "SG_NRIC_FIN": "id_card", "AU_TFN": "id_card",
}  # fmt: skip
_LEAST_SCORE = 0.4


def load_presidio(model: str | None) -> Callable[[str], Iterator[Finding]]:
    """A recognizer that asks presidio-analyzer (2.2) in English.

    ``model`` is the folder of a spaCy model, for people and places; without one only presidio's patterns are asked.
    Raises LfbError where presidio or the folder is not there. Nothing is downloaded.
    """
    try:
        presidio_analyzer = import_module("presidio_analyzer")
        spacy = import_module("spacy")
    except ImportError:
        raise LfbError(
            "privacy.presidio is on, and presidio is not installed", hint='pip install "lf-bridge[presidio]"'
        ) from None
    if model and not Path(model).is_dir():
        raise LfbError(
            f"privacy.spacy_model: no folder {model}", hint="give the folder of a spaCy model on this machine"
        )

    base: Any = import_module("presidio_analyzer.nlp_engine").SpacyNlpEngine

    class Engine(base):  # type: ignore[misc]
        """SpacyNlpEngine fetches models by name; this one takes what is on the disk."""

        def load(self) -> None:
            self.nlp = {"en": spacy.load(model) if model else spacy.blank("en")}

    engine = Engine(models=[{"lang_code": "en", "model_name": model or "blank"}])
    analyzer = presidio_analyzer.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def find(text: str) -> Iterator[Finding]:
        for result in analyzer.analyze(text, "en", entities=list(_TYPES), score_threshold=_LEAST_SCORE):
            value = " ".join(text[result.start : result.end].split()).lower()
            yield Finding(result.start, result.end, _TYPES[result.entity_type], value)

    return find
