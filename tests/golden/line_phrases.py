"""Words and patterns of sentences in several languages, for make_lines.py."""

from typing import Dict, List, NamedTuple


class Language(NamedTuple):
    """Patterns with {kind} where one of words[kind] belongs."""

    patterns: List[str]
    words: Dict[str, List[str]]
    joiner: str


def _language(patterns: str, joiner: str, **words: str) -> Language:
    """Patterns one a line, words with | between."""
    return Language(patterns.strip("\n").split("\n"), {kind: text.split("|") for kind, text in words.items()}, joiner)


ENGLISH = _language(
    """
{who} {did} the {noun} {where}.
{Who} didn't {do} the {noun}, but {who} will {do} it {when}.
What's the {quality} {noun} {where}?
I'm sure {who}'ve {did} {quality} {noun}s since {when}.
Please {do} the {noun} {where}, and tell me how {quality} it is!
"{Who} can't {do} this {noun}," she said; "it's too {quality}."
The {quality} {noun} that {who} {did} {when} wasn't {quality} at all...
Could you {do} a {quality}, {quality} {noun} for {who}?
Well — {who} would've {did} it; they'd {did} {noun}s before (see p. {number}).
It costs ${number}.99, i.e. {number}% less than the {noun} {where}.
THE {noun}'S NOT {quality}, HE'LL {do} IT. WE'RE DONE.
{Who}’s “{quality}” {noun}: isn’t it {quality}?
My e-mail is {noun}.{do}@example.com; the site https://www.{noun}.org/{do}?q={quality}#{number}
""",
    " ",
    who="she|he|they|we|you|our neighbours|the teacher|Professor Smith|Alice and Bob|nobody|my grandmother",
    Who="She|He|They|We|You|O'Brien|The doctor|Everyone|Mr. Yamada|The government|José",
    did="opened|forgotten|painted|measured|understood|rewritten|borrowed|photographed|recommended|misplaced|noticed",
    do="open|explain|translate|remember|rebuild|describe|switch on|summarize|investigate|carry|postpone",
    noun="window|kitchen light|refrigerator|neural network|thermometer|umbrella|password|railway station|encyclopedia|butterfly|"
         "loudspeaker|microphone|garden|question|photosynthesis|bicycle|language model|sandwich|telescope|earthquake|melody|spreadsheet",
    quality="red|cheap|wonderful|state-of-the-art|unbelievable|slightly damp|old-fashioned|transparent|naïve|enormous|reliable|"
            "incomprehensible|quiet|counterintuitive",
    where="in the living room|near the river|on Mars|behind the café|at the university|under the table|in San Francisco|over there|upstairs",
    when="tomorrow|yesterday|at noon|last Wednesday|in 1987|before breakfast|the day after|in September|at 7:45 p.m.",
    number="3|12|42|100|256|1,000|75")

JAPANESE = _language(
    """
{who}は{where}で{what}を{did}。
{when}、{who}は{what}を{did}か？
{where}の{what}はとても{quality}です。
「{what}を{please}」と{who}が言いました。
{who}によると、{when}の{what}は{quality}そうだ。
{what}と{what}、どちらが{quality}と思いますか。
{place}から{place}まで電車で{number}分かかります。
{when}の会議は{number}時から{where}で行います。
えっ、{what}が{quality}って？！本当に…？
・{what}（{number}個）：{quality}
{what}を{please}。{number}％でいいよ〜♪
{half} {half}　{what}
""",
    "",
    who="私|彼女|田中さん|先生|妹|猫|あなた|総理大臣|隣のおばあさん|ロボット|僕たち|お父さん",
    where="東京|図書館|台所|駅前のカフェ|大阪城|研究室|海の近く|学校|インターネット|山の上|リビング",
    what="電気|言語モデル|お弁当|新幹線|窓|音楽|プログラム|天気予報|エアコン|寿司|漢字|小説|パソコン|桜の写真|ラーメン|辞書|マイク",
    did="食べました|開けてしまった|勉強しています|買わなかった|壊した|作り直しました|忘れていた|聞いたことがある|読み終えた|見つけました",
    quality="美しい|高い|便利な物|難しい|静か|面白い|複雑|赤い|珍しい|新しい|大きくて重い",
    when="昨日|明日の朝|来週|去年の夏|今夜|三年前|午後|令和６年|毎週金曜日",
    please="つけてください|見せて|説明してもらえますか|教えて下さい|消して|翻訳してくれない",
    place="東京|新宿|京都|札幌|鹿児島中央|横浜|名古屋|秋葉原",
    number="3|10|二十五|１２|45|百",
    half="ｺﾝﾆﾁﾊ|ﾊﾝｶｸｶﾅ|ﾃﾞﾝｷ|ﾌﾟﾛｸﾞﾗﾑ|ｱﾘｶﾞﾄｳ!|ＡＢＣ１２３|ｶﾞｷﾞｸﾞ")

