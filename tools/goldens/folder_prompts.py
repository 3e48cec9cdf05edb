"""Folders with chat templates and with LoRA adapters, and folders that must be refused."""

import os
import shutil

import torch
from folder_base import END, Case, edit, standard, trained, wrapped, write
from folder_generation import GREEDY, by_hand
from folder_weights import changed, state, stored
from safetensors.torch import load_file, save_file

QUESTIONS = ["Bom dia!", "Qual é a capital?", "  Olá, mundo \n"]
MARKED = (
    END,
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<|assistant|>",
    "</s>",
    "[INST]",
     "[/INST]")
TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message"
              "['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
              "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "dialogpt": "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + "
              "message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ "
              "'<|system|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == "
              "'assistant' %}\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}"
              "\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
              "{% endfor %}",
    "llama": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != "
             "(loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate "
             "user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ "
             "'[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
             "{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant"
             " roles are supported!') }}{% endif %}{% endfor %}",
    "system-set": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set "
                  "system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages "
                  "%}{% set system_message = 'Seja útil.' %}{% endif %}{{ system_message ~ '\\n' }}"
                  "{% for message in loop_messages %}{{ message['role'] | upper }}: "
                  "{{ message['content'] | trim }}\n{% endfor %}{% if add_generation_prompt %}"
                  "ASSISTANT:{% endif %}",
    "alpaca": "{%- for message in messages -%}\n{%- if message.role == 'user' -%}\n### Pergunta:\n"
              "{{ message.content.strip() }}\n\n{% else -%}\n### Resposta:\n{{ message.content }}\n\n"
              "{% endif -%}\n{%- endfor -%}\n{%- if add_generation_prompt %}### Resposta:\n{% endif -%}",
    "namespace": "{%- set ns = namespace(n=0) -%}{%- for m in messages if m.role != 'system' -%}{%- set "
                 "ns.n = ns.n + 1 -%}{{ ns.n }}. {{ m['content'] }}{{ '|' if not loop.last else '' }}"
                 "{%- endfor -%}{{ ' => ' if add_generation_prompt is defined and "
                 "add_generation_prompt else '' }}",
}


def chat_tokenizer(**how):
    return wrapped(trained(special=MARKED), **how)


def in_config(template):
    """chat_template in tokenizer_config.json, as transformers 4 wrote it."""
    def write_folder(folder):
        standard(folder, tokenizer=chat_tokenizer())
        edit(folder / "tokenizer_config.json", chat_template=template)
    return write_folder


def in_file(template):
    """chat_template.jinja, as transformers 5 writes it."""
    def write_folder(folder):
        tokenizer = chat_tokenizer()
        tokenizer.chat_template = template
        standard(folder, tokenizer=tokenizer)
        assert (folder / "chat_template.jinja").exists()
    return write_folder


def both_templates(folder):
    in_file(TEMPLATES["chatml"])(folder)
    edit(folder / "tokenizer_config.json", chat_template=TEMPLATES["dialogpt"])


def template_cases():
    for name, template in TEMPLATES.items():
        yield Case(f"chat/{name}", in_config(template), prompts=["Bom dia"], count=1,
                   questions=QUESTIONS, texts=["<|im_start|>a</s>"])
    yield Case("chat/jinja-file", in_file(TEMPLATES["chatml"]), questions=QUESTIONS, count=0)
    yield Case("chat/both", both_templates, questions=QUESTIONS, count=0)
    yield Case("chat/named", in_config([{"name": "default", "template": TEMPLATES["chatml"]},
                                        {"name": "tool_use", "template": "x"}]),
               questions=QUESTIONS, count=0)
    yield Case("chat/option", lambda folder: standard(folder, tokenizer=chat_tokenizer()),
               questions=QUESTIONS, count=0, args=["--template", "Pergunta: {question}\nResposta:"],
               context_ids=lambda tokenizer, question: list(
                   tokenizer(f"Pergunta: {question}\nResposta:").input_ids))
    yield Case("chat/not-aira", not_aira, prompts=["<s>Bom dia</s>", "mar"], error="",
               texts=["<s>Bom dia</s>"])


def not_aira(folder):
    """bos and sep of a RoBERTa-like vocabulary are not Aira's markers."""
    standard(folder, tokenizer=wrapped(trained(special=("<s>", "</s>", "<pad>")), bos_token="<s>",
                                       eos_token="</s>", sep_token="</s>", cls_token="<s>"))


def adapted(target, change=None, head=False, **how):
    """A base folder and an adapter folder beside it, as PEFT writes them."""
    def write_folder(folder):
        from peft import LoraConfig, get_peft_model
        torch.manual_seed(7)
        model = standard(folder / "base")
        settings = LoraConfig(task_type="CAUSAL_LM", target_modules=target, fan_in_fan_out=True,
                              **{**dict(r=3, lora_alpha=8, lora_dropout=0.0), **how})
        adapter = get_peft_model(model, settings)
        generator = torch.Generator().manual_seed(11)
        for name, parameter in adapter.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data = (noise * 8).round() / 16
        adapter.save_pretrained(folder / "adapter")
        edit(folder / "adapter" / "adapter_config.json", base_model_name_or_path="org/base")
        if (folder / "adapter" / "README.md").exists():
            os.remove(folder / "adapter" / "README.md")
        if change:
            change(folder / "adapter")
    return write_folder


