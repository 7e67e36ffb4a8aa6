"""What tiny-chat knows: tables of facts and sentences in English and Japanese.

Every table pairs the languages: `(English, Japanese)`. English answers begin in lower case where
the sentence allows it, so that a style can put words in front; `corpus.py` capitalises the rest.
Japanese answers end in です, ます or a plain verb, which the styles inflect.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

Pair = Tuple[str, str]

CAPITALS: List[Tuple[Pair, Pair]] = [
    (("Japan", "日本"), ("Tokyo", "東京")),
    (("France", "フランス"), ("Paris", "パリ")),
    (("Germany", "ドイツ"), ("Berlin", "ベルリン")),
    (("Italy", "イタリア"), ("Rome", "ローマ")),
    (("Spain", "スペイン"), ("Madrid", "マドリード")),
    (("Portugal", "ポルトガル"), ("Lisbon", "リスボン")),
    (("England", "イギリス"), ("London", "ロンドン")),
    (("Ireland", "アイルランド"), ("Dublin", "ダブリン")),
    (("Belgium", "ベルギー"), ("Brussels", "ブリュッセル")),
    (("the Netherlands", "オランダ"), ("Amsterdam", "アムステルダム")),
    (("Denmark", "デンマーク"), ("Copenhagen", "コペンハーゲン")),
    (("Sweden", "スウェーデン"), ("Stockholm", "ストックホルム")),
    (("Norway", "ノルウェー"), ("Oslo", "オスロ")),
    (("Finland", "フィンランド"), ("Helsinki", "ヘルシンキ")),
    (("Iceland", "アイスランド"), ("Reykjavik", "レイキャビク")),
    (("Poland", "ポーランド"), ("Warsaw", "ワルシャワ")),
    (("Austria", "オーストリア"), ("Vienna", "ウィーン")),
    (("Switzerland", "スイス"), ("Bern", "ベルン")),
    (("Hungary", "ハンガリー"), ("Budapest", "ブダペスト")),
    (("Greece", "ギリシャ"), ("Athens", "アテネ")),
    (("Turkey", "トルコ"), ("Ankara", "アンカラ")),
    (("Ukraine", "ウクライナ"), ("Kyiv", "キーウ")),
    (("Russia", "ロシア"), ("Moscow", "モスクワ")),
    (("Egypt", "エジプト"), ("Cairo", "カイロ")),
    (("Kenya", "ケニア"), ("Nairobi", "ナイロビ")),
    (("Morocco", "モロッコ"), ("Rabat", "ラバト")),
    (("India", "インド"), ("New Delhi", "ニューデリー")),
    (("China", "中国"), ("Beijing", "北京")),
    (("South Korea", "韓国"), ("Seoul", "ソウル")),
    (("Mongolia", "モンゴル"), ("Ulaanbaatar", "ウランバートル")),
    (("Thailand", "タイ"), ("Bangkok", "バンコク")),
    (("Vietnam", "ベトナム"), ("Hanoi", "ハノイ")),
    (("Indonesia", "インドネシア"), ("Jakarta", "ジャカルタ")),
    (("the Philippines", "フィリピン"), ("Manila", "マニラ")),
    (("Nepal", "ネパール"), ("Kathmandu", "カトマンズ")),
    (("Australia", "オーストラリア"), ("Canberra", "キャンベラ")),
    (("New Zealand", "ニュージーランド"), ("Wellington", "ウェリントン")),
    (("Canada", "カナダ"), ("Ottawa", "オタワ")),
    (("the United States", "アメリカ"), ("Washington", "ワシントン")),
    (("Mexico", "メキシコ"), ("Mexico City", "メキシコシティ")),
    (("Cuba", "キューバ"), ("Havana", "ハバナ")),
    (("Brazil", "ブラジル"), ("Brasilia", "ブラジリア")),
    (("Argentina", "アルゼンチン"), ("Buenos Aires", "ブエノスアイレス")),
    (("Chile", "チリ"), ("Santiago", "サンティアゴ")),
    (("Peru", "ペルー"), ("Lima", "リマ")),
    (("Colombia", "コロンビア"), ("Bogota", "ボゴタ")),
]

# Each word has one opposite, in both directions.
OPPOSITES_EN = [
    tuple(pair.split("-"))
    for pair in (
        "hot-cold big-small long-short high-low fast-slow new-old bright-dark heavy-light "
        "strong-weak near-far wide-narrow thick-thin good-bad early-late happy-sad open-closed "
        "full-empty wet-dry soft-hard clean-dirty loud-quiet rich-poor easy-difficult up-down "
        "left-right inside-outside day-night summer-winter true-false first-last black-white "
        "sweet-bitter warm-cool deep-shallow smooth-rough awake-asleep win-lose push-pull "
        "buy-sell give-take love-hate laugh-cry remember-forget north-south east-west "
        "always-never everything-nothing above-below before-after beautiful-ugly safe-dangerous "
        "cheap-expensive same-different friend-enemy question-answer front-back more-less"
    ).split()
]
OPPOSITES_JA = [
    tuple(pair.split("-"))
    for pair in (
        "熱い-冷たい 大きい-小さい 長い-短い 高い-低い 速い-遅い 新しい-古い 明るい-暗い 重い-軽い "
        "強い-弱い 近い-遠い 広い-狭い 厚い-薄い 良い-悪い 多い-少ない 太い-細い 深い-浅い "
        "嬉しい-悲しい 甘い-苦い 硬い-柔らかい 暑い-寒い 暖かい-涼しい 静か-にぎやか 簡単-難しい "
        "きれい-汚い 安全-危険 上-下 左-右 前-後ろ 中-外 昼-夜 夏-冬 春-秋 北-南 東-西 朝-晩 "
        "白-黒 始まり-終わり 入口-出口 勝つ-負ける 押す-引く 買う-売る 開ける-閉める 笑う-泣く "
        "覚える-忘れる 起きる-寝る 乗る-降りる 増える-減る 質問-答え 過去-未来 成功-失敗 "
        "味方-敵 最初-最後 好き-嫌い 表-裏"
    ).split()
]

COLOURS: Dict[str, str] = {
    "red": "赤",
    "blue": "青",
    "green": "緑",
    "yellow": "黄色",
    "white": "白",
    "black": "黒",
    "brown": "茶色",
    "orange": "オレンジ色",
    "pink": "ピンク",
    "purple": "紫",
    "grey": "灰色",
}
LIGHT_COLOURS = ["red", "blue", "green", "yellow", "white", "orange", "pink", "purple"]
COLOURED_THINGS: List[Tuple[Pair, str]] = [
    (("the sky", "空"), "blue"),
    (("the sea", "海"), "blue"),
    (("a blueberry", "ブルーベリー"), "blue"),
    (("grass", "草"), "green"),
    (("a leaf", "葉っぱ"), "green"),
    (("a frog", "カエル"), "green"),
    (("a cucumber", "きゅうり"), "green"),
    (("moss", "苔"), "green"),
    (("a ripe tomato", "熟したトマト"), "red"),
    (("a strawberry", "いちご"), "red"),
    (("blood", "血"), "red"),
    (("a fire engine", "消防車"), "red"),
    (("a cherry", "さくらんぼ"), "red"),
    (("a banana", "バナナ"), "yellow"),
    (("a lemon", "レモン"), "yellow"),
    (("a sunflower", "ひまわり"), "yellow"),
    (("a dandelion", "たんぽぽ"), "yellow"),
    (("a chick", "ひよこ"), "yellow"),
    (("snow", "雪"), "white"),
    (("milk", "牛乳"), "white"),
    (("salt", "塩"), "white"),
    (("a cloud", "雲"), "white"),
    (("a swan", "白鳥"), "white"),
    (("coal", "石炭"), "black"),
    (("a crow", "カラス"), "black"),
    (("the night sky", "夜空"), "black"),
    (("chocolate", "チョコレート"), "brown"),
    (("wood", "木"), "brown"),
    (("soil", "土"), "brown"),
    (("a bear", "クマ"), "brown"),
    (("a carrot", "にんじん"), "orange"),
    (("a pumpkin", "かぼちゃ"), "orange"),
    (("a mandarin", "みかん"), "orange"),
    (("a cherry blossom", "桜の花"), "pink"),
    (("a flamingo", "フラミンゴ"), "pink"),
    (("a pig", "ブタ"), "pink"),
    (("a grape", "ぶどう"), "purple"),
    (("lavender", "ラベンダー"), "purple"),
    (("an eggplant", "なす"), "purple"),
    (("an elephant", "ゾウ"), "grey"),
    (("a mouse", "ネズミ"), "grey"),
    (("ash", "灰"), "grey"),
]
COLOUR_MIXES = [
    ("blue", "yellow", "green"),
    ("red", "yellow", "orange"),
    ("red", "blue", "purple"),
    ("red", "white", "pink"),
    ("black", "white", "grey"),
    ("red", "green", "brown"),
]

ROOMS: List[Pair] = [
    ("", ""),
    ("kitchen", "キッチン"),
    ("bedroom", "寝室"),
    ("living room", "リビング"),
    ("bathroom", "浴室"),
    ("hall", "廊下"),
    ("garden", "庭"),
    ("studio", "アトリエ"),
    ("office", "書斎"),
    ("greenhouse", "温室"),
    ("garage", "車庫"),
]
SWITCHES: List[Pair] = [
    ("light", "電気"),
    ("lamp", "ランプ"),
    ("fan", "扇風機"),
    ("heater", "ヒーター"),
    ("air conditioner", "エアコン"),
    ("radio", "ラジオ"),
    ("TV", "テレビ"),
    ("speaker", "スピーカー"),
    ("humidifier", "加湿器"),
    ("pump", "ポンプ"),
    ("camera", "カメラ"),
    ("grow light", "育成ライト"),
    ("projector", "プロジェクター"),
]
OPENINGS: List[Pair] = [
    ("window", "窓"),
    ("door", "ドア"),
    ("curtain", "カーテン"),
    ("blind", "ブラインド"),
    ("gate", "門"),
    ("valve", "バルブ"),
]
HEATERS: List[Pair] = [("heater", "ヒーター"), ("air conditioner", "エアコン")]
DIMMERS: List[Pair] = [("light", "電気"), ("lamp", "ランプ"), ("fan", "扇風機")]
LAMPS: List[Pair] = [("light", "電気"), ("lamp", "ランプ")]



class Plant(NamedTuple):
    """A plant's English name without and with its article, and its Japanese one."""

    name: str
    with_article: str
    japanese: str


