"""The names under which exports keep what we need, and what their cells mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# In the order of preference: the first name that a file has is taken. Names as `plain` writes them.
NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (
        "text", "body", "message", "content", "message_text", "body_text", "plain_body", "message_body", "utterance",
        "msg", "comment", "comment_body", "message_content", "body_html", "html_body", "message_html", "content_html",
        "内容", "消息", "消息内容", "聊天内容", "发言内容",
    ),
    "conversation": (
        "conversation_id", "conversationid", "thread_id", "ticket_id", "session_id", "chat_id", "case_id",
        "dialogue_id", "dialog_id", "convo_id", "ticket_number", "conversation", "thread", "ticket", "session", "会话",
        "会话_id", "会话id", "会话编号", "工单号", "工单编号",
    ),
    "parent": (
        "parent_id", "parent_message_id", "in_reply_to", "in_reply_to_id", "reply_to", "reply_to_id",
        "reply_to_message_id", "in_response_to", "in_response_to_id", "replied_to", "parent",
    ),
    "role": (
        "role", "author_role", "authorrole", "author_type", "sender_type", "sender_role", "from_type", "speaker_role",
        "speaker", "sender", "author", "from", "direction", "inbound", "incoming", "is_customer", "from_customer",
        "from_agent", "is_agent", "角色", "发送方", "发送者", "发言人", "说话人",
    ),
    "message": ("message_id", "messageid", "msg_id", "comment_id", "utterance_id", "tweet_id", "id", "消息_id"),
    "customer": (
        "customer_id", "requester_id", "contact_id", "visitor_id", "end_user_id", "客户_id", "客户编号", "customer",
        "user_id", "author_id", "sender_id",
    ),
    "time": (
        "created_at", "timestamp", "sent_at", "date", "time", "datetime", "created", "ts", "created_time",
        "create_time", "send_time", "message_time", "date_time", "sent_time", "时间", "发送时间", "创建时间",
    ),
    "question": (
        "question", "instruction", "prompt", "query", "input", "customer_message", "user_message", "问题", "提问",
    ),
    "answer": (
        "answer", "response", "reply", "output", "completion", "agent_message", "agent_reply", "答案", "回答", "答复",
    ),
    "context": (
        "context", "retrieved_context", "retrieved", "retrieved_documents", "knowledge", "knowledge_base", "documents",
        "知识", "参考资料",
    ),
    "draft": (
        "draft_text", "draft_reply", "draft_answer", "draft", "suggested_reply", "suggested_response", "ai_draft",
        "ai_suggestion", "original_answer", "original_reply", "草稿",
    ),
    "rating": (
        "rating", "csat", "csat_score", "satisfaction", "satisfaction_rating", "satisfaction_score", "feedback_rating",
        "评分", "满意度",
    ),
    "resolved": (
        "resolved", "is_resolved", "solved", "is_solved", "reopened", "is_reopened", "status", "ticket_status",
        "conversation_status", "case_status", "state", "是否解决", "状态",
    ),
    "transcript": (
        "transcript", "chat_transcript", "conversation_text", "chat_log", "chat_history", "dialogue", "dialog",
        "conversation", "chat", "body", "text", "content", "聊天记录", "对话", "对话内容",
    ),
    "channel": ("channel", "via", "source", "medium", "渠道"),
    "names": (
        "customer_name", "agent_name", "from_name", "to_name", "requester_name", "sender_name", "author_name",
        "user_name", "username", "visitor_name", "contact_name", "assignee_name", "full_name", "first_name",
        "last_name", "display_name", "nickname", "nick_name", "姓名", "客户姓名", "客服姓名", "客户名称",
        "昵称",
    ),
    # Taken for names only where their cells look like some.
    "people": (
        "name", "sender", "author", "from", "speaker", "agent", "assignee", "requester", "customer", "user", "operator",
        "客户", "客服",
    ),
}  # fmt: skip
# Columns with whoever wrote the row, customer or agent: nothing to thread by.
AUTHORS = {"user_id", "author_id", "sender_id"}

CUSTOMER = {
    "customer", "user", "client", "visitor", "human", "end_user", "enduser", "consumer", "requester", "guest", "buyer",
    "caller", "contact", "lead", "shopper", "inbound", "incoming", "in", "kunde", "cliente", "客户", "用户", "买家",
    "顾客", "访客", "会员", "消费者", "咨询者", "客人",
}  # fmt: skip
AGENT = {
    "agent", "assistant", "support", "operator", "admin", "representative", "rep", "staff", "advisor", "gpt",
    "human_agent", "support_agent", "customer_service", "customer_support", "helpdesk", "teammate", "employee", "csr",
    "seller", "outbound", "outgoing", "out", "mitarbeiter", "agente", "客服", "坐席", "座席", "卖家", "人工客服",
    "在线客服", "商家", "店家", "客服人员",
}  # fmt: skip
BOT = {
    "bot", "chatbot", "virtual_agent", "automated_agent", "ai_agent", "virtual_assistant", "机器人", "智能客服",
    "机器人客服",
}  # fmt: skip
SYSTEM = {"system", "event", "activity", "系统", "系统消息", "系统提示"}
NOTE = {"note", "internal", "internal_note", "private_note", "private", "备注", "内部备注"}
# Columns that say yes or no, and what yes means.
YES_MEANS = {
    "inbound": "customer", "incoming": "customer", "is_customer": "customer", "from_customer": "customer",
    "from_agent": "agent", "is_agent": "agent",
}  # fmt: skip
YES = {"true", "1", "1_0", "yes", "y", "t", "是"}
NO = {"false", "0", "0_0", "no", "n", "f", "否"}

# Columns whose yes, or no, makes a message no training text.
YES_SKIPS = {
    "private": "internal_note", "is_private": "internal_note", "internal": "internal_note",
    "is_internal": "internal_note", "internal_note": "internal_note", "is_note": "internal_note",
    "whisper": "whisper", "is_whisper": "whisper", "draft": "draft", "is_draft": "draft", "deleted": "deleted",
    "is_deleted": "deleted", "automated": "automatic_reply", "is_automated": "automatic_reply",
    "auto_reply": "automatic_reply", "is_auto_reply": "automatic_reply", "autoresponder": "automatic_reply",
    "is_system": "system_event", "system_message": "system_event",
}  # fmt: skip
NO_SKIPS = {
    "public": "internal_note", "is_public": "internal_note", "published": "internal_note",
    "is_published": "internal_note",
}  # fmt: skip
YES_BOT = {"is_bot", "from_bot", "bot"}
# Columns whose cells may hold one of these words.
SAYS_SKIP = {
    "type", "message_type", "event_type", "kind", "status", "state", "message_status", "delivery_status", "visibility",
    "消息类型", "状态",
}  # fmt: skip
SKIP_WORDS = {
    "note": "internal_note", "internal_note": "internal_note", "private_note": "internal_note",
    "internal": "internal_note", "private": "internal_note", "event": "system_event", "activity": "system_event",
    "system": "system_event", "system_message": "system_event", "whisper": "whisper", "draft": "draft",
    "deleted": "deleted", "removed": "deleted", "failed": "not_sent", "unsent": "not_sent", "undelivered": "not_sent",
    "bounced": "not_sent", "auto_reply": "automatic_reply", "autoreply": "automatic_reply",
    "automatic_reply": "automatic_reply", "auto_response": "automatic_reply", "trigger": "automatic_reply",
    "tool": "tool_action", "tool_call": "tool_action", "function_call": "tool_action", "action": "tool_action",
    "备注": "internal_note", "内部备注": "internal_note", "系统": "system_event", "系统消息": "system_event",
    "撤回": "deleted", "已撤回": "deleted", "自动回复": "automatic_reply",
}  # fmt: skip
SOLVED = {"solved", "resolved", "closed", "done", "completed", "complete", "已解决", "已关闭", "已完成"}
UNSOLVED = {
    "reopened", "re_opened", "unresolved", "unsolved", "not_resolved", "not_solved", "未解决", "重新打开",
}  # fmt: skip
GOOD = {"good", "positive", "satisfied", "very_satisfied", "great", "happy", "thumbs_up", "like", "up", "满意",
        "非常满意", "很满意", "好评"}  # fmt: skip
BAD = {"bad", "negative", "dissatisfied", "unsatisfied", "very_dissatisfied", "poor", "unhappy", "thumbs_down",
       "dislike", "down", "不满意", "非常不满意", "很不满意", "差评"}  # fmt: skip
EMAIL = {"email", "e_mail", "mail", "邮件", "电子邮件"}


def plain(name: str) -> str:
    """A column name or role as it is compared: ``Conversation ID`` and ``conversationId`` are ``conversation_id``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"\W+", "_", parted.lower()).strip("_")


