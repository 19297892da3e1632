"""What `prepare.yaml` and `mapping.yaml` may say: every rule of `lfb prepare`, its default and its source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lf_bridge.recipe.model import Section

Action = Literal["drop", "off"]
Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[tuple[str, ...], Field(strict=False)]  # YAML has lists


class Threads(Section):
    """How messages become conversations."""

    gap_minutes: Annotated[float, Field(gt=0)] = Field(
        120,
        description="Silence after which another conversation begins, where an export has only people or channels.",
    )
    merge_minutes: Annotated[float, Field(ge=0)] = Field(
        1440,
        description="Messages of one speaker in a row become one turn; an agent's message that follows his last one "
        "after a longer silence is a follow-up and dropped; 0: they are always merged.",
    )
    bots: Literal["agent", "drop"] = Field(
        "drop", description="What a bot wrote: taught like an agent's answer, or dropped."
    )


class Knowledge(Section):
    """What a reply relied on, where the export has it in a column of its own."""

    in_prompt: bool = Field(
        False, description="Put it before the question, so that a model to be served with retrieval is trained with it."
    )
    form: str = Field(
        "Use what is known here:\n{knowledge}\n\n{question}",
        description="How: `{knowledge}` and `{question}` are filled in.",
    )

    @field_validator("form")
    @classmethod
    def _has_both(cls, value: str) -> str:
        try:
            value.format(knowledge="", question="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("may hold `{knowledge}` and `{question}` and no other braces") from None
        if "{knowledge}" not in value or "{question}" not in value:
            raise ValueError("lacks `{knowledge}` or `{question}`")
        return value


class Cleaning(Section):
    """What is taken away from the words."""

    html: bool = Field(True, description="Turn HTML into text.")
    quoted_replies: bool = Field(True, description="Remove quoted earlier mails, on e-mail channels only.")
    signatures: bool = Field(True, description="Remove signatures and mail footers, on e-mail channels only.")
    unicode: bool = Field(True, description="Mend mojibake, remove zero-width and control characters, NFC.")
    noise: bool = Field(True, description="Remove leading mentions, agents' sign-offs (^JK), split markers (1/2).")


class Privacy(Section):
    """How personal data is replaced."""

    replace: Literal["surrogate", "placeholder", "off"] = Field(
        "surrogate",
        description="Realistic stand-ins that belong to nobody; or `[PHONE_1A2B]`, conversations with one in an answer "
        "being cut before it; or nothing at all.",
    )
    types: Words = Field(
        (
            "name", "email", "phone", "id_card", "bank_card", "iban", "order", "tracking", "address", "plate", "url",
            "ip", "handle", "wechat", "qq",
        ),
        description="Types that are looked for.",
    )  # fmt: skip
    allow: Words = Field(
        (), description="The company's own hotlines, mail addresses, domains and names: they are kept as they are."
    )
    public_hotlines: bool = Field(True, description="Keep 400 and 800 numbers, 95xxx, 100xx and emergency numbers.")
    presidio: bool = Field(False, description="Also ask presidio's recognizers (extra `presidio`; slow).")
    spacy_model: str | None = Field(None, description="Folder of a spaCy model for presidio's names and places.")


class Quarantine(Section):
    """The second scan of what would be written."""

    limit: Share = Field(0.01, description="Largest share of conversations with a finding before the run fails.")


class Quality(Section):
    """Which conversations are worth learning from. Source of each default: docs/data.md."""

    too_short: Action = Field("drop", description="Conversations whose answers hold fewer words than `least_words`.")
    least_words: Annotated[int, Field(ge=0)] = Field(
        2, description="Words (Chinese: characters) that all answers of a conversation hold together, at least."
    )
    most_turns: Annotated[int, Field(ge=2)] = Field(60, description="Longer conversations are dropped as `too_long`.")
    too_long: Action = Field("drop", description="Conversations of more than `most_turns` turns.")
    deflection: Action = Field("drop", description="Conversations in which every answer only sends elsewhere.")
    abusive_agent: Action = Field("drop", description="Conversations in which an agent insults.")
    unresolved: Action = Field("drop", description="Conversations that the export calls unresolved or reopened.")
    badly_rated: Action = Field("drop", description="Conversations that the customer rated badly.")
    ungrounded: Literal["cut", "drop", "off"] = Field(
        "cut",
        description="Answers that state an order status, price or number found nowhere before: the conversation ends "
        "before the first, or is dropped, or is left.",
    )
    languages: Words = Field(
        (), description="Languages to keep (`zh`, `en`, ...), told by script and common words; empty: all."
    )


class Duplicates(Section):
    """What is said more than once."""

    exact: Action = Field("drop", description="Conversations with the same last question and answer, but one.")
    near: Action = Field("drop", description="Conversations whose last question and answer are nearly the same.")
    near_similarity: Annotated[float, Field(ge=0.5, le=1)] = Field(
        0.8, description="Jaccard similarity of character 4-grams from which two are nearly the same."
    )
    template_cap: Annotated[int, Field(ge=0)] = Field(
        50, description="Conversations kept for each answer that differs only in digits and names; 0: no cap."
    )


class Split(Section):
    """Who is held out."""

    by: Literal["customer", "time"] = Field(
        "customer", description="By a keyed hash of the customer, or the latest conversations."
    )
    leak_check: bool = Field(True, description="Fail where a validation example has a twin in the training split.")


class PrepareSettings(Section):
    """Everything `prepare.yaml` can set."""

    threads: Threads = Field(Threads(), description="How messages become conversations.")
    knowledge: Knowledge = Field(Knowledge(), description="What a reply relied on.")
    cleaning: Cleaning = Field(Cleaning(), description="What is taken away from the words.")
    privacy: Privacy = Field(Privacy(), description="How personal data is replaced.")
    quarantine: Quarantine = Field(Quarantine(), description="The second scan of what would be written.")
    quality: Quality = Field(Quality(), description="Which conversations are worth learning from.")
    duplicates: Duplicates = Field(Duplicates(), description="What is said more than once.")
    split: Split = Field(Split(), description="Who is held out.")


class Mapping(Section):
    """Which column means what, for tables that are not understood by themselves; `lfb inspect` writes one."""

    layout: Literal["messages", "question_answer", "transcript"] = Field(
        "messages", description="One message a row, one question with its answer a row, or one whole chat a row."
    )
    text: str | None = Field(None, description="Column with the words (layouts messages and transcript).")
    conversation: str | None = Field(None, description="Column with the conversation's id.")
    parent: str | None = Field(None, description="Column with the id of the message replied to.")
    message: str | None = Field(None, description="Column with the message's id.")
    customer: str | None = Field(None, description="Column with the customer's id.")
    role: str | None = Field(None, description="Column that says who speaks.")
    time: str | None = Field(None, description="Column with the time.")
    time_format: str | None = Field(None, description="Its form, as in strptime (`%d/%m/%Y %H:%M`).")
    timezone: str = Field("UTC", description="Zone of times that name none.")
    question: str | None = Field(None, description="Column with the question.")
    answer: str | None = Field(None, description="Column with the answer.")
    names: Words = Field((), description="Columns with people's names, replaced wherever they stand.")
    context: str | None = Field(None, description="Column with the knowledge that the answer relied on.")
    draft: str | None = Field(None, description="Column with the answer before a person edited it.")
    rating: str | None = Field(None, description="Column with the customer's rating.")
    resolved: str | None = Field(None, description="Column that says whether it was resolved.")
    kind: Literal["text", "html", "email_text", "email_html"] = Field("text", description="What the words are.")
    customer_values: Words = Field((), description="Values of `role` that mean the customer.")
    agent_values: Words = Field((), description="Values of `role` that mean an agent.")
    bot_values: Words = Field((), description="Values of `role` that mean a bot.")
    skip_values: Words = Field((), description="Values of `role` that are never training text.")
