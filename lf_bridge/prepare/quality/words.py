"""Word lists and patterns of the quality rules, Chinese and English, in the dialect that RE2 and Python share.

Written for this project; what they find and miss is measured in ``tests/test_quality.py``. No look-around, and no
``\\b`` beside Chinese characters, between which and digits Python sees no boundary.
"""

from __future__ import annotations

from typing import NamedTuple

# A word: one Chinese character, kana or syllable of Hangul, or what stands between white space and has a letter.
_SINGLE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_SPELLED = rf"[^\s\p{{Z}}{_SINGLE}]*(?:[^\P{{L}}{_SINGLE}]|\p{{N}})[^\s\p{{Z}}{_SINGLE}]*"
WORD = rf"[{_SINGLE}]|{_SPELLED}"
# Enough to tell a text of several words at the first glance; to be repeated.
WORD_APART = rf"(?:[\s\p{{Z}}]*(?:[{_SINGLE}]|{_SPELLED}(?:[\s\p{{Z}}]|$)))"

# Insults that are hardly ever said in another sense, and those that need someone to whom they are said.
ABUSE = (
    r"(?i)\b(fuck(ing)? (you|off)|f\*+k (you|off)|asshole|arsehole|dumbass|dumb ?fuck|motherfucker|bitch|moron"
    r"|retard(ed)?|piss off|screw you|go to hell|drop dead|shut up|shut your mouth)\b"
    r"|\b(you|you're|ur|u) (are |r )?(an? |so |such an? |just |really |too |fucking |bloody )*"
    r"(idiot|stupid|dumb|fool|liar|pathetic|ignorant|crazy|insane|loser|imbecile|scum)\b"
    r"|傻[逼比币B]|煞笔|沙雕|脑残|智障|弱智|你.{0,3}(白痴|神经病|有病|蠢|废物|骗子|垃圾|穷鬼)|白痴[吧吗你]|神经病[吧啊！]|有病吧"
    r"|滚蛋|滚开|滚远点|给我滚|他妈的|你妈的|妈的[，！]|去死|贱人|蠢货|王八蛋|混蛋|狗东西|闭嘴|不要脸"
)

# Pieces of an answer (between commas and full stops) that send the customer elsewhere.
ELSEWHERE = (
    r"(?i)\b(dm|pm|direct message|private message) (us|me)\b"
    r"|\b(via|by|in|through|over) (an? )?(dm|pm|direct message|private message)\b"
    r"|\b(send|drop|shoot|pop|leave) (us|me) (an? )?([a-z]+ )?(dm|pm|message|e-?mail|note|line)\b"
    r"|\b(call|phone|ring|contact|e-?mail|mail|message|text|visit) (us|me|them|our|your|the|a|customer|support|link)\b"
    r"|\b(reach out|get in touch|write|speak|talk|chat) (to|with) (us|our|your|the|a|link)\b|\breach (us|our)\b"
    r"|\b(fill (in|out)|complete|submit|use) (the|this|our|a) ([a-z]+ )?(form|link|ticket)\b"
    r"|\b(go|head) (over )?to (link|our (site|website|page))\b"
    r"|私信|请.{0,8}(联系|致电|拨打|咨询|前往)|(拨打|致电).{0,20}(热线|电话|咨询|[0-9-]{5})"
    r"|联系(一下)?(客服|商家|卖家|平台|在线|人工|官方|我们)|(前往|到|去).{0,8}(网点|营业厅|门店|柜台|银行)"
    r"|加.{0,8}(微信|QQ|群)"
)
# Whoever asks where to turn to is answered by being told.
ASKS_WHERE = (
    r"(?i)\b(hotline|(tele)?phone number|contact (you|details|number)|e-?mail address|number (do|can|should) i"
    r"|(call|reach|contact|write to|talk to|speak to) (you|someone|somebody|a (human|person))|who (do|can|should) i)\b"
    r"|电话多少|电话是|的电话|热线|联系方式|怎么联系|人工客服|转人工"
)
# Pieces that say nothing by themselves.
COURTESY = (
    r"(?i)\b(sorry|apolog\w+|thanks?|thank you|hi|hello|hey|dear|welcome|oh no|glad|happy to|love to|like to help"
    r"|here to help|how (can|may) (i|we)|(look|check) into|take a look|assist you|so (that )?we can"
    r"|hear (that|this|you)|inconvenience|we understand|i understand|appreciate|regards|have a (nice|good|great|lovely)"
    r"|we'?(ll| will) (get back|be in touch|help|assist|investigate|sort))\b"
    r"|您好|你好|^亲+$|^在的$|抱歉|不好意思|对不起|感谢|谢谢|祝您|不便|请?稍等|有什么(问题)?(可以|能)?帮|尽快|理解|为您(服务|处理|解决)|配合"
)
PIECE_END = r"[,.;!?，。；！？~、\n]+"
ADDRESS = r"https?://\S+|www\.\S+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+"

