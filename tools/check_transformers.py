#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that a model of ours without Engram is a Hugging Face `deepseek_v3` model.

Loads DIR with transformers (no missing or unexpected tensors besides the MTP layer, which transformers leaves out), and
compares greedy continuations in float32 with `unha run --numerics f32`.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install torch transformers safetensors
    /tmp/hf/bin/python tools/check_transformers.py build/release/unha DIR
"""
import json
import subprocess
import sys

import torch
from transformers import DeepseekV3ForCausalLM


def main():
    program, directory = sys.argv[1:3]
    model, info = DeepseekV3ForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    layers = model.config.num_hidden_layers
    unexpected = [k for k in info["unexpected_keys"] if f"layers.{layers}." not in k]
    assert not info["missing_keys"] and not unexpected and not info["mismatched_keys"], info
    for prompt in ([0, 40, 41, 42], [0] + list(range(300, 340))):
        command = [program, "run", directory, "--numerics", "f32", "--temperature", "0", "--max-tokens", "16", "--json",
                   "--ids", ",".join(map(str, prompt))]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["ids"]
        with torch.no_grad():
            theirs = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=len(ours))[0, len(prompt):].tolist()
        assert ours == theirs, (ours, theirs)
        print(f"prompt of {len(prompt)}: {len(ours)} greedy tokens equal")


if __name__ == "__main__":
    main()
