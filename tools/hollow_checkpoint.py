#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an official checkpoint's shapes with holes for weights: full size on paper, a few megabytes on disk.

For what only needs shapes: `unha inspect`, the memory plan, the refusal of what does not fit, the time that 90,000
tensors take to bind. Sizes are those of deepseek-v3.md sections 0 and 9.

    tools/hollow_checkpoint.py v3 /tmp/v3 && build/release/unha inspect /tmp/v3
"""
import json
import pathlib
import struct
import sys

YARN = {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1}
DEEPSEEK = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000, "max_position_embeddings": 163840,
            "attention_bias": False, "tie_word_embeddings": False, "moe_layer_freq": 1, "kv_lora_rank": 512,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
V2_LITE = dict(DEEPSEEK, model_type="deepseek_v2", hidden_size=2048, num_hidden_layers=27, num_attention_heads=16,
               num_key_value_heads=16, q_lora_rank=None, intermediate_size=10944, moe_intermediate_size=1408,
               first_k_dense_replace=1, n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, n_group=1,
               topk_group=1, topk_method="greedy", scoring_func="softmax", norm_topk_prob=False,
               routed_scaling_factor=1.0, vocab_size=102400, bos_token_id=100000, eos_token_id=100001,
               rope_scaling=dict(YARN, mscale=0.707, mscale_all_dim=0.707))
V3 = dict(DEEPSEEK, model_type="deepseek_v3", hidden_size=7168, num_hidden_layers=61, num_attention_heads=128,
          num_key_value_heads=128, q_lora_rank=1536, intermediate_size=18432, moe_intermediate_size=2048,
          first_k_dense_replace=3, n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8, n_group=8,
          topk_group=4, topk_method="noaux_tc", scoring_func="sigmoid", norm_topk_prob=True,
          routed_scaling_factor=2.5, vocab_size=129280, bos_token_id=0, eos_token_id=1, num_nextn_predict_layers=1,
          rope_scaling=dict(YARN, mscale=1.0, mscale_all_dim=1.0),
          quantization_config={"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                               "weight_block_size": [128, 128]})
V32 = dict(V3, model_type="deepseek_v32", index_n_heads=64, index_head_dim=128, index_topk=2048)
DENSE = {"hidden_act": "silu", "max_position_embeddings": 131072, "tie_word_embeddings": False}
QWEN = dict(DENSE, model_type="qwen2", hidden_size=1536, num_hidden_layers=28, num_attention_heads=12,
            num_key_value_heads=2, intermediate_size=8960, vocab_size=151936, rope_theta=10000, rms_norm_eps=1e-6,
            bos_token_id=151646, eos_token_id=151643)
LLAMA = dict(DENSE, model_type="llama", hidden_size=4096, num_hidden_layers=32, num_attention_heads=32,
             num_key_value_heads=8, intermediate_size=14336, vocab_size=128256, rope_theta=500000, rms_norm_eps=1e-5,
             bos_token_id=128000, eos_token_id=128001,
             rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                           "original_max_position_embeddings": 8192})
MODELS = {"v2-lite": V2_LITE, "v3": V3, "v32": V32, "r1-qwen-1.5b": QWEN, "r1-llama-8b": LLAMA}
BYTES = {"F32": 4, "BF16": 2, "F8_E4M3": 1}
SHARD = 5 * 10**9  # bytes


class Shapes:
    def __init__(self, config):
        self.c, self.list = config, []

    def add(self, name, *shape, dtype="BF16"):
        self.list.append((name, dtype, list(shape)))

    def linear(self, name, rows, cols):
        if "quantization_config" not in self.c:
            return self.add(name + ".weight", rows, cols)
        self.add(name + ".weight", rows, cols, dtype="F8_E4M3")
        self.add(name + ".weight_scale_inv", -(-rows // 128), -(-cols // 128), dtype="F32")

    def mlp(self, prefix, width):
        self.linear(prefix + "gate_proj", width, self.c["hidden_size"])
        self.linear(prefix + "up_proj", width, self.c["hidden_size"])
        self.linear(prefix + "down_proj", self.c["hidden_size"], width)

    def mla(self, prefix):
        c, hidden = self.c, self.c["hidden_size"]
        heads, qk = c["num_attention_heads"], c["qk_nope_head_dim"] + c["qk_rope_head_dim"]
        if c["q_lora_rank"]:
            self.linear(prefix + "q_a_proj", c["q_lora_rank"], hidden)
            self.add(prefix + "q_a_layernorm.weight", c["q_lora_rank"])
            self.linear(prefix + "q_b_proj", heads * qk, c["q_lora_rank"])
        else:
            self.linear(prefix + "q_proj", heads * qk, hidden)
        self.linear(prefix + "kv_a_proj_with_mqa", c["kv_lora_rank"] + c["qk_rope_head_dim"], hidden)
        self.add(prefix + "kv_a_layernorm.weight", c["kv_lora_rank"])
        self.linear(prefix + "kv_b_proj", heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"])
        self.linear(prefix + "o_proj", hidden, heads * c["v_head_dim"])
        if "index_topk" in c:
            self.linear(prefix + "indexer.wq_b", c["index_n_heads"] * c["index_head_dim"], c["q_lora_rank"])
            self.linear(prefix + "indexer.wk", c["index_head_dim"], hidden)
            self.add(prefix + "indexer.k_norm.weight", c["index_head_dim"])
            self.add(prefix + "indexer.k_norm.bias", c["index_head_dim"])
            self.add(prefix + "indexer.weights_proj.weight", c["index_n_heads"], hidden)

    def gqa(self, prefix):
        c, hidden = self.c, self.c["hidden_size"]
        head = hidden // c["num_attention_heads"]
        for name, heads in (("q", c["num_attention_heads"]), ("k", c["num_key_value_heads"]), ("v", c["num_key_value_heads"])):
            self.linear(f"{prefix}{name}_proj", heads * head, hidden)
            if c["model_type"] == "qwen2":
                self.add(f"{prefix}{name}_proj.bias", heads * head)
        self.linear(prefix + "o_proj", hidden, hidden)

    def layer(self, i):
        c, prefix = self.c, f"model.layers.{i}."
        self.add(prefix + "input_layernorm.weight", c["hidden_size"])
        self.add(prefix + "post_attention_layernorm.weight", c["hidden_size"])
        (self.mla if "kv_lora_rank" in c else self.gqa)(prefix + "self_attn.")
        if i < c.get("first_k_dense_replace", c["num_hidden_layers"]):
            return self.mlp(prefix + "mlp.", c["intermediate_size"])
        self.add(prefix + "mlp.gate.weight", c["n_routed_experts"], c["hidden_size"])
        if c["topk_method"] == "noaux_tc":
            self.add(prefix + "mlp.gate.e_score_correction_bias", c["n_routed_experts"], dtype="F32")
        for e in range(c["n_routed_experts"]):
            self.mlp(f"{prefix}mlp.experts.{e}.", c["moe_intermediate_size"])
        self.mlp(prefix + "mlp.shared_experts.", c["n_shared_experts"] * c["moe_intermediate_size"])

    def all(self):
        c, hidden, layers = self.c, self.c["hidden_size"], self.c["num_hidden_layers"]
        self.add("model.embed_tokens.weight", c["vocab_size"], hidden)
        for i in range(layers + c.get("num_nextn_predict_layers", 0)):
            self.layer(i)
        for i in range(layers, layers + c.get("num_nextn_predict_layers", 0)):
            prefix = f"model.layers.{i}."
            for name in ("enorm", "hnorm", "shared_head.norm"):
                self.add(f"{prefix}{name}.weight", hidden)
            self.add(prefix + "eh_proj.weight", hidden, 2 * hidden)
            self.add(prefix + "embed_tokens.weight", c["vocab_size"], hidden)
            self.add(prefix + "shared_head.head.weight", c["vocab_size"], hidden)
        self.add("model.norm.weight", hidden)
        self.add("lm_head.weight", c["vocab_size"], hidden)
        return self.list


def size_of(dtype, shape):
    size = BYTES[dtype]
    for length in shape:
        size *= length
    return size


def write_shard(path, tensors):
    header, at = {}, 0
    for name, dtype, shape in tensors:
        end = at + size_of(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + at)  # a hole


def main():
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True)
    config = MODELS[name]
    shards, size = [[]], 0
    for tensor in Shapes(config).all():
        if size > SHARD:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += size_of(*tensor[1:])
    index = {}
    for i, tensors in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):06}.safetensors"
        write_shard(folder / file, tensors)
        index.update({tensor[0]: file for tensor in tensors})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    print(f"{folder}: {len(index)} tensors in {len(shards)} shards")


main()