# States of an order, a payment or a request.
_BE = (
    r"\b((has|have|had|'s|'ve) (now |already |just |also )?(been )?|(your [a-z ]{1,24}|both) (are|were) |"
    r"(is|was|being|i|we) (now |already |just |still |currently |also )?(being |on )?)"
)


class State(NamedTuple):
    """How an agent states it of this order, and in what words anyone may have said so before."""

    stated: str
    known: str


STATES = {
    "shipped": State(
        stated=_BE + r"(shipped|dispatched|sent|out for delivery|on (its|the) way|in transit|with the (carrier|courier)"
        r"|(left|at) (our|the) (warehouse|depot)|held (at|by|in))\b"
        r"|\bit shipped\b|\bleft (our|the) (warehouse|depot)\b|\b(we|i)('ve| have)? (already |just )?"
        r"sent (out )?(you )?(a|your|the) "
        r"|已(经)?[^，。！？如若]{0,8}(发货|发出|寄出|补发|出库|揽收|派送|到达)|(发货|寄出|补发|出库)了"
        r"|(正在|在)[^，。！？]{0,4}(派送|配送|运输)|(到达|目前在|现在在)[^，。！？]{0,12}(中心|分拨|站|转运|仓)|被[^，。]{0,6}(扣留|扣下|拦截)",
        known=r"shipped|dispatch|sent|out for delivery|on (its|the) way|in transit|warehouse|depot|held"
        r"|发货|发出|寄出|补发|出库|揽收|派送|配送|运输|中转|分拨|扣留|到达",
    ),
    "delivered": State(
        stated=_BE + r"(delivered|signed (for|by)|returned to (the )?sender|handed over|collected)\b"
        r"|已(经)?[^，。！？如若]{0,8}(签收|送达|妥投|退回)|签收了",
        known=r"delivered|signed|returned|handed|collected|got it|arrived|签收|送达|妥投|收到|退回",
    ),
    "cancelled": State(
        stated=_BE + r"cancell?ed\b|已(经)?[^，。！？如若]{0,8}取消|被取消|取消了",
        known=r"cancell?ed|(已|被)[^，。]{0,4}取消|取消(了|我)",
    ),
    "paid": State(
        stated=_BE
        + r"(refunded|processed|issued|credited|reimbursed|waived)\b|\b(we|i) (issued|refunded|credited|processed) "
        r"|\bpayment (has been|was|is) (received|declined)\b"
        r"|已(经)?[^，。！？如若]{0,8}(退款|到账|退还|入账|退到|开具)|(到账|退款|退还)了",
        known=r"refunded|processed|issued|credited|reimbursed|received|declined|到账|已退|退了|退还|入账|开具",
    ),
    "decided": State(
        stated=r"\b(your|the) [a-z ]{2,32} (has been |was |is |were )(now |already )?(approved|accepted|rejected"
        r"|declined|denied|confirmed|booked|scheduled)\b"
        r"|已(经)?[^，。！？如若]{0,8}(通过|批准|驳回|拒绝|处理完|审核完)|(通过|驳回)了",
        known=r"approved|accepted|rejected|declined|denied|confirmed|booked|scheduled|通过|批准|驳回|拒绝|处理完|审核完",
    ),
    "repaired": State(
        stated=_BE + r"(repaired|fixed|in repair|back ?-?order(ed)?|under repair)\b"
        r"|正在[^，。！？]{0,4}(维修|检测)|已(经)?(修好|到货)",
        known=r"repaired|fixed|in repair|back ?-?order|under repair|维修中|在修|修好|到货",
    ),
    "received": State(
        stated=r"\b(we|i)('ve| have)? (already |just |now )?received (your|the) "
        r"(documents?|return|parcel|package|payment|item|form)"
        r"|已(经)?[^，。！？如若]{0,6}收到[^，。！？]{0,6}(退货|退件|包裹|快件|货物|货款|材料|付款)",
        known=r"received|收到",
    ),
}
# A word of each kind of statement: one cheap pass over all answers, before the exact ones over the few that have it.
STATEMENT_WORDS = (
    r"(?i)[0-9]{4}|[0-9] ?[$€£¥￥元块人deubrcypq]|[$€£¥￥] ?[0-9]|(usd|eur|gbp|rmb|cny|rs\.?|inr) ?[0-9]"
    r"|shipped|patched|sent|deliver|transit|the way|courier|carrier|depot|warehouse|held|signed|returned|handed"
    r"|collected|cancell?ed|refund|processed|issued|credited|reimbursed|waived|received|declined|approved|accepted|rejected"
    r"|denied|confirmed|booked|scheduled|repair|fixed|back ?-?order|today|tonight|tomorrow|sday|(mon|fri|satur|sun)day"
    r"|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* [0-9]"
    r"|[0-9](st|nd|rd|th)?( of)? (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|[0-9][/.-][0-9]"
    r"|已|正在|目前|现在|在[^，。！？]{0,4}[派配运]|到达"
    r"|[取发寄补出签到退通驳][消货出发库收账款还过回]了|被|今天|明天|后天|今晚|明早|周|星期|[0-9]月"
)
# What makes a sentence speak of any order, not of this one.
CONDITION = (
    r"(?i)\b(if|once|when|whenever|after|until|unless|whether|before|in case|should you|cannot|can't|unable|not sure)\b"
    r"|如果|若|要是|的话|是否|有没有|一旦|之前|以后|之后|不能|无法|不保证|下单|拍下|付款后|后会"
)
GENERAL = (
    r"(?i)\b(usually|normally|typically|generally|always|within|working days?|business days?|per order|each order"
    r"|orders are)\b|一般|通常|正常情况|工作日|小时内|天内|天左右|每(单|笔|次)"
)