def find(columns: Sequence[str], meaning: str) -> list[str]:
    """The columns that can hold ``meaning``, the preferred one first."""
    known = NAMES[meaning]
    return sorted((name for name in columns if plain(name) in known), key=lambda name: known.index(plain(name)))


def role_of(value: str, column: str = "") -> str:
    """The name of a role in ``ROLES``, for a cell of a role column; ``unknown`` where it says none."""
    role = plain(value)
    if plain(column) in YES_MEANS and role in YES | NO:
        yes = YES_MEANS[plain(column)]
        return yes if role in YES else {"customer": "agent", "agent": "customer"}[yes]
    for name, values in (("customer", CUSTOMER), ("agent", AGENT), ("bot", BOT), ("system", SYSTEM), ("note", NOTE)):
        if role in values:
            return name
    return "unknown"


def yes_or_no(value: str) -> bool | None:
    """Whether a cell says yes; None where it says neither."""
    said = plain(value)
    return True if said in YES else False if said in NO else None


def shown(columns: Sequence[str]) -> str:
    """The columns of a file for an error. Without a header line the first row is somebody's words: then only the names
    that exports are known to use are shown, and the others counted."""
    is_header = all(re.fullmatch(r"[A-Za-z_][\w.-]{0,39}", name) for name in columns)
    usual = {name for names in NAMES.values() for name in names}
    said = [f"`{name}`" for name in columns if plain(name) in usual or (is_header and "_" in name)]
    if len(said) < len(columns):
        said.append(f"{len(columns) - len(said)} with names that are not shown: they could be somebody's words")
    return ", ".join(said) or "none"