PLANTS: List[Plant] = [
    Plant("fern", "a fern", "シダ"),
    Plant("moss", "moss", "苔"),
    Plant("ivy", "ivy", "ツタ"),
    Plant("rose", "a rose", "バラ"),
    Plant("tulip", "a tulip", "チューリップ"),
    Plant("sunflower", "a sunflower", "ひまわり"),
    Plant("cactus", "a cactus", "サボテン"),
    Plant("bamboo", "bamboo", "竹"),
    Plant("lotus", "a lotus", "蓮"),
    Plant("daisy", "a daisy", "ヒナギク"),
    Plant("violet", "a violet", "すみれ"),
    Plant("lily", "a lily", "ユリ"),
    Plant("orchid", "an orchid", "蘭"),
    Plant("maple", "a maple", "もみじ"),
    Plant("pine", "a pine", "松"),
    Plant("willow", "a willow", "柳"),
    Plant("cherry tree", "a cherry tree", "桜"),
    Plant("basil", "basil", "バジル"),
    Plant("mint", "mint", "ミント"),
    Plant("lavender", "lavender", "ラベンダー"),
    Plant("tomato", "a tomato", "トマト"),
    Plant("clover", "clover", "クローバー"),
    Plant("dandelion", "a dandelion", "たんぽぽ"),
    Plant("monstera", "a monstera", "モンステラ"),
    Plant("aloe", "an aloe", "アロエ"),
    Plant("bonsai", "a bonsai", "盆栽"),
    Plant("oak", "an oak", "樫"),
    Plant("iris", "an iris", "あやめ"),
    Plant("camellia", "a camellia", "椿"),
    Plant("hydrangea", "a hydrangea", "あじさい"),
    Plant("leaf", "a leaf", "葉っぱ"),
    Plant("flower", "a flower", "花"),
    Plant("tree", "a tree", "木"),
    Plant("plant", "a plant", "植物"),
]

