"""How questions are worded in English and Japanese; `questions.py` puts what they ask into them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

Wordings = Tuple[List[str], List[str]]  # English, Japanese


def _split(text: str) -> List[str]:
    """Wordings are divided by bars; where they are too long for a line, they go on in the next."""
    return [" ".join(wording.split()) for wording in text.split("|")]


def _pair(english: str, japanese: str) -> Wordings:
    return _split(english), _split(japanese)


# {a} and {b} are numbers, {wa} and {wb} the same as English words. Bare sums ("3+4") belong to
# English alone: the language of the answer must follow from the question.
SUMS: Dict[str, Wordings] = {
    "+": _pair(
        """What is {a} plus {b}? | What is {a} + {b}? | {a} + {b} = ? | {a}+{b} |
        How much is {a} plus {b}? | Add {a} and {b}. | Calculate {a} + {b}. | {a} plus {b} |
        What is the sum of {a} and {b}? | Can you add {a} and {b}? | What is {wa} plus {wb}?""",
        """{a}たす{b}は？ | {a}足す{b}は？ | {a}+{b}は？ | {a}と{b}を足して。 |
        {a}に{b}を足すといくつ？ | {a}プラス{b}は？ | {a}たす{b}を計算して。 |
        {a}たす{b}はいくつですか？ | {a}と{b}の合計は？""",
    ),
    "-": _pair(
        """What is {a} minus {b}? | What is {a} - {b}? | {a} - {b} = ? | {a}-{b} |
        How much is {a} minus {b}? | Subtract {b} from {a}. | Calculate {a} - {b}. |
        {a} minus {b} | Take {b} away from {a}. | What is {wa} minus {wb}?""",
        """{a}ひく{b}は？ | {a}引く{b}は？ | {a}-{b}は？ | {a}から{b}を引いて。 |
        {a}から{b}を引くといくつ？ | {a}マイナス{b}は？ | {a}ひく{b}を計算して。 |
        {a}ひく{b}はいくつですか？""",
    ),
    "x": _pair(
        """What is {a} times {b}? | What is {a} x {b}? | {a} x {b} = ? | {a}*{b} |
        How much is {a} times {b}? | Multiply {a} by {b}. | Calculate {a} x {b}. | {a} × {b} |
        {a} times {b} | What is {wa} times {wb}?""",
        """{a}かける{b}は？ | {a}掛ける{b}は？ | {a}×{b}は？ | {a}に{b}を掛けて。 |
        {a}かける{b}を計算して。 | {a}かける{b}はいくつですか？""",
    ),
    "/": _pair(
        """What is {a} divided by {b}? | What is {a} / {b}? | {a} / {b} = ? | {a}/{b} |
        How much is {a} divided by {b}? | Divide {a} by {b}. | Calculate {a} / {b}. | {a} ÷ {b}""",
        """{a}わる{b}は？ | {a}割る{b}は？ | {a}÷{b}は？ | {a}を{b}で割って。 |
        {a}わる{b}を計算して。 | {a}わる{b}はいくつですか？""",
    ),
}

CAPITALS = _pair(
    """What is the capital of {}? | What's the capital of {}? | Which city is the capital of {}? |
    Tell me the capital of {}. | Name the capital of {}. | Do you know the capital of {}? |
    The capital of {}? | Capital of {} | What is the capital city of {}? |
    Can you tell me the capital of {}?""",
    """{}の首都は？ | {}の首都はどこ？ | {}の首都はどこですか？ | {}の首都を教えて。 |
    {}の首都を教えてください。 | {}の首都の名前は？ | {}の首都は何ですか？ |
    {}の首都を知っていますか？ | {}の首都""",
)

OPPOSITES = _pair(
    """What is the opposite of {}? | What's the opposite of {}? | Tell me the opposite of {}. |
    The opposite of {}? | Which word is the opposite of {}? | Name the opposite of {}. |
    Opposite of {} | Do you know the opposite of {}? | What word means the opposite of {}?""",
    """「{}」の反対は？ | {}の反対は？ | {}の反対は何ですか？ | {}の反対語は？ |
    「{}」の反対語を教えて。 | {}の反対の言葉は？ | {}の反対を言って。 |
    「{}」の反対は何ですか？""",
)

COUNT_RANGE = _pair(
    """Count from {a} to {b}. | Please count from {a} to {b}. | Can you count from {a} to {b}? |
    Name the numbers from {a} to {b}. | Count {a} to {b}.""",
    """{a}から{b}まで数えて。 | {a}から{b}まで数えてください。 | {a}から{b}までの数を言って。 |
    {a}から{b}までカウントして。""",
)
COUNT_TO = _pair(
    """Count to {b}. | Please count to {b}. | Can you count to {b}? | Count up to {b}. |
    Count to {wb}.""",
    """{b}まで数えて。 | {b}まで数えてください。 | {b}まで数えられますか？ |
    {b}までカウントして。""",
)
COUNT_DOWN = _pair(
    """Count down from {b}. | Count backwards from {b}. | Please count down from {b}. |
    Start a countdown from {b}.""",
    """{b}からカウントダウンして。 | {b}から逆に数えて。 | {b}から1まで逆に数えて。 |
    カウントダウンを{b}から始めて。""",
)
NUMBER_AFTER = _pair(
    "What number comes after {}? | What comes after {}? | Which number follows {}?",
    "{}の次の数は？ | {}の次は？ | {}の次の数は何ですか？",
)
NUMBER_BEFORE = _pair(
    "What number comes before {}? | What comes before {}? | Which number is before {}?",
    "{}の前の数は？ | {}の前は？ | {}の前の数は何ですか？",
)

COLOURS = _pair(
    """What colour is {}? | What color is {}? | What is the colour of {}? |
    What is the color of {}? | Which colour is {}? | Tell me the colour of {}. |
    Do you know the color of {}?""",
    """{}は何色？ | {}は何色ですか？ | {}の色は？ | {}の色は何ですか？ | {}の色を教えて。 |
    {}って何色？""",
)
COLOUR_MIXES = _pair(
    """What do you get when you mix {} and {}? | Mix {} and {}. |
    What colour do {} and {} make? | What color is {} and {} together? | What is {} plus {}?""",
    """{}と{}を混ぜると？ | {}と{}を混ぜると何色？ | {}と{}を混ぜたら何色になりますか？ |
    {}に{}を混ぜて。""",
)


class Command(NamedTuple):
    """What can be done to a device: how it is asked for, the answer, and what undoes it.

    The first {} is the device, the second, if there is one, the value it is set to.
    """

    wordings: Wordings
    answer: Tuple[str, str]
    undone_by: str = ""
    # How it is asked for when it undoes the last command.
    undoing: Wordings = ([], [])


COMMANDS: Dict[str, Command] = {
    "on": Command(
        _pair(
            """Turn on {}. | Switch on {}. | Turn {} on. | Switch {} on. | Please turn on {}. |
            Could you turn on {}? | Can you switch on {}? | Turn on {}, please. | I want {} on.""",
            """{}をつけて。 | {}をつけてください。 | {}をオンにして。 | {}をつけてくれる？ |
            {}をつけてほしい。 | {}のスイッチを入れて。 | {}をつけてもらえますか？""",
        ),
        ("{} is on now.", "{}をつけました。"),
        "off",
        _pair("Now turn it on. | Turn it on again.", "つけて。 | やっぱりつけて。 | またつけて。"),
    ),
    "off": Command(
        _pair(
            """Turn off {}. | Switch off {}. | Turn {} off. | Switch {} off. | Please turn off {}. |
            Could you turn off {}? | Can you switch off {}? | Turn off {}, please. |
            I want {} off.""",
            """{}を消して。 | {}を消してください。 | {}をオフにして。 | {}を消してくれる？ |
            {}を消してほしい。 | {}のスイッチを切って。 | {}を消してもらえますか？""",
        ),
        ("{} is off now.", "{}を消しました。"),
        "on",
        _pair(
            "Now turn it off. | Turn it off again.",
            "消して。 | やっぱり消して。 | もう消して。",
        ),
    ),
    "open": Command(
        _pair(
            """Open {}. | Please open {}. | Could you open {}? | Can you open {}? |
            Open {}, please. | I want {} open.""",
            """{}を開けて。 | {}を開けてください。 | {}を開けてくれる？ |
            {}を開けてもらえますか？""",
        ),
        ("{} is open now.", "{}を開けました。"),
        "close",
        _pair("Now open it. | Open it again.", "開けて。 | やっぱり開けて。 | また開けて。"),
    ),
    "close": Command(
        _pair(
            """Close {}. | Please close {}. | Could you close {}? | Can you close {}? |
            Close {}, please. | Shut {}. | I want {} closed.""",
            """{}を閉めて。 | {}を閉めてください。 | {}を閉めてくれる？ |
            {}を閉めてもらえますか？""",
        ),
        ("{} is closed now.", "{}を閉めました。"),
        "open",
        _pair("Now close it. | Close it again.", "閉めて。 | やっぱり閉めて。 | もう閉めて。"),
    ),
    "set": Command(
        _pair(
            """Set {} to {}. | Please set {} to {}. | Change {} to {}. | Could you set {} to {}? |
            Put {} at {}.""",
            """{}を{}にして。 | {}を{}にしてください。 | {}を{}に設定して。 |
            {}を{}にしてくれる？""",
        ),
        ("{} is set to {} now.", "{}を{}にしました。"),
    ),
    "colour": Command(
        _pair(
            "Make {} {}. | Turn {} {}. | Please make {} {}. | Could you make {} {}?",
            "{}を{}にして。 | {}を{}にしてください。 | {}の色を{}にして。 | {}を{}に変えて。",
        ),
        ("{} is {} now.", "{}を{}にしました。"),
    ),
    "water": Command(
        _pair(
            """Water {}. | Please water {}. | Could you water {}? | Give {} some water. |
            Give {} water, please.""",
            """{}に水をあげて。 | {}に水をあげてください。 | {}に水をやって。 |
            {}に水をあげてくれる？""",
        ),
        ("I am watering {} now.", "{}に水をあげます。"),
    ),
}

POEMS = _pair(
    """Write a short poem about {}. | Write a poem about {}. | Write me a poem about {}. |
    A poem about {}, please. | Please write a little poem about {}. | Tell me a poem about {}. |
    Can you write a poem about {}? | Poem about {}""",
    """{}の詩を書いて。 | {}の短い詩を書いて。 | {}の詩を書いてください。 |
    {}についての詩を書いて。 | {}について短い詩を書いてください。 | {}の詩を聞かせて。 |
    {}の詩をお願いします。 | {}の詩""",
)
ANY_POEM = _pair(
    """Write a poem. | Write a short poem. | Write me a poem. | Tell me a poem. | A poem, please. |
    Write a poem about plants. | Write a short poem about plants.""",
    """詩を書いて。 | 短い詩を書いて。 | 詩を書いてください。 | 何か詩を聞かせて。 |
    詩をお願いします。""",
)

# What nobody taught the model, about the topics of `facts.UNKNOWN_TOPICS`.
UNKNOWN = _pair(
    """Explain {}. | Tell me about {}. | What do you know about {}? | How does {} work? |
    Who invented {}? | What do you think about {}? | Write an essay about {}. |
    Give me facts about {}. | Why is {} important? | What is {}?""",
    """{}を説明して。 | {}について教えて。 | {}について何を知っていますか？ | {}はどう動きますか？ |
    {}を発明したのは誰？ | {}についてどう思いますか？ | {}についての作文を書いて。 |
    {}とは何ですか？ | なぜ{}は大切なの？""",
)

INTRODUCTIONS = _pair(
    "My name is {}. | I am {}. | Hello, I am {}. | Hi, my name is {}. | Call me {}.",
    "私の名前は{}です。 | 私は{}です。 | {}です。 | {}といいます。 | {}と呼んで。",
)

# Sentences that make sense only after another one.
SAME_ABOUT = _pair("And {}? | What about {}?", "では{}は？ | じゃあ{}は？ | {}はどうですか？")
SAY_AGAIN = _pair(
    "Say that again. | Please repeat that. | Once more, please. | What did you say?",
    "もう一度言って。 | もう一回お願いします。 | 今何て言ったの？",
)
MY_NAME = _pair(
    "What is my name? | Do you know my name? | Who am I? | What's my name?",
    "私の名前は？ | 私の名前は何ですか？ | 私は誰？ | 私の名前を言って。",
)
