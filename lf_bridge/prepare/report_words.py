"""The plain English of a dataset's report: what each reason and type means, and what follows from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lf_bridge.prepare.records import Report

# The words of the ledger (``finishing.REASONS``), and one that only whole conversations have.
REASONS: Mapping[str, str] = {
    "no_conversation_id": "Nothing says which conversation the message belongs to.",
    "no_usable_message": "The conversation has no message that can be used.",
    "unreadable": "The record could not be read; the warnings name its file and row.",
    "internal_note": "A note among colleagues, which the customer never saw.",
    "system_event": "Something that the help desk recorded, such as a transfer or a change of status.",
    "automatic_reply": "Sent by a machine, such as an out-of-office reply.",
    "draft": "Written but not sent.",
    "whisper": "Said to a colleague during the chat, not to the customer.",
    "deleted": "Deleted in the help desk.",
    "tool_action": "A step that an agent took in a tool, not something that was said.",
    "not_sent": "Sending failed, so the customer never saw it.",
    "system_message": "Said by the system, neither by a customer nor by an agent.",
    "bot_message": "Said by a bot; `threads.bots: agent` keeps such answers.",
    "unknown_role": "It is not known whether a customer or an agent spoke.",
    "empty_text": "No words are left, for instance because there was only an attachment or a quotation.",
    "already_present": "The dataset had this message before.",
    "repeated": "The same message stands in the logs more than once.",
    "one_sided": "Only one side speaks in the conversation.",
    "before_customer": "An agent spoke before the customer did.",
    "unanswered": "The customer wrote it and no agent answered.",
    "follow_up": "An agent wrote again after a long silence, without being asked.",
    "too_short": "All answers of the conversation together hold too few words.",
    "too_long": "The conversation has more turns than the limit.",
    "deflection": "Every answer only sends the customer elsewhere.",
    "abusive_agent": "An agent insults the customer.",
    "unresolved": "The export says that the case was not solved, or was opened again.",
    "badly_rated": "The customer rated the conversation badly.",
    "ungrounded": "The answer states an order's status, a price or a number that stands nowhere before it.",
    "language": "The conversation is in a language that is not asked for.",
    "placeholder": "The answer would teach a placeholder such as [PHONE_1A2B].",
    "quarantined": "The second scan still saw personal data, so the conversation was set aside.",
    "exact_duplicate": "Another conversation has the same last question and answer.",
    "near_duplicate": "Another conversation has nearly the same last question and answer.",
    "template_capped": "Enough conversations with the same answer template are in the dataset.",
    "twin_across_split": "Its twin is on the other side of the split, so the measurement would be too good.",
    "over_cutoff": "It does not fit into the tokens that the recipe allows.",
}
DUPLICATES = ("exact_duplicate", "near_duplicate", "template_capped", "twin_across_split")
TYPES: Mapping[str, str] = {
    "name": "names", "email": "e-mail addresses", "phone": "telephone numbers", "id_card": "identity numbers",
    "bank_card": "bank cards", "iban": "bank accounts (IBAN)", "order": "order numbers",
    "tracking": "tracking numbers", "address": "addresses", "plate": "number plates", "url": "personal links",
    "ip": "IP addresses", "handle": "social handles", "wechat": "WeChat ids", "qq": "QQ numbers",
}  # fmt: skip
LANGUAGES: Mapping[str, str] = {
    "": "cannot be told", "ar": "Arabic", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "zh": "Chinese",
}  # fmt: skip
PREFERENCES: Mapping[str, str] = {
    "rated": "rated answers (KTO) to train on",
    "rated_validation": "rated answers (KTO) held out",
    "pairs": "pairs of a better and a worse answer (DPO, reward model) to train on",
    "pairs_validation": "pairs of a better and a worse answer (DPO, reward model) held out",
}
# What to do where one reason takes this share of the messages or more. The share is ours.
_MANY = 0.1
_ADVICE: Mapping[str, str] = {
    "no_conversation_id": "look at the file with `lfb inspect` and name the conversation's column in a mapping",
    "unreadable": "export the files again, or mend the rows that the warnings name",
    "unknown_role": "look at the file with `lfb inspect` and name the roles in a mapping",
    "empty_text": "look at the file with `lfb inspect`: perhaps the words are in another column",
    "bot_message": "set `threads.bots: agent` in prepare.yaml if the bot's answers are worth learning",
    "one_sided": "check that the export holds the messages of customers and of agents",
    "unanswered": "check that the export holds the agents' answers, and that roles are told apart (`lfb inspect`)",
    "before_customer": "check that roles are told apart (`lfb inspect`)",
    "ungrounded": "give the knowledge that answers rely on in a context column, or set `quality.ungrounded: off` if "
    "the model will have tools that look it up",
    "deflection": "use logs of a channel on which cases are solved, not passed on",
    "unresolved": "check in the export what counts as solved",
    "badly_rated": "check in the export which ratings are bad ones",
    "exact_duplicate": "expect a narrow model, or add logs of other cases",
    "near_duplicate": "add logs of other cases; `duplicates.near_similarity` sets what counts as near",
    "template_capped": "raise `duplicates.template_cap` only if the repeated answers are what the model should say",
    "placeholder": "use `privacy.replace: surrogate`, which loses no answers",
    "over_cutoff": "raise `data.cutoff_length` in the recipe",
}


def next_steps(report: Report) -> list[str]:
    """What to do next, a sentence or two each, as the numbers have it. Bounds as in docs/data.md."""
    steps = [*_about_counts(report), *_about_content(report)]
    return steps or ["Nothing here asks for a change. Read samples before training: `lfb prepare --show-text`."]


def _about_counts(report: Report) -> Iterator[str]:
    train, held_out = report.conversations.train, report.conversations.validation
    if train < 200:
        little = "too few to learn from" if train < 50 else "few: expect tone and form, not the cases of a company"
        yield f"{train:,} conversations to train on are {little}. Add logs with `lfb prepare --append`."
    if 0 < held_out < 100:
        # Two standard errors of a share of 80%, in percentage points.
        points = 200 * (0.8 * 0.2 / held_out) ** 0.5
        yield (
            f"With {held_out:,} conversations held out, a share of 80% is known to about {points:.0f} points. "
            "More logs, or a larger `data.validation_fraction`, make it surer."
        )
    for reason, count in sorted(report.messages.dropped.items(), key=lambda one: -one[1]):
        if count >= _MANY * report.messages.read and reason in _ADVICE:
            share = count / report.messages.read
            yield f"{count:,} messages ({share:.0%}) were dropped as {reason.replace('_', ' ')}: {_ADVICE[reason]}."


def _about_content(report: Report) -> Iterator[str]:
    aside = report.conversations.dropped.get("quarantined", 0)
    if aside:
        yield (
            f"{aside:,} conversations were set aside because they may still hold personal data. What is the company's "
            "own goes under `privacy.allow` in prepare.yaml; a false finding is accepted with `--allow-finding`."
        )
    if not report.redacted:
        yield (
            "No personal data was replaced, which is rare in support logs. Read some conversations before you share "
            "the dataset, and check `privacy` in prepare.yaml."
        )
    answers = sum(report.lengths.values())
    short = sum(count for most, count in report.lengths.items() if int(most) <= 20)
    if short > answers / 2:
        yield f"{short / answers:.0%} of the answers have 20 characters or fewer, and so will the model's."
    if report.tokens is None:
        yield "Tokens are not counted yet: `lfb train` fits the conversations to the model's tokenizer."
    elif report.tokens.over_cutoff:
        yield (
            f"{report.tokens.over_cutoff:,} conversations are longer than the cutoff and are split between turns; "
            "a larger `data.cutoff_length` in the recipe keeps them whole."
        )
