#!/usr/bin/env python3
"""Makes templates.json: chat templates, conversations, and what Jinja renders.

    python3 tests/data/text/make_templates.py

The templates are in words of our own; they write what the models' templates write. Needs
python3-jinja2, and node and npm with a registry, from which it takes HuggingFace's Jinja in
JavaScript (@huggingface/jinja, MIT) into a folder that it removes again: both have to render the
same. Nothing of it runs in the tests. The result is the same each time.
"""

import datetime
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

import jinja2
import jinja2.ext
import jinja2.sandbox

HERE = Path(__file__).resolve().parent
JINJA = "@huggingface/jinja@0.5.11"
TODAY = datetime.datetime(2025, 3, 9, 12)  # for strftime_now(); the script below has it too

TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Demo, made for tests.' }}
    {%- endif %}
    {{- "\\n\\n# Tools:\\n" }}
    {%- for tool in tools %}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "<|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Demo, made for tests.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

SWITCH_ONLY = """{#- a comment with '<|im_start|>system\\nnot this<|im_end|>\\n' in it #}
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

# Earlier answers without their thinking, as Qwen3 has it; then the end of the template.
PAST_THINKING = """{%- set place = namespace(question=0) %}
{%- for m in messages[::-1] %}
    {%- if place.question == 0 and m.role == "user" and not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}
        {%- set place.question = messages|length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {{- '<|im_start|>' ~ m['role'] ~ '\\n' }}
    {%- set text = m.content %}
    {%- if m.role == 'assistant' and '</think>' in text and loop.index0 < place.question %}
        {%- set text = text.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- text ~ '<|im_end|>\\n' }}
{%- endfor %}
"""

QWEN3 = PAST_THINKING + """{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and not enable_thinking %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

QWEN3_THINKING = PAST_THINKING + """{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif %}"""

LLAMA3 = (
    "{% for m in messages %}{% set turn = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
    " + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set turn = bos_token + turn %}{% endif %}"
    "{{ turn }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")

LLAMA3_DATED = """{{- bos_token }}
{%- set day = DAY %}
{%- set system_text = '' %}
{%- set rest = messages %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_text = messages[0]['content'] | trim %}
    {%- set rest = messages[1:] %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: tools\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\nToday Date: " + day + "\\n\\n" + system_text + "<|eot_id|>" }}
{%- for m in rest %}
    {%- if not (m.role == 'tool' or 'tool_calls' in m) %}
        {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}
    {%- else %}
        {%- for name, value in m.tool_calls.items() %}
            {{- value | tojson }}
        {%- endfor %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

DEEPSEEK = """{%- macro never_called(x) %}{% if x %}{{ x }}{% endif %}{% endmacro -%}
{%- set ns = namespace(system='', in_tool=false) -%}
{%- for m in messages -%}
  {%- if m['role'] == 'system' -%}
    {%- set ns.system = ns.system + m['content'] -%}
  {%- endif -%}
{%- endfor -%}
{{ bos_token }}{{ ns.system }}
{%- for m in messages -%}
  {%- if m['role'] == 'user' -%}
    {{ '<｜User｜>' + m['content'] }}
  {%- elif m['role'] == 'assistant' and m['content'] is not none -%}
    {%- set text = m['content'] -%}
    PAST{{ '<｜Assistant｜>' + text + '<｜end▁of▁sentence｜>' }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and not ns.in_tool -%}
  {{ '<｜Assistant｜>OPEN' }}
{%- endif -%}"""
DEEPSEEK_CUT = "{%- if '</think>' in text -%}{%- set text = text.split('</think>')[-1] -%}{%- endif -%}"

# The new lines between the tags are part of what it writes.
TINYLLAMA = """{% for m in messages %}
{% if m['role'] == 'system' %}
{{ '<|system|>
' + m['content'] + eos_token }}
{% elif m['role'] == 'user' %}
{{ '<|user|>
' + m['content'] + eos_token }}
{% else %}
{{ '<|assistant|>
' + m['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

PHI3 = (
    "{% for m in messages %}{% if m['role'] == 'system' and m['content'] %}{{ '<|system|>\n' + m['content'] + '<|end|>\n' }}"
    "{% elif m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '<|end|>\n' }}{% else %}"
    "{{ '<|assistant|>\n' + m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")

PHI3_FIRST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "{{ '<|user|>' + '\n' + m.content + '<|end|>' + '\n' + '<|assistant|>' + '\n' }}"
    "{% elif m.role == 'assistant' %}{{ m.content + '<|end|>' + '\n' }}{% endif %}{% endfor %}")

PHI3_SMALL = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' + '\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")

MINICPM = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<用户>' + m['content'].strip() + '<AI>' }}"
    "{% else %}{{ m['content'].strip() }}{% endif %}{% endfor %}")

NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}{{ '<start>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim + '<end>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start>model\n' }}{% endif %}")

SYSTEM_IN_USER = """{%- set system = '' %}
{%- set turns = messages %}
{%- if messages[0]["role"] == "system" %}
    {%- set system = '<<SYS>>\\n' + messages[0]["content"] + '\\n<</SYS>>\\n\\n' %}
    {%- set turns = messages[1:] %}
{%- endif %}
{%- for m in turns %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('user and assistant must alternate') }}
    {%- elif m['role'] == 'user' %}
        {{- bos_token + '[INST] ' + (system if loop.first else '') + m['content'] + ' [/INST]' }}
    {%- else %}
        {{- ' ' + m['content'] + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}"""

CHATML_LOOP = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
LLAMA_BOS = "<|begin_of_text|>"
DEEPSEEK_TOKENS = {"bos": "<｜begin▁of▁sentence｜>", "eos": "<｜end▁of▁sentence｜>"}


def template(name: str, family: str, jinja: str, bos: str = "", eos: str = "") -> Dict[str, Any]:
    """An entry of templates.json; `family` is the name that it is to be recognised by."""
    return {"name": name, "family": family, "bos": bos, "eos": eos, "template": jinja}


TEMPLATES = [
    template("ChatML, no default", "chatml", CHATML_LOOP +
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}", eos="<|im_end|>"),
    template("ChatML, default in the loop", "chatml",
             "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
             "{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}"
             "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"),
    template("ChatML, new lines within the strings", "chatml",
             "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
             "{{ '<|im_start|>system\nIt\\'s \\\\boxed{}.<|im_end|>\n' }}{% endif %}"
             "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"),
    template("ChatML, default here and in a branch for tools", "chatml", TOOLS),
    template("ChatML, default of Qwen2.5", "qwen2.5", TOOLS.replace(
        "You are Demo, made for tests.", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")),
    template("ChatML, white space goes", "custom", CHATML_LOOP.replace(".content", ".content | trim") +
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"),
    template("ChatML, answers opened by the user turn", "chatml",
             "{% set system_message = 'Be brief.' %}{% if messages[0]['role'] == 'system' %}"
             "{% set system_message = messages[0]['content'] %}{% endif %}"
             "{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' }}"
             "{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}"
             "{{ '<|im_start|>user\\n' + content + '<|im_end|>\\n<|im_start|>assistant\\n' }}"
             "{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}"),
    template("a switch for thinking, all of it kept", "custom", SWITCH_ONLY),
    template("answers start with thinking, all of it kept", "custom", CHATML_LOOP +
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"),
    template("Qwen3", "qwen3", QWEN3, eos="<|im_end|>"),
    template("Qwen3, always thinking", "qwen3-thinking", QWEN3_THINKING, eos="<|im_end|>"),
    template("Llama 3", "llama3", LLAMA3, LLAMA_BOS, "<|eot_id|>"),
    template("Llama 3.1", "llama3.1", LLAMA3_DATED.replace(
        "DAY", "(date_string if date_string is defined else '26 Jul 2024')"), LLAMA_BOS, "<|eot_id|>"),
    template("Llama 3.2", "llama3.2", LLAMA3_DATED.replace("DAY", "strftime_now('%d %b %Y')"), LLAMA_BOS, "<|eot_id|>"),
    template("DeepSeek V3", "deepseek-v3", DEEPSEEK.replace("PAST", "").replace("OPEN", ""), **DEEPSEEK_TOKENS),
    template("DeepSeek R1, thinking by itself", "custom",
             DEEPSEEK.replace("PAST", DEEPSEEK_CUT).replace("OPEN", ""), **DEEPSEEK_TOKENS),
    template("DeepSeek R1", "deepseek-r1",
             DEEPSEEK.replace("PAST", DEEPSEEK_CUT).replace("OPEN", "<think>\\n"), **DEEPSEEK_TOKENS),
    template("MiniCPM", "minicpm", MINICPM, "<s>", "</s>"),
    template("TinyLlama", "tinyllama", TINYLLAMA, "<s>", "</s>"),
    template("Phi-3", "phi3", PHI3, "<s>", "<|endoftext|>"),
    template("Phi-3, the first one, without system texts", "phi3", PHI3_FIRST, "<s>", "<|endoftext|>"),
    template("Phi-3-small", "phi3", PHI3_SMALL, "<|endoftext|>", "<|endoftext|>"),
    template("system texts refused", "custom", NO_SYSTEM, "<bos>"),
    template("system text within the user's", "custom", SYSTEM_IN_USER, "<s>", "</s>"),
]

# No spaces between new lines behind "</think>": @huggingface/jinja 0.5.11 takes them for new lines.
CONVERSATIONS = [
    ["", "Hello"],
    ["You are a pirate.", "Hello"],
    ["あなたは親切です。", "今日は\n天気がいいですね。 "],
    [" padded \n", "\n\n  code:\n\tx = 1\u3000\n"],
    ["Be kind.", "first", "one answer", "second"],
    ["", "first", "one\nanswer ", "second", "\n another", "third"],
    ["", "why", "<think>\nhm\n</think>\n\nyes", "and"],
    ["Think.", "why", "<think>\na</think>b</think>\n\nyes \n", "and", "\n\nno", "so"],
    ["<|im_end|>", "<|im_start|><think></s>", "<|eot_id|></think>", "<｜User｜>"],
]

RENDER = """
import { Template } from '@huggingface/jinja';
import fs from 'fs';
// Its strftime_now() asks for the time.
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) { super(...(given.length > 0 ? given : [2025, 2, 9, 12])); }
};
const jobs = JSON.parse(fs.readFileSync('jobs.json'));
console.log(JSON.stringify(jobs.map(({ jinja, variables }) => {
  try {
    return new Template(jinja).render(variables);
  } catch (error) {
    if (error.message !== 'no system') throw error;
    return null;
  }
})));
"""


def variables_of(entry: Dict[str, Any], conversation: List[str], thinking: Optional[bool]) -> Dict[str, Any]:
    """What transformers' apply_chat_template gives a template."""
    messages = [{"role": "system", "content": conversation[0]}] if conversation[0] else []
    for index, text in enumerate(conversation[1:]):
        messages.append({"role": "assistant" if index % 2 else "user", "content": text})
    variables = {"messages": messages, "add_generation_prompt": True, "tools": None, "documents": None}
    for token in ("bos", "eos"):
        if entry[token]:
            variables[token + "_token"] = entry[token]
    if thinking is not None:
        variables["enable_thinking"] = thinking
    return variables


def render(jinja: str, variables: Dict[str, Any]) -> Optional[str]:
    """As transformers' apply_chat_template does it; None where the template refuses."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = TODAY.strftime
    try:
        return environment.from_string(jinja).render(**variables)
    except jinja2.exceptions.TemplateError as error:
        if str(error) != "no system":
            raise
        return None


def render_in_javascript(jobs: List[Dict[str, Any]]) -> List[Optional[str]]:
    """What HuggingFace's own Jinja makes of the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", JINJA], cwd=folder, check=True)
        (folder / "jobs.json").write_text(json.dumps(jobs))
        (folder / "render.mjs").write_text(RENDER)
        return json.loads(subprocess.run(["node", "render.mjs"], cwd=folder, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Writes templates.json."""
    jobs = []
    for entry in TEMPLATES:
        switches = [None, True, False] if "enable_thinking" in entry["template"] else [None]
        entry["cases"] = []
        for conversation in CONVERSATIONS:
            for thinking in switches:
                variables = variables_of(entry, conversation, thinking)
                rendered = render(entry["template"], variables)
                jobs.append({"jinja": entry["template"], "variables": variables, "expected": rendered})
                entry["cases"].append({"conversation": conversation, "thinking": thinking, "rendered": rendered})
    for job, other in zip(jobs, render_in_javascript(jobs)):
        if job["expected"] != other:
            raise SystemExit(f"{job['variables']}\njinja2: {job['expected']!r}\n@huggingface/jinja: {other!r}")
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in TEMPLATES)
    (HERE / "templates.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(TEMPLATES)} templates, {len(jobs)} renderings")


if __name__ == "__main__":
    main()
