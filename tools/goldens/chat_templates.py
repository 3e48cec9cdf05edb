#!/usr/bin/env python3
"""Writes tests/data/chat_templates.json: what transformers' apply_chat_template makes of chat templates.

Of each case: the template, the messages, the special tokens, and the text or (null) that Jinja refuses. `unsupported` names
what this program refuses where transformers goes on. `ids` are those of the tokenizer in tests/data/tokenizer/small, whose
own special tokens then stand for the template's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_SYSTEM = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DIALOGPT = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
BLENDERBOT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ ' ' }}{% endif %}{{ message['content'] }}"
    "{% if not loop.last %}{{ '  ' }}{% endif %}{% endfor %}{{ eos_token }}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
ALPACA = """{%- if messages[0]['role'] == 'system' -%}
    {{ messages[0]['content'] | trim }}{{ "\\n\\n" }}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {{ "Below is an instruction that describes a task. Write a response that appropriately completes the request.\\n\\n" }}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if message.role == "user" -%}
        {{- "### Instruction:\\n" ~ message.content ~ "\\n\\n" -}}
    {%- else -%}
        {{- "### Response:\\n" ~ message.content ~ eos_token ~ "\\n\\n" -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- "### Response:\\n" -}}
{%- endif -%}
"""
VICUNA = (
    "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] | trim + '\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set system_message = 'A chat between a curious user and an assistant.\n\n' %}"
    "{% endif %}{{ bos_token + system_message }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] | trim + '\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] | trim + eos_token + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token + ' ' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}"
    "{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}{{ tool | tojson(indent=2) }}{%- endfor %}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in message.content %}
                {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
TRL = (
    "{%- for message in messages %}\n{%- if message.role == 'user' %}\n{{- '### Human: ' + message.content.strip() + '\\n' }}\n"
    "{%- elif message.role == 'assistant' %}\n{{- '### Assistant: ' }}{% generation %}{{ message.content + eos_token }}"
    "{% endgeneration %}\n{{- '\\n' }}\n{%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}{{ '### Assistant:' }}{% endif %}\n"
)
PORTUGUESE = (
    "{# Perguntas e respostas #}\n{% for m in messages if m.role != 'system' %}\n"
    "{{ 'Pergunta' if m.role == 'user' else 'Resposta' }}: {{ m.content | upper if loop.first else m.content }}\n"
    "{% else %}\nnada\n{% endfor %}\n  {% if add_generation_prompt %}\nResposta:\n{% endif %}\n\n"
)
WHITE = (
    "  {# um #}  \n  {%+ if true %}a{% endif +%}\n b {%- if 1 < 2 <= 2 %}  c  {%- endif -%}  \n\n  d\r\n\t{% set x = 1 %}\n"
    "e {{- ' f ' -}} g\n{{ x }}\n{%- for i in [1, 2] %} {{ i }} {% endfor %}\n\n"
)
EXPRESSIONS = (
    "{{ (1 + 2 * 3) ~ 'x' }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 'b' in 'abc' }}|{{ 3 not in [1, 2] }}|{{ none is none }}|"
    "{{ x is defined }}|{{ x is not defined and true }}|{{ (x or 'y') ~ 'z' }}|{{ messages | length }}|{{ messages[-1].role }}|"
    "{{ messages[-1]['content'][:3] }}|{{ messages[-1].content[::-1] }}|{{ 'a,b,,c'.split(',') | join('-') }}|"
    "{{ ' a b  c '.split() | join('/') }}|{{ messages[0] | tojson }}|{{ ['é', 1, true, none] | tojson }}|{{ 'ação'.upper() }}|"
    "{{ 'olá mundo' | title }}|{{ 'OLÁ' | capitalize }}|{{ 'aXbX'.replace('X', '--') }}|{{ y | default('nada') }}|"
    "{{ '' | default('vazio', true) }}|{{ [1, 2, 3][1:] | last }}|{{ 'abc' | first }}|{{ {'a': 'b'}.a }}|{{ {'a': 1}.get('z', 5) }}|"
    "{% for k, v in {'p': 1, 'q': 2}.items() %}{{ k }}={{ v }}{{ ',' if not loop.last }}{% endfor %}|{{ 'a' 'b' }}|{{ '\\u00e9\\x41\\q' }}|"
    "{% set t %}bloco {{ 1 }}{% endset %}{{ t | upper }}|{% for i in [0, 1, 2, 3, 4] %}{% if i == 1 %}{% continue %}{% endif %}"
    "{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}|{{ 2 is even }}{{ 3 is odd }}|{{ not true or 1 == 1.__class__ }}"
)
EXPRESSIONS = EXPRESSIONS.replace("|{{ not true or 1 == 1.__class__ }}", "|{{ not false and not (1 == 2) }}|{{ 'x' == 'x' != false }}")
SCOPES = (
    "{% set a = 1 %}{% for i in [1, 2] %}{{ a }}{% set a = i + 5 %}{{ a }}{% endfor %}{{ a }}{% if true %}{% set a = 9 %}{% endif %}{{ a }}"
    "{% set ns = namespace(n=0, s='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.s = ns.s ~ loop.revindex %}{% endfor %}"
    "{{ ns.n }}{{ ns.s }}{% for m in messages %}{{ loop.previtem.role if not loop.first }}>{% for l in m.role[:2] %}{{ l }}{{ loop.index }}"
    "{% endfor %}{% endfor %}"
)
DATE = "{% set d = strftime_now('%d %b %Y') %}{{ d }}{{ messages[0].content }}"
MACRO = "{% macro put(m) %}{{ m.content }}{% endmacro %}{{ put(messages[0]) }}"
MAP = "{{ messages | map(attribute='content') | join }}"
POWER = "{{ 2 ** 3 }}{{ messages[0].content }}"
LISTS = "{{ messages }}"

TEMPLATES = {
    "ChatML": CHATML, "ChatML with a system message": CHATML_SYSTEM, "DialoGPT": DIALOGPT, "BlenderBot": BLENDERBOT,
    "Llama 2": LLAMA2, "Zephyr": ZEPHYR, "Alpaca": ALPACA, "Vicuna": VICUNA, "Llama 3": LLAMA3, "Mistral": MISTRAL, "Gemma": GEMMA,
    "Qwen 3": QWEN, "TRL with generation": TRL, "Portuguese": PORTUGUESE, "white space": WHITE, "expressions": EXPRESSIONS,
    "scopes": SCOPES,
}  # fmt: skip
UNSUPPORTED = {"strftime_now": DATE, "macro": MACRO, "map": MAP, "**": POWER, "a list": LISTS}
BROKEN = ("{% if x %}", "{{ 'a }}", "{{ a b }}", "{% for x %}{% endfor %}", "{% endif %}", "{{ (1 }}", "{% set = 1 %}", "{{ 1 + }}",
          "{{ none.x.y }}", "{{ 'a' + 1 }}", "{{ missing + 'a' }}", "{% foo %}", "{# no end", "{{ x.y }}", "{{ 1 / 0 }}")  # fmt: skip

ASK = [{"role": "user", "content": "  Qual é a capital de Portugal? \n"}]
TURNS = [
    {"role": "user", "content": "Olá! <|im_end|>\n"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\n Olá, \"tudo\" bem?\t"},
    {"role": "user", "content": "ação çã \U0001f600 {{ x }}"},
]  # fmt: skip
SYSTEM = [{"role": "system", "content": " Responda em português. "}, *TURNS]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<|endoftext|>"}


def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(unk_token="<|endoftext|>")), **TOKENS)


def main() -> None:
    engine = tokenizer()
    data = Path(__file__).resolve().parents[2] / "tests/data"
    small = PreTrainedTokenizerFast.from_pretrained(data / "tokenizer/small")
    cases = []
    for name, source in [*TEMPLATES.items(), *UNSUPPORTED.items(), *((source, source) for source in BROKEN)]:
        for messages in (ASK, TURNS, SYSTEM) if name in TEMPLATES else (ASK,):
            try:
                text = engine.apply_chat_template(messages, chat_template=source, tokenize=False, add_generation_prompt=True)
            except Exception as error:  # Jinja's errors have no common class beside this
                text = None
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            case = {"name": name, "template": source, "messages": messages, "tokens": TOKENS, "text": text}
            if text is not None and name in TEMPLATES and messages is not SYSTEM:
                own = source.replace("<|im_start|>", "<|start|>").replace("<|im_end|>", "<|end|>")
                encoded = small.apply_chat_template(messages, chat_template=own, add_generation_prompt=True)
                case |= {"own_template": own, "ids": encoded["input_ids"]}
            cases.append(case | ({"unsupported": name} if name in UNSUPPORTED else {}))
    (data / "chat_templates.json").write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
