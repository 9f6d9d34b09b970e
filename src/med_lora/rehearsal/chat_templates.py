"""Chat templates in the layout of each model family's published tokenizer."""

from __future__ import annotations

LLAMA2_CHAT = """{%- if messages[0].role == 'system' -%}
{%- set system, turns = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n', messages[1:] -%}
{%- else -%}
{%- set system, turns = '', messages -%}
{%- endif -%}
{%- for turn in turns -%}
{%- if turn.role == 'user' -%}
{{ bos_token + '[INST] ' + (system if loop.first else '') + turn.content.strip() + ' [/INST]' }}
{%- else -%}
{{ ' ' + turn.content.strip() + ' ' + eos_token }}
{%- endif -%}
{%- endfor -%}"""

LLAMA3_CHAT = """{{- bos_token -}}
{%- for turn in messages -%}
{{ '<|start_header_id|>' + turn.role + '<|end_header_id|>\\n\\n' + turn.content.strip() + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"""

# 3.1 always has a system turn with two dates; later ones take today's date where the caller gives none
LLAMA31_CHAT = """{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
{%- set system, turns = messages[0].content.strip(), messages[1:] -%}
{%- else -%}
{%- set system, turns = '', messages -%}
{%- endif -%}
{%- if not date_string is defined -%}{%- set date_string = strftime_now('%d %b %Y') -%}{%- endif -%}
{{ '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\nToday Date: ' }}
{{- date_string + '\\n\\n' + system + '<|eot_id|>' }}
{%- for turn in turns -%}
{{ '<|start_header_id|>' + turn.role + '<|end_header_id|>\\n\\n' + turn.content.strip() + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"""

MISTRAL_CHAT = """{{- bos_token -}}
{%- for turn in messages -%}
{%- if (turn.role == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{{ '[INST] ' + turn.content + ' [/INST]' if turn.role == 'user' else turn.content + eos_token }}
{%- endfor -%}"""

GEMMA_CHAT = """{{- bos_token -}}
{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for turn in messages -%}
{%- set role = 'model' if turn.role == 'assistant' else turn.role -%}
{{ '<start_of_turn>' + role + '\\n' + turn.content.strip() + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""

QWEN3_CHAT = """{%- for turn in messages -%}
{{ '<|im_start|>' + turn.role + '\\n' + turn.content + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and not enable_thinking -%}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}
{%- endif -%}"""