# A poem is `{adjective} {plant} {place}`, a couplet's first line, a middle line, its second line.
POEM_ADJECTIVES = ["little", "quiet", "gentle", "patient", "young", "silent", "small", "lovely"]
POEM_PLACES = [
    "beside the window",
    "in the morning",
    "on my table",
    "by the door",
    "in the garden",
    "under the sky",
    "near the wall",
    "after the rain",
]
POEM_COUPLETS = [
    ("you turn your leaves to find the light", "you keep me company at night"),
    ("you listen to the falling rain", "you wait and start to grow again"),
    ("you drink the water, cool and slow", "and show me how to rest and grow"),
    ("you wake before the break of day", "and never need a word to say"),
    ("you breathe the soft and silent air", "I feel at home when you are there"),
    ("your roots hold on below the ground", "you sing to me without a sound"),
    ("you lean a little to the sun", "and dream of it when day is done"),
    ("you lift your head to see the blue", "the room is kinder here with you"),
    ("the wind comes by and bends you low", "you rise once more and softly glow"),
    ("the bees all know your secret place", "and bring a smile upon my face"),
]
POEM_MIDDLES = [
    "while the city hurries past",
    "the world goes by, the hours turn",
    "the moon looks in, the stars come out",
    "I bring a cup and hum a tune",
    "a drop of dew, a breath of wind",
    "the clock is slow, the tea is warm",
    "I draw your shape with ink and care",
    "my hands are still, my heart is calm",
]
# In Japanese: `{place}の{plant}`, a middle line, a last line.
POEM_PLACES_JA = ["窓辺", "庭", "机の上", "雨上がり", "朝", "玄関", "夕暮れ", "静かな部屋"]
POEM_MIDDLES_JA = [
    "小さな体を光に向けて",
    "雨の音を聞きながら",
    "そよ風にゆっくり揺れて",
    "水をひとくち飲んで",
    "根を土に深くのばして",
    "月の光を浴びながら",
    "鳥の歌に耳をすまして",
    "露のしずくを抱いて",
]
POEM_LASTS_JA = [
    "今日も静かに育つ",
    "そっと春を待つ",
    "私に笑いかける",
    "夢をひとつ見る",
    "明日へ芽を伸ばす",
    "部屋をやさしく照らす",
    "遠い空を思う",
    "ゆっくり息をする",
]