def adapter_case(name, *args, **how):
    return Case(f"adapter/{name}", adapted(*args, **how), model="base", adapter="adapter",
                args=["--adapter", "{folder}/adapter"])


def adapter_cases():
    yield adapter_case("c-attn", ["c_attn"])
    yield adapter_case("all", ["c_attn", "c_proj", "c_fc"], r=4, lora_alpha=4)
    yield adapter_case("all-linear", "all-linear")
    yield adapter_case("rslora", ["c_attn", "c_fc"], use_rslora=True, r=5, lora_alpha=3)
    yield adapter_case("regex", r".*\.mlp\.c_proj", r=2)
    yield adapter_case("one-layer", ["c_attn"], layers_to_transform=[1], r=8)
    yield adapter_case("save-norm", ["c_attn"], modules_to_save=["ln_f"])
    yield adapter_case("patterns", ["c_attn", "c_fc"], rank_pattern={"c_fc": 2},
                       alpha_pattern={"attn.c_attn": 5})
    yield adapter_case("f16", ["c_attn"], change=half_adapter)
    yield adapter_case("bias", ["c_attn"], bias="lora_only")


def half_adapter(folder):
    path = folder / "adapter_model.safetensors"
    save_file({k: v.half() for k, v in load_file(path).items()}, path, metadata={"format": "pt"})


def refused(name, write_folder, error, **how):
    return Case(f"refused/{name}", write_folder, prompts=["Bom dia"], count=1, error=error, **how)


def head_bias(tensors):
    return {**tensors, "lm_head.bias": torch.full((420,), 0.5)}


def no_head(folder):
    """Untied, but without the head: transformers would make one up."""
    standard(folder, tie_word_embeddings=False)
    tensors = state(folder)
    del tensors["lm_head.weight"]
    stored(folder, tensors)


def prefixed(prefix):
    return changed(lambda tensors: {prefix + k: v for k, v in tensors.items()})


def checkpoint_parent(folder):
    standard(folder / "checkpoint-500")
    standard(folder / "checkpoint-1000", seed=2)
    write(folder / "trainer_state.json", {"global_step": 1000})


def adapter_alone(folder):
    adapted(["c_attn"])(folder)
    for path in (folder / "adapter").iterdir():
        shutil.copy(path, folder / path.name)
    shutil.rmtree(folder / "base")
    shutil.rmtree(folder / "adapter")


def other_type(name):
    def write_folder(folder):
        standard(folder)
        edit(folder / "config.json", model_type=name, architectures=[name + "ForCausalLM"])
    return write_folder


def with_bom(folder):
    standard(folder)
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def config_with(**changes):
    def write_folder(folder):
        standard(folder)
        edit(folder / "config.json", **changes)
    return write_folder


def bin_with_code(folder):
    """A pickle that would run a program."""
    standard(folder)
    os.remove(folder / "model.safetensors")

    class Code:
        def __reduce__(self):
            return os.system, ("touch run-by-pickle",)

    torch.save({"transformer.wte.weight": Code()}, folder / "pytorch_model.bin")


def refusal_cases():
    yield refused("checkpoint-parent", checkpoint_parent, "checkpoint-1000")
    yield refused("adapter-alone", adapter_alone, "--adapter")
    yield refused("gpt-neo", other_type("gpt_neo"), "gpt_neo")
    yield refused("llama", other_type("llama"), "llama")
    yield refused("bom", with_bom, "config.json")
    yield refused("activation", config_with(activation_function="nonsense"), "nonsense")
    yield refused("cross-attention", config_with(add_cross_attention=True), "add_cross_attention")
    yield refused("quantised", config_with(quantization_config={"quant_method": "gptq", "bits": 4}),
                  "quantization_config")
    yield refused("code", bin_with_code, "pytorch_model.bin")
    yield refused("forced-and-suppressed", by_hand(dict(
        GREEDY, forced_eos_token_id=7, suppress_tokens=[7], eos_token_id=-1)), "suppress_tokens")
    yield refused("sequences-beams", by_hand(dict(GREEDY, num_beams=2, num_return_sequences=3)),
                  "num_return_sequences")
    yield refused("max-new-tokens-0", by_hand(dict(GREEDY, max_new_tokens=0)), "max_new_tokens")
    yield refused("early-stopping", by_hand(dict(GREEDY, early_stopping="always")), "early_stopping")
    yield refused("dora", adapted(["c_attn"], use_dora=True), "dora", model="base",
                  args=["--adapter", "{folder}/adapter"])


def note_cases():
    """Fields that change transformers' results and are not honoured: said, never ignored."""
    def noted(name, field, value):
        return Case(f"noted/{name}", by_hand({**GREEDY, field: value}), note=field, count=1,
                    clear=[field])
    yield noted("guidance-scale", "guidance_scale", 1.5)
    yield noted("penalty-alpha", "penalty_alpha", 0.6)
    yield noted("watermark", "watermarking_config", {"bias": 2.5, "greenlist_ratio": 0.25})
    yield noted("top-h", "top_h", 0.4)
    yield Case("noted/beam-sample", by_hand({**GREEDY, "num_beams": 3, "do_sample": True}),
               note="do_sample", count=1, clear=["do_sample"])
