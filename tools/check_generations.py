#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every generation that transformers knows with Unha: small random models, saved by transformers, read by both.

Each case is a config switch or two; logits are compared as log-probabilities over the whole vocabulary, of every token
of a greedy continuation, in float32. Prints a line per case and exits 1 if one differs.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install torch transformers safetensors
    /tmp/hf/bin/python tools/check_generations.py build/release/unha
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers as hf

hf.utils.logging.disable_progress_bar()
hf.utils.logging.set_verbosity_error()

BOUND = 2e-4
VOCAB = 96
DENSE = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=False, bos_token_id=0,
             eos_token_id=1, pad_token_id=None)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
MLA = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, moe_intermediate_size=32, num_hidden_layers=3,
           num_attention_heads=4, num_key_value_heads=4, n_shared_experts=1, n_routed_experts=8, kv_lora_rank=32,
           qk_rope_head_dim=16, qk_nope_head_dim=16, v_head_dim=16, first_k_dense_replace=1, num_experts_per_tok=3,
           max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=None)
THETA = dict(rope_type="default", rope_theta=10000.0)

V3 = dict(MLA, q_lora_rank=24, n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5)

CASES = {
    "llama": (hf.LlamaConfig, dict(DENSE, rope_parameters=THETA)),
    "llama tied, rope llama3": (hf.LlamaConfig, dict(DENSE, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "llama bias, head_dim 24": (hf.LlamaConfig, dict(DENSE, head_dim=24, attention_bias=True)),
    "llama one kv head": (hf.LlamaConfig, dict(DENSE, num_key_value_heads=1)),
    "qwen2": (hf.Qwen2Config, dict(DENSE)),
    "qwen2 yarn": (hf.Qwen2Config, dict(DENSE, rope_parameters=YARN)),
    "qwen3": (hf.Qwen3Config, dict(DENSE, head_dim=32)),
    "qwen3 tied": (hf.Qwen3Config, dict(DENSE, head_dim=16, tie_word_embeddings=True)),
    "qwen3 yarn": (hf.Qwen3Config, dict(DENSE, head_dim=32, rope_parameters=YARN)),
    "qwen3 yarn attention_factor": (hf.Qwen3Config,
                                    dict(DENSE, head_dim=32, rope_parameters=dict(YARN, attention_factor=1.2))),
    "deepseek_v2 greedy": (hf.DeepseekV2Config, dict(MLA, q_lora_rank=None, topk_method="greedy", n_group=1,
                                                     topk_group=1, routed_scaling_factor=1.0)),
    "deepseek_v2 groups, q_lora": (hf.DeepseekV2Config, dict(MLA, q_lora_rank=24, topk_method="group_limited_greedy",
                                                             n_group=4, topk_group=2, routed_scaling_factor=4.0)),
    "deepseek_v3": (hf.DeepseekV3Config, V3),
    "deepseek_v3 yarn": (hf.DeepseekV3Config, dict(V3, rope_parameters=dict(YARN, beta_fast=32, beta_slow=1, mscale=1.0,
                                                                            mscale_all_dim=1.0))),
    # Heads enough that no key scores zero: among equal scores torch chooses freely.
    "deepseek_v32 chosen keys": (hf.DeepseekV32Config, dict(V3, index_n_heads=16, index_head_dim=32, index_topk=24)),
}


def randomise(model):
    # Weights large enough that an ignored switch shows; router biases too.
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
            if "inv_freq" in name:
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in name:
                tensor.copy_(1 + 0.2 * noise)
            elif "e_score_correction_bias" in name:
                tensor.copy_(0.1 * noise)
            else:
                tensor.copy_(noise * (0.5 if tensor.dim() == 1 else 1.5 / tensor.shape[-1] ** 0.5))


def ours(program, directory, prompt):
    command = [program, "run", directory, "--numerics", "f32", "--temperature", "0", "--max-tokens", "12", "--json",
               "--logprobs", "20", "--ids", ",".join(map(str, prompt))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr.strip()
    return json.loads(done.stdout)


def theirs(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)


def compare(program, name, config_class, keys):
    torch.manual_seed(1)
    config = config_class(**keys)
    model = hf.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model)
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        config_file = pathlib.Path(directory, "config.json")
        prompt = [(i * 37 + i * i % 29) % (VOCAB - 2) + 2 for i in range(100)]
        reply = ours(program, directory, prompt)
        if isinstance(reply, str):
            print(f"REFUSED  {name}: {reply}")
            return False
        ids, worst = reply["ids"], 0.0
        table = theirs(model, prompt + ids)
        for i, (token, given) in enumerate(zip(ids, reply["logprobs"])):
            row = table[len(prompt) - 1 + i]
            worst = max(worst, abs(given["logprob"] - row[token].item()))
            worst = max([worst] + [abs(value - row[other].item()) for other, value in given["top"]])
            if row.argmax().item() != token and row.max().item() - row[token].item() > BOUND:
                worst = float("inf")
        kind = json.loads(config_file.read_text())["model_type"]
    fine = worst <= BOUND and len(ids) > 0
    print(f"{'equal' if fine else 'DIFFERS':8} {name} ({kind}): {len(ids)} tokens, largest difference {worst:.2e}")
    return fine


def main():
    program = sys.argv[1]
    results = [compare(program, name, *case) for name, case in CASES.items()]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