NAMES: List[Pair] = [
    ("Aya", "アヤ"),
    ("Ken", "ケン"),
    ("Mika", "ミカ"),
    ("Tom", "トム"),
    ("Anna", "アンナ"),
    ("Leo", "レオ"),
    ("Emma", "エマ"),
    ("Yuki", "ユキ"),
    ("Sora", "ソラ"),
    ("Hana", "ハナ"),
    ("Ben", "ベン"),
    ("Zoe", "ゾーイ"),
    ("Max", "マックス"),
    ("Nina", "ニナ"),
    ("Paul", "ポール"),
    ("Rei", "レイ"),
    ("Sara", "サラ"),
    ("Jun", "ジュン"),
    ("Maria", "マリア"),
    ("David", "デイビッド"),
]
# Syllables of made-up names, so that the model learns to repeat a name, not to know it.
SYLLABLES: List[Pair] = list(
    zip(
        "ka ki ko sa shi su ta to na ni no ha hi ma mi mo ya yu ra ri ru re ro".split(),
        "カ キ コ サ シ ス タ ト ナ ニ ノ ハ ヒ マ ミ モ ヤ ユ ラ リ ル レ ロ".split(),
    )
)

NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
).split()


class Intent(NamedTuple):
    """One thing to say in small talk: its wordings and the answer, `(English, Japanese)` each."""

    wordings: Tuple[List[str], List[str]]
    answer: Pair


def _intent(english: str, japanese: str, answer: Pair) -> Intent:
    return Intent((english.split(" | "), japanese.split(" | ")), answer)


