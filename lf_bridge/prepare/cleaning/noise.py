"""What a platform adds to the words: leading mentions, agents' sign-offs, marks of a split message, emoji codes."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

# Emoji codes of Weibo and WeChat as they stand in exported text, and JDDC's. Other words in brackets are kept.
_CODES = (
    "呵呵|哈哈|嘻嘻|笑哈哈|偷笑|偷乐|微笑|大笑|坏笑|奸笑|憨笑|笑cry|破涕为笑|泪|流泪|大哭|泪流满面|悲伤|伤心|难过|快哭了|委屈|可怜|失望|衰|晕|汗|"
    "流汗|擦汗|尴尬|囧|抓狂|怒|怒骂|发怒|愤怒|咒骂|哼|左哼哼|右哼哼|鄙视|挖鼻|挖鼻屎|抠鼻|白眼|傲慢|撇嘴|嘟嘴|吐|吐舌|调皮|呲牙|龇牙|鼓掌|拍手|"
    "赞|强|弱|拳头|抱拳|合十|作揖|握手|耶|胜利|ok|OK|good|给力|威武|加油|顶|心|心碎|爱心|爱你|示爱|亲亲|飞吻|花心|色|害羞|可爱|太开心|愉快|得意|酷|"
    "吃惊|惊讶|惊恐|惊喜|发呆|疑问|思考|费解|黑线|闭嘴|嘘|睡觉|睡|困|打哈欠|哈欠|拜拜|再见|生病|感冒|抱抱|拥抱|钱|礼物|蛋糕|玫瑰|鲜花|凋谢|蜡烛|"
    "话筒|围观|吃瓜|奥特曼|兔子|熊猫|猪头|神马|浮云|织|互粉|阴险|阴脸|悠闲|奋斗|捂脸|允悲|摊手|跪了|打脸|二哈|喵喵|doge|并不简单|机智|嘿哈|皱眉|"
    "苦涩|裂开|让我看看|叹气|翻白眼|社会社会|旺柴|好的|天啊|Emm|脸红|恐惧|庆祝|红包|發|福|月亮|太阳|咖啡|啤酒|干杯"
)
_CODE = rf"\[(?:{_CODES})\]|#E-s(?:\d{{1,3}}|\[数字x\])"
# "@name", "回复@name:"; a name in Latin letters, digits or Chinese.
_MENTION = r"^\s*(?:\.?(?:回复\s?)?@[\w\x{4E00}-\x{9FFF}-]{1,30}(?:\s*[:：,，]|\s)\s*)+"
_SPLIT_START = r"^\s*(?:[(\[][1-9] ?/ ?[2-9][)\]]\s*[:.]?\s*|[1-9]/[2-9]\s*[:.)]\s+)"
_SPLIT_END = r"\s*(?:[(\[][1-9] ?/ ?[2-9][)\]])\s*$"
_BARE_SPLIT = r"^\s*[1-9]/[2-9]\s|\s[1-9]/[2-9]\s*$"
# "^JK", "-Becky", "/Tom" at the end, only links and marks of a split message below. A caret says it alone, another mark
# after the end of a sentence, or before initials.
_TAIL = r"((?:\s+(?:https?://\S+|[(\[]?[1-9]/[2-9][)\]]?))*)\s*$"
_SIGNED = rf"[\^~*/–—-]\s?[A-Za-zà-ÿ]{{1,15}}\.?(?:\s?[A-Z]{{1,2}}\.?)?{_TAIL}"
_SIGN_OFFS = (
    rf"(?:\s+|([.!?…)\"'。！？]))\^\s?[A-Za-z]{{1,15}}(?:\s?[A-Z]{{1,2}})?\.?{_TAIL}",
    rf"([a-z])\^[A-Z]{{2,3}}{_TAIL}",
    r"([.!?…:)。！？\x{1F300}-\x{1FAFF}\x{FE0F}])\s*[–—*~/-]{1,2}\s?(?:[A-Z][a-zà-ÿ]{1,11}(?:\s[A-Z]\.?)?|[A-Z]{2,3})"
    + _TAIL,
    rf"()\s+[–—*~/-][A-Z]{{2}}{_TAIL}",
)
_GATE = "^\\s*\\.?(?:@|回复)|\\[|#E-s|[1-9] ?/ ?[2-9]"

_BARE_START = re.compile(r"^\s*([1-9])/([2-9])\s+(?=[A-Z@\u4e00-\u9fff])")
_BARE_END = re.compile(r"(?P<word>\S+)\s+([1-9])/([2-9])\s*$")
# Words before "1/2" that make it a date, a size or a score.
_MEASURES = (
    "on", "by", "since", "until", "till", "before", "after", "from", "to", "is", "size", "of", "am", "at", "the",
    "page", "part", "chapter", "and", "a", "an", "or", "was", "about", "only", "dated", "around", "day", "rated",
    "scored", "=", "version", "step", "section", "question",
)  # fmt: skip
_SPLIT_LENGTH = 80  # a message that had to be split is a long one


def drop_noise(texts: pa.Array, from_agent: pa.Array) -> pa.Array:
    """The texts without platform noise; ``from_agent`` says in which a sign-off at the end may be one."""
    rows = pc.and_(from_agent, pc.match_substring_regex(texts, _SIGNED))
    if pc.any(rows).as_py():
        unsigned = texts.filter(rows)
        for sign_off in _SIGN_OFFS:
            unsigned = pc.replace_substring_regex(unsigned, sign_off, r"\1\2")
        texts = pc.replace_with_mask(texts, rows, unsigned)
    rows = pc.match_substring_regex(texts, _GATE)
    return pc.replace_with_mask(texts, rows, _drop(texts.filter(rows))) if pc.any(rows).as_py() else texts


def _drop(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring_regex(texts, _MENTION, "")
    texts = pc.replace_substring_regex(texts, _CODE, "")
    texts = pc.replace_substring_regex(texts, _SPLIT_START, "")
    texts = pc.replace_substring_regex(texts, _SPLIT_END, "")
    bare = pc.and_(pc.match_substring_regex(texts, _BARE_SPLIT), pc.greater_equal(pc.utf8_length(texts), _SPLIT_LENGTH))
    if pc.any(bare).as_py():
        joined = pa.array([_without_split(text) for text in texts.filter(bare).to_pylist()], pa.string())
        texts = pc.replace_with_mask(texts, bare, joined)
    return texts


def _without_split(text: str) -> str:
    match = _BARE_START.match(text)
    if match and match[1] <= match[2]:
        text = text[match.end() :]
    match = _BARE_END.search(text)
    if match and match[2] <= match[3] and match["word"].lower() not in _MEASURES and not match["word"][-1].isdigit():
        text = text[: match.end("word")]
    return text