AMOUNT = (
    r"(?i)([$€£¥￥]|\b(USD|EUR|GBP|RMB|CNY|Rs\.?|INR) ?) ?[0-9][0-9,]*(\.[0-9]+)?"
    r"|[0-9][0-9,]*(\.[0-9]+)? ?(元|块钱|人民币|€|£|(dollars?|bucks|USD|EUR|GBP|euros?|pounds|quid|RMB|CNY|yuan)\b)"
)
THRESHOLD = (
    r"(?i)((over|above|below|under|than|least|up to|minimum( of)?|from|every|each|exceeds?) (about )?"
    r"|满|超过|不足|低于|高于|不满|每|以上)$"
)

# A day that is promised needs both: the day, and what is to happen on it.
DAY = (
    r"(?i)\b(today|tonight|tomorrow|mon|tues|wednes|thurs|fri|satur|sun)(day)?\b"
    r"|\b[0-9]{1,2}(st|nd|rd|th)?( of)? (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b"
    r"|\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* [0-9]{1,2}(st|nd|rd|th)?\b"
    r"|\b[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{2,4}\b"
    r"|[0-9]{1,2}月[0-9]{1,2}[日号]?|今天|明天|后天|今晚|明早|下?周[一二三四五六日末]|下?星期[一二三四五六日天]|下周"
)
PROMISE = (
    r"(?i)\b(will|should|'ll|going to|expect(ed)?|estimated|scheduled|due) .{0,40}"
    r"(arriv|deliver|receiv|have it|ship|refund|repair|visit|be (there|with you)|come|credited"
    r"|(on|to) your (account|statement|card)|see it)|\barrives\b|\bexpect the delivery\b"
    r"|送达|送到|到货|发货|发出|到账|上门|派送|配送|寄出|补发|恢复|安装|修好"
)

# The commonest words of each language in Latin script; each stands in one list only.
COMMON = {
    "en": "the you your is are to for and of this that have with can please what how not my it we",
    "de": "der die das und ist nicht ich sie wir mit ein eine für auf bitte haben kann mein ihre zu wie",
    "fr": "le les des est je vous nous pas pour une dans avec votre mon merci bonjour sur ce avez vos",
    "es": "el los las que por para con una mi su gracias hola está pero como usted puede tengo muy del",
    "pt": "os não um uma você meu minha obrigado obrigada olá por isso seu sua com estou são ao foi",
    "it": "il gli che per non un di sono con mio grazie ciao buongiorno della nel questo ho è può anche",
    "nl": "het een van en niet ik je we met voor mijn op dat kan graag bedankt hoe aan heb uw",
}