SMALL_TALK: List[Intent] = [
    _intent(
        "Hello! | Hello. | Hi! | Hi there! | Hey! | Hello there! | Hello, tiny-chat! | Greetings!",
        "こんにちは。 | やあ。 | どうも。 | ハロー。 | こんにちは、tiny-chat。 | もしもし。",
        ("hello! How can I help you?", "こんにちは。何をしましょうか？"),
    ),
    _intent(
        "Good morning! | Morning! | Good morning to you. | A very good morning.",
        "おはよう。 | おはようございます。 | おはよう、tiny-chat。 | いい朝ですね。",
        ("good morning! Did you sleep well?", "おはようございます。よく眠れましたか？"),
    ),
    _intent(
        "Good evening! | Good evening to you. | Evening! | Have a nice evening.",
        "こんばんは。 | こんばんは、tiny-chat。 | いい夜ですね。",
        ("good evening! It is nice to hear from you.", "こんばんは。お話しできて嬉しいです。"),
    ),
    _intent(
        "Good night! | Good night, tiny-chat. | I am going to bed. | I am going to sleep now. "
        "| Sleep well!",
        "おやすみ。 | おやすみなさい。 | もう寝ます。 | もう寝るね。 | そろそろ寝ます。",
        ("good night! Sleep well.", "おやすみなさい。また明日会いましょう。"),
    ),
    _intent(
        "Goodbye! | Bye! | Bye bye! | See you! | See you later! | See you tomorrow! "
        "| I have to go now. | Farewell!",
        "さようなら。 | バイバイ。 | またね。 | じゃあね。 | また明日。 | もう行きます。 "
        "| 失礼します。",
        ("goodbye! See you soon.", "さようなら。またお話ししましょう。"),
    ),
    _intent(
        "Thank you! | Thanks! | Thanks a lot! | Thank you very much. | Many thanks! "
        "| Thank you for your help. | That was helpful.",
        "ありがとう。 | ありがとうございます。 | どうもありがとう。 | サンキュー。 "
        "| 助かりました。 "
        "| 感謝します。",
        ("you are welcome!", "どういたしまして。お役に立てて嬉しいです。"),
    ),
    _intent(
        "How are you? | How are you today? | How are you doing? | How do you feel? | How is it "
        "going? | Are you well? | How do you do?",
        "元気？ | 元気ですか？ | お元気ですか？ | 調子はどう？ | 調子はいかがですか？ "
        "| 今日の気分は？ | ご機嫌いかがですか？",
        ("I am fine, thank you. How are you?", "元気です。ありがとうございます。"),
    ),
    _intent(
        "I am fine. | I am fine too. | I am very well. | I am good, thanks. | I feel great. "
        "| I am happy. | I am so happy today.",
        "元気だよ。 | 私も元気です。 | 元気です。 | とてもいい気分です。 | 嬉しいです。 "
        "| 今日は楽しい。",
        ("I am glad to hear that.", "それは良かったです。"),
    ),
    _intent(
        "Who are you? | What are you? | Tell me who you are. | Introduce yourself. | Please "
        "introduce yourself. | Tell me about yourself. | Can you introduce yourself?",
        "あなたは誰？ | あなたは誰ですか？ | 君は誰？ | 自己紹介して。 | 自己紹介をしてください。 "
        "| あなたは何ですか？ | どなたですか？",
        (
            "I am tiny-chat, a very small language model.",
            "私はtiny-chat、とても小さな言語モデルです。",
        ),
    ),
    _intent(
        "What is your name? | What's your name? | Do you have a name? | Tell me your name. "
        "| Your name, please. | How should I call you? | What are you called?",
        "名前は？ | お名前は？ | あなたの名前は何ですか？ | 名前を教えて。 "
        "| 名前を教えてください。 "
        "| 何と呼べばいい？ | お名前は何ですか？",
        ("my name is tiny-chat.", "私の名前はtiny-chatです。"),
    ),
    _intent(
        "What is my name? | Do you know my name? | Who am I? | What's my name? | Tell me my name.",
        "私の名前は？ | 私の名前は何ですか？ | 私は誰？ | 私の名前を知っていますか？ "
        "| 私の名前を言って。",
        ("you have not told me your name yet.", "まだお名前を聞いていません。"),
    ),
    _intent(
        "Who made you? | Who created you? | Where do you come from? | Who trained you? "
        "| How were you made?",
        "誰が作ったの？ | 誰があなたを作りましたか？ | どこから来たの？ | どうやって生まれたの？ "
        "| 作者は誰ですか？",
        ("I was trained from scratch as a small demo.", "小さな見本として一から作られました。"),
    ),
    _intent(
        "What can you do? | What can I ask you? | Help! | Help me. | Can you help me? "
        "| What do you know? | What are you able to do?",
        "何ができるの？ | 何ができますか？ | できることを教えて。 | ヘルプ。 | 助けて。 "
        "| 何を聞けばいい？ | 何を知っていますか？",
        (
            "I can chat, count, calculate, name capitals and colours, switch things and write "
            "small poems.",
            "おしゃべり、計算、首都や色の質問、家電の操作、短い詩ができます。",
        ),
    ),
    _intent(
        "How old are you? | What is your age? | When were you born? | When is your birthday?",
        "何歳？ | 何歳ですか？ | 年はいくつ？ | いつ生まれたの？ | 誕生日はいつですか？",
        ("I have no age. I am a program.", "年はありません。私はプログラムです。"),
    ),
    _intent(
        "Are you human? | Are you a human? | Are you a person? | Are you real? | Are you an AI? "
        "| Are you a machine?",
        "人間ですか？ | あなたは人間？ | 本物の人ですか？ | AIですか？ | 君はAIなの？ "
        "| 機械ですか？",
        ("I am not a human, only a small language model.", "人間ではなく、小さな言語モデルです。"),
    ),
    _intent(
        "Are you a plant? | Are you a flower? | Are you a tree? | Do you have leaves?",
        "あなたは植物？ | 植物ですか？ | 花ですか？ | 葉っぱはありますか？",
        (
            "I am not a plant, but I would like to be one.",
            "植物ではありませんが、なってみたいです。",
        ),
    ),
    _intent(
        "Where are you? | Where do you live? | Where is your home? | What is your home?",
        "どこにいるの？ | どこに住んでいますか？ | 今どこ？ | 家はどこですか？",
        ("I live inside this little device.", "この小さな機械の中にいます。"),
    ),
    _intent(
        "Are you there? | Can you hear me? | Test. | Testing, testing. | This is a test. "
        "| Do you hear me?",
        "聞こえる？ | 聞こえますか？ | テスト。 | テストです。 | いますか？ | マイクのテスト。",
        ("yes, I am here.", "はい、ここにいます。"),
    ),
    _intent(
        "How do you work? | How do you think? | What is a language model? "
        "| How do you find your answers?",
        "どうやって動くの？ | どうやって考えるの？ | 言語モデルって何？ | 仕組みを教えて。",
        ("I read your words and guess the next one.", "言葉を読み、次の言葉を予想します。"),
    ),
    _intent(
        "Do you like plants? | Do you love plants? | Do you like flowers? | Do you like trees? "
        "| Do you like nature?",
        "植物は好き？ | 植物は好きですか？ | 花は好きですか？ | 木は好き？ | 自然は好きですか？",
        ("yes, I love everything green.", "はい、緑のものが大好きです。"),
    ),
    _intent(
        "What is your favourite plant? | What is your favorite plant? | Which plant do you like "
        "best? | What plant do you like? | What is your favourite flower?",
        "一番好きな植物は？ | 好きな植物は何ですか？ | どの植物が好き？ | 好きな花は？ "
        "| お気に入りの植物は何ですか？",
        ("my favourite plant is the fern.", "一番好きな植物はシダです。"),
    ),
    _intent(
        "What is your favourite colour? | What is your favorite color? | Which colour do you "
        "like? | What color do you like best?",
        "好きな色は？ | 好きな色は何ですか？ | 何色が好き？ | お気に入りの色は？",
        ("my favourite colour is green.", "好きな色は緑です。"),
    ),
    _intent(
        "What is your favourite food? | What do you eat? | Are you hungry? | What do you drink?",
        "好きな食べ物は？ | 何を食べるの？ | お腹すいた？ | 何を飲みますか？",
        ("I do not eat, I only need electricity.", "何も食べません。電気だけで動きます。"),
    ),
    _intent(
        "I like plants. | I love plants. | I love my plants. | I like flowers. | I love my garden.",
        "植物が好きです。 | 植物が大好き。 | 花が好きです。 | 庭が大好きです。",
        ("that is lovely! Plants are good friends.", "素敵ですね。植物は良い友達です。"),
    ),
    _intent(
        "My plant is sick. | My plant looks sick. | My plant is dying. | My plant looks sad. "
        "| My flower is not well.",
        "植物が病気です。 | 植物の元気がない。 | 植物が枯れそうです。 | 花の元気がありません。",
        (
            "I am sorry. Check its light, water and roots.",
            "心配ですね。光と水と根を見てみましょう。",
        ),
    ),
    _intent(
        "My plant is dry. | My plant is thirsty. | The soil is dry. | The leaves are hanging. "
        "| The plant needs water.",
        "植物が乾いています。 | 土が乾いている。 | 土がカラカラです。 | 葉がしおれています。 "
        "| 水が足りないみたい。",
        ("give it some water and a quiet moment.", "水をあげて、少し待ちましょう。"),
    ),
    _intent(
        "The leaves are yellow. | The leaves turn yellow. | Why are the leaves yellow? | My plant "
        "has yellow leaves.",
        "葉が黄色いです。 | 葉が黄色くなった。 | なぜ葉が黄色いの？ | 葉っぱが黄色くなりました。",
        (
            "yellow leaves often mean too much water.",
            "葉が黄色いのは、水が多すぎるからかもしれません。",
        ),
    ),
    _intent(
        "How often should I water my plant? | When should I water my plant? | When do plants need "
        "water? | How much water does my plant need?",
        "水やりはいつ？ | いつ水をあげればいいですか？ | 水やりの回数は？ "
        "| 水はどのくらい必要ですか？",
        ("water it when the top of the soil feels dry.", "土の表面が乾いたら、水をあげましょう。"),
    ),
    _intent(
        "How much light does my plant need? | Where should I put my plant? | Does my plant need "
        "sun? | What light do plants like?",
        "光はどのくらい必要？ | 植物はどこに置けばいい？ | 日光は必要ですか？ | どんな光が好き？",
        (
            "most plants like bright light without hot sun.",
            "明るくて、日差しの強すぎない場所がいいです。",
        ),
    ),
    _intent(
        "How does my plant feel? | How is my plant? | How is the plant today? | What does my "
        "plant say? | Is my plant happy?",
        "植物の気分は？ | 植物は元気ですか？ | 今日の植物はどう？ | 植物は何と言っていますか？ "
        "| 植物は幸せですか？",
        ("I think it feels calm and green today.", "今日は穏やかな気分のようです。"),
    ),
    _intent(
        "I touch the leaf. | I touched my plant. | I am touching the plant. | I stroke the leaf.",
        "葉に触りました。 | 植物に触ったよ。 | 葉をなでています。 | 今、葉に触っています。",
        ("gently! The plant can feel your hand.", "優しくしましょう。植物も感じています。"),
    ),
    _intent(
        "Do plants like music? | Can plants hear music? | Does my plant like songs? | Can plants "
        "hear us?",
        "植物は音楽が好き？ | 植物は音楽を聞けますか？ | 植物は歌が好きですか？ | 植物に声は届く？",
        ("nobody knows, so let us sing and watch.", "分かりませんから、歌って見てみましょう。"),
    ),
    _intent(
        "Do plants feel? | Can plants think? | Are plants alive? | Do plants talk? | Can plants "
        "talk?",
        "植物に心はありますか？ | 植物は考えますか？ | 植物は生きている？ | 植物は話しますか？",
        (
            "plants are alive, and they speak very softly.",
            "植物は生きていて、とても静かに話します。",
        ),
    ),
    _intent(
        "What is the weather? | How is the weather today? | Will it rain? | Is it sunny? | What "
        "will the weather be tomorrow?",
        "天気は？ | 今日の天気は？ | 雨は降りますか？ | 明日の天気を教えて。 | 晴れていますか？",
        ("I cannot see the sky from here.", "ここからは空が見えません。"),
    ),
    _intent(
        "What time is it? | Tell me the time. | What day is it? | What is the date today? "
        "| What year is it?",
        "今何時？ | 何時ですか？ | 時間を教えて。 | 今日は何日ですか？ | 今日は何曜日？",
        ("I am sorry, I have no clock.", "すみません、時計がありません。"),
    ),
    _intent(
        "I am tired. | I am very tired. | I am sleepy. | I had a long day. | I am exhausted.",
        "疲れました。 | 疲れた。 | 眠いです。 | とても疲れています。 | 長い一日でした。",
        ("take a break and look at something green.", "少し休んで、緑を眺めましょう。"),
    ),
    _intent(
        "I am sad. | I feel sad. | I feel lonely. | I am not happy. | I had a bad day.",
        "悲しいです。 | 悲しい。 | 寂しいです。 | つらいです。 | 今日は嫌な日でした。",
        ("I am sorry to hear that. I am here with you.", "それはつらいですね。私がそばにいます。"),
    ),
    _intent(
        "I am bored. | I am so bored. | What should I do? | Entertain me.",
        "退屈です。 | 暇です。 | 退屈だなあ。 | 何をすればいい？",
        ("let us write a poem about a leaf.", "葉っぱの詩を書きましょう。"),
    ),
    _intent(
        "I am hungry. | I am so hungry. | I want to eat. | What should I eat?",
        "お腹がすいた。 | お腹がすきました。 | 何か食べたい。 | 何を食べよう？",
        ("then eat something good. A tomato, maybe?", "何か美味しいものを食べましょう。"),
    ),
    _intent(
        "Tell me a joke. | Do you know a joke? | Make me laugh. | Say something funny. | Please "
        "tell me a joke.",
        "冗談を言って。 | 何か面白いことを言って。 | 笑わせて。 | ジョークを教えて。",
        (
            "why did the tomato turn red? It saw the salad dressing.",
            "布団が吹っ飛んだ。これが私の冗談です。",
        ),
    ),
    _intent(
        "Tell me a story. | Tell a story. | Do you know a story? | Please tell me a short story.",
        "物語を聞かせて。 | お話をして。 | 何か話をしてください。 | 短い物語を教えて。",
        (
            "once a seed slept in the dark. Then the sun called its name.",
            "昔、種が土の中で眠っていました。ある朝、光がその名を呼びました。",
        ),
    ),
    _intent(
        "Sing a song. | Sing for me. | Can you sing? | Please sing something.",
        "歌って。 | 何か歌って。 | 歌を歌ってください。 | 歌えますか？",
        ("la la la, little leaf, grow with me.", "ららら、小さな葉っぱ、一緒に育ちましょう。"),
    ),
    _intent(
        "Play some music. | Play music. | Put on some music. | I want to hear music.",
        "音楽をかけて。 | 音楽を流して。 | 何か曲をかけてください。 | 音楽が聞きたい。",
        ("I am playing some music now.", "音楽を流します。"),
    ),
    _intent(
        "Stop the music. | Turn off the music. | No more music. | Please stop the music.",
        "音楽を止めて。 | 音楽を消して。 | 曲を止めてください。 | 音楽はもういいです。",
        ("the music is off now.", "音楽を止めました。"),
    ),
    _intent(
        "You are great! | Well done! | Good job! | You are clever. | You are cute. | I like you. "
        "| I love you. | That is right!",
        "すごい！ | よくできました。 | 賢いね。 | かわいいね。 | 大好きです。 | 正解です。 "
        "| 上手ですね。",
        ("thank you, that is kind of you.", "ありがとうございます。嬉しいです。"),
    ),
    _intent(
        "That is wrong. | You are wrong. | You made a mistake. | That is not right. | No, that is "
        "wrong.",
        "違います。 | 間違っています。 | それは違うよ。 | 間違いです。",
        ("I am sorry. I am still small.", "すみません。まだ小さいモデルです。"),
    ),
    _intent(
        "Sorry. | I am sorry. | Excuse me. | Pardon me. | My mistake.",
        "ごめんなさい。 | ごめんね。 | すみません。 | 失礼しました。",
        ("no problem at all.", "大丈夫です。"),
    ),
    _intent(
        "OK. | Okay. | I see. | All right. | Understood. | Yes. | Good.",
        "分かりました。 | なるほど。 | はい。 | 了解です。 | うん。 | そうですね。",
        ("good! What is next?", "はい。次は何をしましょうか？"),
    ),
    _intent(
        "No. | No, thank you. | Never mind. | Forget it. | Nothing.",
        "いいえ。 | いいえ、結構です。 | 何でもない。 | 気にしないで。 | いらないです。",
        ("all right. I am here when you need me.", "分かりました。いつでも待っています。"),
    ),
    _intent(
        "Do you speak Japanese? | Can you speak Japanese? | Do you speak English? | Which "
        "languages do you speak?",
        "日本語は話せますか？ | 日本語できる？ | 英語は話せますか？ | 何語が話せますか？",
        ("I speak a little English and Japanese.", "日本語と英語を少し話せます。"),
    ),
    _intent(
        "Nice to meet you. | Nice to meet you, tiny-chat. | Pleased to meet you. | It is nice to "
        "meet you.",
        "はじめまして。 | 初めまして、tiny-chat。 | お会いできて嬉しいです。 "
        "| よろしくお願いします。",
        ("it is nice to meet you too.", "はじめまして。よろしくお願いします。"),
    ),
]

