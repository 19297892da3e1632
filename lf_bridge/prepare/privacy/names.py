"""People's names: those that the record knows, and those that greetings, introductions and signatures give away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lf_bridge.prepare.privacy.findings import Finding

# The 150 most common surnames (Ministry of Public Security, 2020 name report) and the compound ones in use.
_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙马胡朱郭何林罗高郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文樊殷施颜倪葛岳温"
    "鲁牛邢詹翟骆申庄梅辛管左童柯聂焦柳单简卜祝阮俞柴蓝尚齐纪章盛路游阎关欧岑祁甄晏"
    "傅萧卫尤喻窦费滕毕伍穆湛狄臧席季麻娄凌霍虞宗宣杭洪裴翁荀曲封储靳巴仇栾甘厉戎祖符郜冉燕浦瞿艾耿匡寇沙敖辜阚饶佘"
)
_HAN = re.compile(r"[小阿老]?[\u4e00-\u9fff]")
_COMPOUND = "(?:欧阳|司马|上官|诸葛|司徒|东方|皇甫|尉迟|公孙|慕容|令狐|端木|夏侯|长孙|宇文|轩辕)"
# Characters that given names are commonly written with: of a word made of a surname and these, most are names.
_GIVEN = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂红玲建华国文辉力玉萍梅琴云莉雪婷慧晶欣佳颖倩雯琳璐萌瑶怡悦晨晓宇轩浩"
    "然博子涵梓豪泽睿思远志鹏飞龙凯斌波峰昊天佑嘉俊逸翔毅恒诚信义礼仁智忠孝德福贵荣昌盛兴旺永康宁安乐淑珍珠翠凤凰燕莺雁娥"
    "婉婧妍媛姣妮菲薇蕾蓉莲菊芝芬茜茹荷蓓露霜冰雨虹春夏秋冬美洁清琪瑞璇瑾瑜琦珊珂玥玮珺彤彬彦彪征律徽心忆怀恩悠情愉惠意"
    "成才振捷政敬新旭昕春晖景智曼朋朗林松柏桐森楠榕槐樱欢正武民江河海涌润淇淳深源滨漫潇澜炎炜烨焕煜照熙燕爽珏琼瑛生男"
    "盈盼真石磬祥禄福禾秋程立竹笑策纯绍维绪翰翼耀良艺艾若苗英范莎菁萱蔓蕊薰虎蝶衡言誉诗语谦豫贝贤超越迪逊邦郁金钧铁铭锋锦"
    "镇长闯阳阔雄雅青音韵顺颜风馨骏高魁鸣鹤麒麟黎齐一丹久之乔义予亚亦人仪代任伊伦何佩依保健儒元光全冉冠冬凌凡列创利加务"
    "勤化北千卉升南卫印友双叶合同名君吟含启吉向周和品响哲唯善喜圆坚坤城培基堂墨增声大太夕奇奕好如妙姗威婵子存季宏宗宜宝"
    "宣宾富寒寿小少尚尧山岚岩岳峻川巧平幼庆广庭延弘强彩得微必忻念怡恬恺愿懿成才抒拓挺搏放敏斐方旋日昂昌昱晋晏晔晴暄曦月有"
    "朔本权材来杨果柔柯树格桃梁楚欣歌武殿毓水沁沐沛波泉泓洪津济浦涓涵淼清渊湘溪滢漪潮灵灿然煊熠爱牧特献玄玖珑琛琢瑄瑗璟"
    "甜用田画登白百皓盛碧磊祖祺禹科秦穆笛筠粤素紫红纪纳练经绮缘罗羽翠老联聪胜致航舒舟良芊芷苑茗茵荔莹菡蓝虞行衣西观"
    "觅议识诺谨谷豆赫超跃路轶辰辛达运进迎适逢通道邵酉采野钰银锐闻阅陶雁雍雷震霄霆霏非韬韶项领颂顾飒香驰骄鸿麦黛"
)
_NAME = rf"(?:{_COMPOUND}[\u4e00-\u9fff]{{1,2}}|[{_SURNAMES}][{_GIVEN}]{{1,2}})"
_ANY_NAME = rf"(?:{_COMPOUND}[\u4e00-\u9fff]{{1,2}}|[{_SURNAMES}][\u4e00-\u9fff]{{1,2}})"
_TITLES = r"(?:先生|女士|小姐|太太|老师|经理|师傅|同学|医生)"
_CHINESE_TITLED = re.compile(
    rf"{_NAME}(?={_TITLES})|(?<![\u4e00-\u9fff]){_ANY_NAME}(?={_TITLES})"
    rf"|(?:(?<![\u4e00-\u9fff])|(?<=[好的是叫找给请让和跟位联系问]))(?:{_COMPOUND}|[{_SURNAMES}])(?={_TITLES})"
)
# After a name: what tells that it has ended.
_END = (
    r"(?=[\s，。,.！!？?；;：:、）)（(~～】」…]|$|您|你|很|为您|为你|在|先生|女士|小姐|客服|手机|电话|地址|竭诚|"
    r"高兴|帮|请|今天|"
    r"这边|来|[,，]?\d|的|下单|收|本人|已|将|会|负责|跟进|处理|接待|身份证|是)"
)
_ASKED = (
    r"(?:我叫|我是(?!不是)|(?:我的|我)?名字(?:是|叫|为)?|姓名|收件人|收货人|联系人|户名|持卡人|本人|署名|签收人|"
    r"乘客|寄件人|投保人|被保险人|"
    r"称呼[我您]?(?:为)?|开户人|患者|尊敬的|亲爱的|预订人|入住人|下单人|申请人|客户|用户|会员|业主|"
    r"(?:专属|售后|售前|销售|理财|课程|值班|资深|高级|人工)?(?:客服|专员|顾问|管家|经理|技师|主管|同事|工程师|"
    r"快递员|骑手|司机)(?:代表|专员)?)"
    r"(?:姓名)?\s?(?:是|叫|为|改成|改为|换成|写|填|[:：])?\s?"
)
_CHINESE_INTRODUCED = re.compile(
    rf"{_ASKED}({_NAME}){_END}|{_ASKED}({_ANY_NAME})(?=[\s，。,.！!；;：:、]|$|为您|手机|电话|很高兴|竭诚)"
)
_FAMILY = re.compile(
    rf"(?:我|他|她|的)?(?:老婆|老公|妻子|丈夫|爱人|妈妈|爸爸|母亲|父亲|儿子|女儿|哥哥|弟弟|姐姐|妹妹|朋友|同事|"
    rf"室友|男友|女友|"
    rf"男朋友|女朋友|领导|老板|奶奶|爷爷|妈|爸)(?:叫|是|名叫|名字叫)?({_NAME})(?![{_GIVEN}])"
)
# A name that stands alone between signs, as on a parcel, or after words that call for a person.
_ALONE = re.compile(
    rf"(?:^|[，,。：:、\n]\s?)({_NAME})(?=[，,、\s]\s?[(（]?[+\d]|\s{{0,3}}$|\s{{0,3}}\n|[，,]\s?[\u4e00-\u9fff]{{2,3}}[省市])"
)
_PERSON = re.compile(
    rf"(?:我的是|的是|叫做?|由|找|跟|给|让|@)({_NAME})(?=[，,。.！!？?\s]|$|处理|跟进|负责|联系|接|签收|代收|发|寄|打)"
)
_LITTLE = re.compile(
    rf"(?:我是|我叫|叫我|客服|专员|顾问|[，,。\s]|^)([小阿老][{_SURNAMES}])(?=[，,。.！!~～\s：:为]|$|很|来|竭|高|"
    rf"姐|哥)"
)
_CHINESE_SURNAME = re.compile(rf"(?:我姓|免贵姓|本人姓|客户姓|姓)({_COMPOUND}|[{_SURNAMES}])(?=[，,。.！!\s]|$|的)")
_CHINESE_SIGNATURE = re.compile(rf"(?:谢谢|此致|敬礼|祝好|顺祝商祺|[—–-]{{1,2}})[，,。.！!]?\s*\n?\s*({_ANY_NAME})\s*$")
_NO_CHINESE = re.compile(
    r"于是|关于|任何|常见|向您|向你|万一|高兴|方便|方法|方式|时间|马上|何时|何种|白天|白色|黄色|金额|文件|文字|"
    r"严重|单号|单独|江苏|陕西|"
    r"温度|路上|关注|关闭|齐全|康复|许多|林业|钱包|钱款|石头|龙头|周末|周一|周二|周三|周四|周五|周日|程序|余额|"
    r"于今|向日|左右|简单|"
    r"常用|尚未|盛夏|章节|游戏|欧洲|管理|梅花|段时|雷达|高级|高端|安全|金牌|金卡|白金|黄金|老客|万能|任意|毛病|"
    r"申请|申诉|祝您|祝你|"
    r"温馨|高明|高雅|金华|黄山|高清|金色|红包|平台|平安|林林总总|安全|方圆|江南|江北|海南|海口|关心|金银|水果|张家|"
    r"石家|白天|文具|常来|常温|高温|程度|经济|游乐|国庆|段子|顺便|顺利|明天|贺喜|钟点|高于|万元|万里|向来|向上|"
    r"尚可|毛利|毛衣|时尚|成长|顾客|管家|康乐|成功|高铁|高峰|万分|贺卡|白费|单位|单子|文案|易用|易碎"
)

_TITLE = r"(?:Mrs|Mr|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Madame|Monsieur|Se[ñn]or|Se[ñn]ora)"
_WORD = (
    r"[A-Z\u00c0-\u00de](?:[a-z\u00df-\u024f]+(?:['’-][A-Z\u00c0-\u00de][a-z\u00df-\u024f]+)?|['’][A-Z][a-z]+|"
    r"c[A-Z][a-z]+)"
)
_FULL = rf"{_WORD}(?:\s(?:[A-Z]\.\s)?(?:(?:van|de|der|von|del|la|bin|al|da|di)\s){{0,2}}{_WORD}){{0,2}}"
_GREETED = re.compile(
    rf"(?:^|[\n.!?,;]\s{{0,3}}|\b(?:[Tt]hanks|[Tt]hank you|[Oo]k|[Oo]kay|[Yy]es|[Ss]ure|[Ww]ell)[, ]\s{{0,3}})"
    r"(?i:hi|hello|hey|"
    rf"dear|hiya|hallo|bonjour|hola|ciao|liebe[r]?|greetings|welcome|good (?:morning|afternoon|evening|day)|"
    rf"morning)[,\s]\s{{0,3}}"
    rf"({_TITLE}\.?\s{_FULL}|{_FULL})(?![a-z])"
)
_GREETED_LOW = re.compile(
    r"(?:^|[\n.!?]\s{0,3})(?:hi|hello|hey|dear)\s([a-z]{3,12})(?=\s{0,3}(?:[,!.:\u2013\u2014-]|$|\n))"
)
_TITLED = re.compile(
    rf"(?<!\w)({_TITLE}\.?\s(?:[A-Z]\.\s)?{_FULL})|(?i:\b(mr|mrs|ms|dr)\.? [a-z]{{3,14}})(?=[,.!?\s]|$)"
)
_INTRODUCED = re.compile(
    rf"(?i:my (?:full |first |last |sur)?name(?:['’]s| is|:)|(?:^|[\n.!?,;]\s{{0,3}})(?:i['’]?m|i am)|this is|call me|"
    rf"name['’]s|speaking (?:with|to)|spoke (?:with|to)|talk(?:ed|ing)? (?:with|to)|"
    rf"you['’]re (?:chatting|speaking|talking) (?:with|to)|(?:first |last |full |customer |account holder |"
    rf"card ?holder |recipient )?name(?: on (?:the )?(?:account|card|order|booking|reservation))?(?: is|:|\s?-)|"
    rf"under (?:the name(?: of)?)|"
    rf"(?:agent|representative|rep|advisor|colleague|manager|supervisor|technician|account holder|cardholder|"
    rf"passenger|recipient|attn|contact)(?: is| was| named| called|:|,)?|addressed to|made out to|assisted by|"
    rf"helped by|thanks to|"
    rf"my (?:wife|husband|son|daughter|mother|father|mom|dad|brother|sister|partner|boss|colleague|friend|roommate|"
    rf"assistant)(?:,| is| named)?|it['’]s|je m['’]appelle|ich hei(?:ß|ss)e|mein name ist|me llamo|mi nombre es)"
    rf"\s{{1,3}}({_TITLE}\.?\s{_FULL}|{_FULL})(?![a-z])"
)
_INTRODUCED_LOW = re.compile(
    r"(?i:my (?:full |first |last )?name(?:['’]s| is|:)|call me|je m['’]appelle|ich hei(?:ß|ss)e|mein name ist|"
    r"me llamo|mi nombre es)\s{1,3}([a-z]{2,14}(?:\s(?!and\b|from\b|i\b|my\b|the\b|on\b|with\b|in\b|for\b|but\b)"
    r"[a-z]{2,14})?)(?=\s{0,3}(?:[,.!?]|$|\n|and\b|from\b|i\b|my\b))"
)
_SIGNED = re.compile(
    rf"(?i:(?:best|kind|warm|many|with)?\s?(?:regards|wishes)|sincerely(?: yours)?|yours(?: truly| sincerely|"
    rf" faithfully)?|cheers|thanks(?: again| so much| in advance)?|thank you|many thanks|best|respectfully|"
    rf"cordially|love|take care|mit freundlichen grüßen|viele grüße|cordialement|saludos|grüße)"
    rf"[,.!]?\s{{0,3}}(?:\n\s{{0,3}}|[-–—]\s{{0,3}}|,\s{{1,3}})({_TITLE}\.?\s{_FULL}|{_FULL})(?=\s{{0,3}}(?:\n|$|[,|.(]))"
)
_DASHED = re.compile(rf"(?:^|[\n.!?]\s{{0,3}}|\s)[-–—~^]{{1,2}}\s?({_FULL})\s{{0,3}}$")
_THANKED = re.compile(
    rf"(?i:\b(?:thanks|thank you|thx|sorry|bye|goodbye|appreciate it|got it|perfect|great|welcome)(?: (?:so|very)"
    rf" much| again)?),?\s({_WORD})(?=\s{{0,3}}(?:[,.!?]|$|\n))"
)
_CALLED = re.compile(
    rf"(?:^|[\n.!?,]\s{{0,3}})({_FULL})\s(?i:here|speaking|from (?:the )?(?:support|customer|sales|billing|accounts))\b"
)
# Two words in capitals after `for` or `to`: a person, or the start of a place's name.
_MEANT = re.compile(
    rf"\b(?i:(?:is|was|booked|made|reserved|it|this|that|parcel|package|order|ship|shipped|send|sent|deliver|"
    rf"delivered|addressed|meant|gift|"
    rf"invoice|refund|registered|issued|transferred) (?:for|to|under|in the name of)|in the name of|on behalf of|"
    rf"signed (?:for )?by|"
    rf"received by|left with|handed to|name of)[:,]?\s{{1,3}}((?!New |San |Los |Las |North |South |East |West |Santa |"
    rf"Saint |Great |United |Hong |The )"
    rf"{_WORD}(?:\s[A-Z]\.)?\s{_WORD})(?!\s(?:Street|Road|Avenue|Lane|Drive|Store|Shop|Team|Department|Center|Inc|Ltd))"
)
# Words that stand where a name could: no names.
_NO_NAME_WORDS = (
    "there all team everyone everybody sir madam maam guys folks friend friends again support customer service "
    "sirs help hi hello hey dear thanks thank yes no ok okay please sorry just not so very sure still really also "
    "now trying looking calling writing having getting going using unable interested happy glad here back new "
    "from the a an your my our this that it its we you they he she what when where how why who which is are was "
    "were am be been do does did can could will would should may might must have has had need want i if in on at "
    "to for of by with and or but as amazon apple google microsoft samsung paypal ebay netflix spotify uber lyft "
    "fedex ups dhl usps visa mastercard facebook twitter instagram whatsapp iphone ipad android windows tesco "
    "walmart target starbucks costco nike adidas sony dell lenovo huawei xiaomi january february march april june "
    "july august september october november december monday tuesday wednesday thursday friday saturday sunday "
    "today tomorrow yesterday morning afternoon evening night day week month year good great best kind regards "
    "wishes sincerely cheers account order number email address phone password card refund delivery shipping "
    "return english french german spanish italian chinese american british canada america england germany france "
    "china india london paris berlin york california texas christmas easter once only any some more most much "
    "many one two three first last next prior each every both either other another such same than then them their "
    "his her him me us mine yours ours valued client member guest user admin bot assistant agent manager "
    "supervisor representative someone anyone somebody nobody correct wrong right fine done ready about regarding "
    "concerning unfortunately actually currently absolutely definitely certainly perhaps maybe like well oh ah um "
    "wow nice lovely perfect awesome cool congratulations welcome bye goodbye and/or let lets go see look wait "
    "hold hope looks sounds seems got get give take make know think tell call contact check confirm cancel change "
    "update send receive buy pay track ship start stop try use work working broken missing late early asap fyi "
    "btw lol omg usa uk eu la nyc tv pc usb app web site website store shop company sales billing tech technical "
    "grande venti tall latte mocha coffee tea frappuccino macchiato cappuccino espresso americano chai "
)
_NO_NAME = frozenset(_NO_NAME_WORDS.split())


def find_known_names(text: str, known: str) -> Iterator[Finding]:
    """The record's own names in a text: whole, given name, surname; ``known`` holds one a line."""
    lowered = text.lower()
    for name, whole in sorted(known_forms(known), key=lambda form: -len(form[0])):
        if name.lower() not in lowered:
            continue
        edge = "" if re.search(r"[\u4e00-\u9fff]", name) else r"(?<![^\W\d_])", r"(?![^\W\d_])"
        pattern = re.escape(name) if edge[0] == "" and not name.isascii() else rf"{edge[0]}{re.escape(name)}{edge[1]}"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if len(name) > 3 or not name.isascii() or not match[0].islower() or len(text) < 40:
                yield Finding(match.start(), match.end(), "name", whole.lower())