CHINESE = _language(
    """
{who}{when}在{where}{did}{what}。
请问，{where}的{what}怎么样？
{what}太{quality}了，{who}不想{do}。
“{what}”是{number}年前{who}{did}的。
如果{when}下雨，我们就{do}{what}吧！
{where}有{number}个{what}，都很{quality}。
請幫我{do}{what}，謝謝您！
臺灣的{what}和{where}的{what}有什麼區別？
《{what}》（{number}元）：{quality}、{quality}。
""",
    "",
    who="我|她|老师|我们|王先生|小明的妈妈|科学家|大家|机器人|邻居",
    when="昨天|明天早上|去年|现在|星期五|十二月|刚才|下个月",
    where="北京|图书馆|厨房|上海|火车站|办公室|公园|学校|四川|網路上",
    did="打开了|买了|忘记了|写过|看到了|修好了|翻译了|做完了",
    do="打开|学习|解释|关掉|翻译|讨论|推荐|检查",
    what="电灯|语言模型|自行车|天气预报|窗户|汉字|音乐|程序|北京烤鸭|電腦|温度计|问题|手机|繁體字",
    quality="漂亮|贵|有意思|复杂|安静|快|難|新鲜|不可思议",
    number="三|10|二十五|100|两千|42")

KOREAN = _language(
    """
{who} {where}에서 {what}를 {did}.
{when} {what}를 {did}?
{where}의 {what}는 정말 {quality}.
"{what} 좀 {please}!"라고 {who} 말했다.
{number}년 전에 {who} {what}를 {did}.
{what}와(과) {what} 중에 뭐가 더 {quality}?
ㅋㅋㅋ {who} {what} ㅠㅠ {quality}~
""",
    " ",
    who="저는|그녀는|선생님이|우리 할머니는|친구들이|로봇은|김민수 씨는",
    where="서울|도서관|부엌|학교|부산|인터넷|제주도|회사",
    what="전등|언어 모델|자전거|날씨|창문|한국어|음악|프로그램|김치찌개|컴퓨터|온도계|질문",
    did="켰습니다|공부했어요|잊어버렸다|샀습니까|만들었어요|고쳤습니다|읽고 있어요",
    quality="아름다워요|비싸다|재미있어요|복잡합니다|조용해요|빨라요|어렵네요",
    when="어제|내일 아침에|지난주에|지금|금요일마다|12월에",
    please="켜 주세요|보여 줘|설명해 주세요|꺼 줄래",
    number="3|10|이십오|100")

ARABIC = _language(
    """
{who} {did} {what} في {where}.
هل {did} {who} {what} {when}؟
{what} في {where} {quality} جدًّا!
مِن فَضْلِكَ، {do} {what}؛ شكرًا.
السعر {number}٪ أقل من {what} القديم («{quality}»).
{what} و{what}: أيُّهما {quality}؟
""",
    " ",
    who="المعلّم|صديقي|الطفلة|جدّتي|المهندس|أحمد|مريم",
    did="فتح|كتب|نسي|اشترى|أصلح|شاهد|ترجم",
    do="افتح|اشرح|أطفئ|ترجم|اقرأ",
    what="النافذة|الكتاب|السيارة|النموذج اللغوي|الضوء|الحاسوب|الموسيقى|السؤال|القهوة",
    where="القاهرة|المطبخ|المدرسة|بغداد|المكتبة|الحديقة|الإنترنت",
    when="أمس|غدًا|في الصباح|الأسبوع الماضي|الآن",
    quality="جميل|غالٍ|سريع|هادئ|معقّد|كبير",
    number="١٢|٥٠|100|٣٫٥")

THAI = _language(
    """
{who}{did}{what}ที่{where}
{when}{who}จะ{did}{what}ไหมครับ
{what}ที่{where}{quality}มากๆ ค่ะ
ช่วย{did}{what}หน่อยได้ไหม {number} นาที
"{what}" กับ "{what}" อันไหน{quality}กว่ากัน?
ราคา {number} บาท ฯลฯ
""",
    " ",
    who="ฉัน|ครู|เพื่อนของผม|คุณยาย|หุ่นยนต์|น้องสาว|พวกเรา",
    did="เปิด|ซื้อ|ลืม|อธิบาย|แปล|ซ่อม|อ่าน|กิน",
    what="ไฟในครัว|หนังสือ|โมเดลภาษา|หน้าต่าง|เพลง|คอมพิวเตอร์|ต้มยำกุ้ง|คำถาม|จักรยาน",
    where="กรุงเทพฯ|ห้องสมุด|โรงเรียน|เชียงใหม่|ตลาดน้ำ|บ้าน|อินเทอร์เน็ต",
    when="เมื่อวาน|พรุ่งนี้เช้า|ตอนนี้|ปีที่แล้ว|วันศุกร์",
    quality="สวย|แพง|เร็ว|เงียบ|ซับซ้อน|อร่อย",
    number="๑๒|25|๑๐๐|3.5")