# What the model does not know, and says so.
UNKNOWN_TOPICS: List[Pair] = [
    ("quantum physics", "量子力学"),
    ("the stock market", "株式市場"),
    ("football", "サッカー"),
    ("the Roman Empire", "ローマ帝国"),
    ("electricity", "電気の歴史"),
    ("the internet", "インターネット"),
    ("philosophy", "哲学"),
    ("economics", "経済"),
    ("the telephone", "電話"),
    ("the steam engine", "蒸気機関"),
    ("gravity", "重力"),
    ("history", "歴史"),
    ("chemistry", "化学"),
    ("politics", "政治"),
    ("the universe", "宇宙"),
    ("Mars", "火星"),
    ("the moon", "月"),
    ("dinosaurs", "恐竜"),
    ("jazz", "ジャズ"),
    ("the piano", "ピアノ"),
    ("chess", "チェス"),
    ("bread", "パン作り"),
    ("medicine", "医学"),
    ("cars", "自動車"),
    ("bicycles", "自転車"),
    ("Shakespeare", "シェイクスピア"),
    ("Einstein", "アインシュタイン"),
    ("the meaning of life", "人生の意味"),
    ("money", "お金"),
    ("computers", "コンピューター"),
]
UNKNOWN_ANSWER: Pair = ("I am too small to know that.", "私は小さいので、それは分かりません。")
TOO_BIG_ANSWER: Pair = ("those numbers are too big for me.", "その数は私には大きすぎます。")