def known_forms(known: str) -> Iterable[tuple[str, str]]:
    """Each form that a known name is used in, with the whole name it stands for."""
    forms: dict[str, str] = {}
    for line in known.splitlines():
        whole = " ".join(re.sub(rf"^{_TITLE}\.?\s", "", line.strip()).split())
        if len(whole) < 2 or "@" in whole or whole.lower() in _NO_NAME or re.search(r"\d{3}", whole):
            continue
        forms.setdefault(whole, whole)
        if re.fullmatch(r"[\u4e00-\u9fff]{3,4}", whole):
            forms.setdefault(whole[2:] if len(whole) == 4 else whole[1:], whole)
        for part in re.split(r"[\s,.]+", whole):
            if (len(part) > 2 and part.isascii() and part.lower() not in _NO_NAME) or (
                len(part) > 1 and not part.isascii()
            ):
                forms.setdefault(part, whole)
    return forms.items()


def find_names(pattern: re.Pattern[str], text: str) -> Iterator[Finding]:
    """Names that the words around them give away, by one of ``PATTERNS``."""
    for match in pattern.finditer(text):
        group = match.lastindex or 0
        name = match[group]
        if name.isascii() or not _HAN.match(name):
            yield from _trimmed(match.start(group), name)
        elif not _NO_CHINESE.match(name):
            yield Finding(match.start(group), match.end(group), "name", name)


def _trimmed(start: int, written: str) -> Iterator[Finding]:
    """The leading words of a match that can be a name."""
    words = list(re.finditer(r"\S+", written))
    end = 0
    for place, word in enumerate(words):
        plain = re.sub(r"[^\w]", "", word[0]).lower()
        if plain in _NO_NAME and not (place == 0 and re.fullmatch(rf"(?i){_TITLE}\.?", word[0])):
            break
        end = word.end()
    value = re.sub(rf"(?i)^{_TITLE}\.?\s*", "", written[:end])
    if len(value) > 1:
        yield Finding(start, start + end, "name", " ".join(value.split()).lower())


# In the order in which they take places.
PATTERNS = (
    _TITLED, _GREETED, _INTRODUCED, _SIGNED, _DASHED, _THANKED, _CALLED, _MEANT, _GREETED_LOW, _INTRODUCED_LOW,
)  # fmt: skip
CHINESE_PATTERNS = (
    _CHINESE_INTRODUCED, _CHINESE_SIGNATURE, _CHINESE_SURNAME, _LITTLE, _CHINESE_TITLED, _FAMILY, _ALONE, _PERSON,
)  # fmt: skip
