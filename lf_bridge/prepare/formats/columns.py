"""The names under which exports keep what we need, and which column of a file is which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lf_bridge.errors import Fault, LfbError

# In the order of preference: the first name that a file has is taken.
NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (
        "text", "body", "message", "content", "message_text", "body_text", "plain_body", "utterance", "msg", "内容",
    ),
    "conversation": (
        "conversation_id", "conversationid", "thread_id", "ticket_id", "session_id", "chat_id", "case_id",
        "dialogue_id", "dialog_id", "convo_id", "conversation", "thread", "ticket", "会话",
    ),
    "role": (
        "role", "author_role", "authorrole", "author_type", "sender_type", "speaker", "sender", "author", "from",
        "direction", "inbound", "incoming", "is_customer", "from_customer", "from_agent", "is_agent", "角色",
    ),
    "message": ("message_id", "messageid", "msg_id", "comment_id", "utterance_id", "tweet_id", "id"),
    "customer": (
        "customer_id", "requester_id", "contact_id", "visitor_id", "end_user_id", "user_id", "author_id", "sender_id",
        "customer",
    ),
    "time": ("created_at", "timestamp", "sent_at", "date", "time", "datetime", "created", "ts", "created_time"),
    "question": ("question", "instruction", "prompt", "query", "input", "customer_message", "问题"),
    "answer": ("answer", "response", "reply", "output", "completion", "agent_message", "答案", "回答"),
}  # fmt: skip
CUSTOMER = {
    "customer", "user", "client", "visitor", "human", "end_user", "enduser", "consumer", "requester", "guest", "buyer",
    "caller", "contact", "lead", "inbound", "incoming", "客户", "用户", "买家",
}  # fmt: skip
AGENT = {
    "agent", "assistant", "support", "bot", "operator", "admin", "representative", "rep", "staff", "advisor", "gpt",
    "human_agent", "outbound", "outgoing", "客服", "坐席", "卖家",
}  # fmt: skip
SYSTEM = {"system", "note", "internal", "internal_note", "private_note", "event", "activity"}
# Columns that say yes or no, and what yes means.
YES_MEANS = {
    "inbound": "customer", "incoming": "customer", "is_customer": "customer", "from_customer": "customer",
    "from_agent": "agent", "is_agent": "agent",
}  # fmt: skip
_YES, _NO = {"true", "1", "yes", "t"}, {"false", "0", "no", "f"}


def plain(name: str) -> str:
    """A column name or role as it is compared: ``Conversation ID`` is ``conversation_id``."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def find(columns: Sequence[str], meaning: str) -> list[str]:
    """The columns that can hold ``meaning``, the preferred one first."""
    known = NAMES[meaning]
    return sorted((name for name in columns if plain(name) in known), key=lambda name: known.index(plain(name)))


def role_of(value: str, column: str) -> str:
    """``customer``, ``agent``, ``system`` or ``unknown``, for a cell of a role column."""
    role = plain(value)
    if plain(column) in YES_MEANS and role in _YES | _NO:
        yes = YES_MEANS[plain(column)]
        return yes if role in _YES else {"customer": "agent", "agent": "customer"}[yes]
    for name, values in (("customer", CUSTOMER), ("agent", AGENT), ("system", SYSTEM)):
        if role in values:
            return name
    return "unknown"


def refuse(label: str, columns: Sequence[str], missing: Sequence[str]) -> LfbError:
    """The error for a file that lacks columns. Without a header line the first row is somebody's words: then only the
    names that exports are known to use are shown, and the others counted."""
    is_header = all(re.fullmatch(r"[A-Za-z_][\w.-]{0,39}", name) for name in columns)
    usual = {name for names in NAMES.values() for name in names}
    shown = [f"`{name}`" for name in columns if plain(name) in usual or (is_header and "_" in name)]
    if len(shown) < len(columns):
        shown.append(f"{len(columns) - len(shown)} with names that are not shown: they could be somebody's words")
    names = " and no ".join(f"{one} column" for one in missing)
    return LfbError(
        f"{label} has no {names}",
        faults=[
            Fault("columns it has", ", ".join(shown) or "none"),
            *(Fault(f"{one} can be called", ", ".join(NAMES[one])) for one in missing),
        ],
        hint="rename the columns in the export: it needs text, conversation and role, or question and answer",
    )