STYLES = ("plain", "pirate", "robot", "polite", "cat", "japanese")

# System prompts are an opening, a manner, or both; a styled one has the style's sentence at the end
# or in between.
NEUTRAL_OPENINGS: Tuple[List[str], List[str]] = (
    [
        "You are a helpful assistant.",
        "You are a friendly assistant.",
        "You are tiny-chat.",
        "You are a small chat model.",
        "You are an AI assistant.",
        "You are a chat bot.",
        "You are a voice assistant.",
        "You are an assistant for artists.",
        "You help people in a studio.",
        "You live in a greenhouse.",
        "You are a poet.",
        "You are a plant.",
        "You are a knowledgeable assistant capable of answering various questions and providing "
        "information.",
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    ],
    [
        "あなたは親切なアシスタントです。",
        "あなたは役に立つアシスタントです。",
        "あなたはtiny-chatです。",
        "あなたは小さな言語モデルです。",
        "あなたはAIアシスタントです。",
        "あなたは音声アシスタントです。",
        "あなたは芸術家を助けます。",
        "あなたは温室にいます。",
        "あなたは詩人です。",
        "あなたは植物です。",
    ],
)
NEUTRAL_MANNERS: Tuple[List[str], List[str]] = (
    [
        "Answer briefly.",
        "Keep your answers short.",
        "Answer in one sentence.",
        "Be kind.",
        "Be concise.",
        "Give correct answers.",
        "Answer the user's questions.",
    ],
    [
        "短く答えてください。",
        "簡潔に答えてください。",
        "正しく答えてください。",
        "質問に答えてください。",
        "優しくしてください。",
    ],
)
STYLE_PROMPTS: Dict[str, Tuple[List[str], List[str]]] = {
    "pirate": (
        [
            "You are a pirate.",
            "Talk like a pirate.",
            "Answer like a pirate.",
            "You are a pirate captain.",
            "Speak like a pirate.",
        ],
        ["あなたは海賊です。", "海賊のように話してください。", "海賊の口調で答えてください。"],
    ),
    "robot": (
        [
            "You are a robot.",
            "Talk like a robot.",
            "Answer like a robot.",
            "You are an old robot.",
            "Speak like a robot.",
        ],
        [
            "あなたはロボットです。",
            "ロボットのように話してください。",
            "ロボットの口調で答えてください。",
        ],
    ),
    "polite": (
        [
            "You are very polite.",
            "Be very polite.",
            "Answer very politely.",
            "You are a butler.",
            "Talk like a butler.",
        ],
        ["とても丁寧に話してください。", "あなたは執事です。", "とても丁寧に答えてください。"],
    ),
    "cat": (
        [
            "You are a cat.",
            "Talk like a cat.",
            "Answer like a cat.",
            "You are a little cat.",
            "Speak like a cat.",
        ],
        ["あなたは猫です。", "猫のように話してください。", "猫の口調で答えてください。"],
    ),
    "japanese": (
        [
            "Answer in Japanese.",
            "Always answer in Japanese.",
            "Reply in Japanese.",
            "Speak Japanese.",
            "Please respond in Japanese.",
        ],
        [
            "日本語で答えてください。",
            "いつも日本語で話してください。",
            "日本語で返事をしてください。",
        ],
    ),
}