OTHERS = _language(
    """
{russian} {russian} {russian}, {russian}!
Ein {german} ist {german} als {german}, {german}?
L'{french} n'est pas {french} : {french} !
¿{spanish} {spanish} {spanish}? ¡{spanish}!
{greek} {greek} {greek}· {greek};
{hindi} {hindi} {hindi}।
{hebrew} {hebrew}, {hebrew}?
{vietnamese} {vietnamese} {vietnamese}.
{turkish} {turkish}, {turkish}!
{other} {other} {other}
""",
    " ",
    russian="Привет|окно|открой|пожалуйста|ёлка|языковая модель|вчера|объяснение|Москва|подъезд|съёмка",
    german="Fußgängerübergang|größer|Tür|Donaudampfschiff|Straße|über|Öl|schöner|Geschwindigkeitsbegrenzung|nicht wahr",
    french="été|œuvre|garçon|aujourd'hui|qu'il|naïveté|où|forêt|élève|s'appelle",
    spanish="mañana|señor|cómo|está|pingüino|corazón|qué|niño|ayúdame|lápiz",
    greek="Καλημέρα|κόσμε|παράθυρο|γλώσσα|ἀρχὴ|θάλασσα|σήμερα|ὕδωρ",
    hindi="नमस्ते|दुनिया|खिड़की|भाषा|क्षत्रिय|कृपया|प्रश्न|संगीत|विद्यार्थी",
    hebrew="שלום|עולם|חַלּוֹן|שפה|ספר|מחר|בבקשה|ירושלים",
    vietnamese="Xin chào|cửa sổ|ngôn ngữ|đường|học sinh|nghĩa là|Việt Nam|tiếng|được",
    turkish="İstanbul|ışık|güneş|çocuk|öğretmen|lütfen|şimdi|ağaç",
    other="ქართული|Հայերեն|አማርኛ|বাংলা|தமிழ்|ქალაქი|ខ្មែរ|မြန်မာ|བོད་སྐད|ᐃᓄᒃᑎᑐᑦ|සිංහල|ລາວ|ગુજરાતી|తెలుగు|ಕನ್ನಡ|മലയാളം|Ⲁⲃⲅ|ᏣᎳᎩ|𐌲𐌿𐍄|𒀭")

# ⏎ stands for a line's end, → for one step of indentation.
CODE = _language(
    r'''
def {name}({name}, *args):⏎→"""{Text}."""⏎→return {name} {op} {number}⏎
for (int i = 0; i < {number}; ++i) {⏎→{name}[i] {op}= {name}->{name}(i);⏎}⏎
#include <{name}>⏎⏎namespace {name} {⏎std::vector<std::uint8_t> {name}(const {Type}& {name});⏎}  // namespace
class {Type} : public {Type}<{Type}> {⏎ public:⏎→explicit {Type}(int {name}) : {name}_({name}) {}⏎};
const {name} = async ({name}) => {⏎→await fetch(`https://api.{name}.com/v{number}/${{name}}`);⏎};
if [ -n "${name}" ]; then⏎→grep -E '^{name}[0-9]+$' "$HOME/.{name}" | sort -u > /dev/null 2>&1⏎fi
SELECT {name}, COUNT(*) FROM {name}s WHERE {name} <> '{text}' GROUP BY 1 HAVING COUNT(*) > {number};
<div class="{name}-{name}" id='{name}'>⏎→<a href="/{name}?x={number}&amp;y">{text}</a>⏎</div><!-- {text} -->
{"{name}": [{number}, -1.5e-{number}, null, true], "{Type}": {"{name}": "{text}\n"}}
fn {name}<'a>(x: &'a mut Vec<u8>) -> Option<{Type}> {⏎→match x.{name}() { Some(y) if y != 0x{number} => Ok(y)?, _ => None }⏎}
// TODO({name}): {text}⏎/* {text} */⏎#define {Type}_MAX ((1 << {number}) - 1)
@{name}⏎public static void main(String[] args) throws {Type}Exception { System.out.println("{text}"); }
\begin{{name}}⏎→\frac{{name}_{i}}{\sqrt{{number}}} &= \alpha^{2} \\⏎\end{{name}}
{name}:⏎→- {name}: "{text}"⏎→- !{Type} &{name} [{number}, *{name}]⏎# {text}
movzx eax, byte ptr [rdi+{number}]⏎→jne .L{number}⏎→ret ; {text}
git commit -am "{text}" && ./{name}.sh --{name}={number} || exit $?
std::cout << "{text}: " << {name}<{Type}>::value[{number}] << '\n';
assert {name} == {number}, f'{{name}!r:>{number}} {text}'
|{name}|{Type}|⏎|---:|:--|⏎|`{number}`|**{text}**|⏎⏎⏎1. _{name}_⏎2. ~~{text}~~
''',
    "\n",
    name="x|tmp|get_value|userName|parse_json|kMaxTokens|encode|i18n|buffer|__init__|tokenizer|self.size|callback2",
    Type="String|HttpRequest|Tensor|T|MyClass|BpeTokenizer|uint64_t|ID3D11Device|JSONParser",
    op="+|*|<<|**|%|^|//|&",
    number="0|1|8|16|255|1024|65536|7|3",
    text="hello, world|it's wrong|設定を読む|not found: %s|fix #42|a\\tb|résumé",
    Text="Returns the value|計算する|Doesn't check|See RFC 8259")

ALL = [ENGLISH, JAPANESE, CHINESE, KOREAN, ARABIC, THAI, OTHERS]
