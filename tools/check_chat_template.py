#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves once that our chat template says the same in transformers as in src/text/chat_template.cc.

  python3 -m venv /tmp/venv && /tmp/venv/bin/pip install transformers jinja2
  /tmp/venv/bin/python tools/check_chat_template.py MODEL_DIR [UNHA]

MODEL_DIR is a folder written by `unha tokenizer train` or `unha train`. apply_chat_template must give the form that
chat_template.h states, for every chat below; encoded by the tokenizers library, the texts must give the ids that UNHA
(default: build/release/unha) gives for them.
"""
import json
import subprocess
import sys

from transformers import AutoTokenizer

CHATS = [
    [("user", "Hello")],
    [("system", "Be brief."), ("user", "Hello")],
    [("system", ""), ("user", "")],
    [("user", "1 + 1?"), ("assistant", "<think>1 + 1 = 2</think>2"), ("user", "Is that so?")],
    [("system", "{{ braces }} {% raw %}"), ("user", " spaces \n\n lines \n"), ("assistant", "\n한국어 漢字 😀\n")],
    [("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", "d")],
    [("assistant", "I begin.")],
]
REFUSED = [[("user", "x"), ("system", "late")], [("tool", "x")]]


def stated_form(chat, generation):
    text = "<bos>"
    for role, content in chat:
        text += {"system": content, "user": "<user>" + content, "assistant": "<assistant>" + content + "<eos>"}[role]
    return text + ("<assistant>" if generation else "")


def main():
    folder = sys.argv[1]
    unha = sys.argv[2] if len(sys.argv) > 2 else "build/release/unha"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    checked = 0
    texts = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        for generation in (False, True):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation)
            expected = stated_form(chat, generation)
            if text != expected:
                sys.exit(f"chat {chat}: transformers gives {text!r}, the stated form is {expected!r}")
            texts.append(text)
            checked += 1
    for chat in REFUSED:
        try:
            tokenizer.apply_chat_template([{"role": r, "content": c} for r, c in chat], tokenize=False)
        except Exception:  # jinja2.exceptions.TemplateError
            checked += 1
            continue
        sys.exit(f"chat {chat} should have been refused")

    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    answer = subprocess.run([unha, "tokenizer", "encode", folder, "--jsonl"], input=rows.encode(), capture_output=True,
                            check=True).stdout
    for text, line in zip(texts, answer.decode().splitlines(), strict=True):
        ours = json.loads(line)["ids"]
        theirs = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ours != theirs:
            sys.exit(f"{text!r}: unha gives {ours}, transformers {theirs}")
        if tokenizer.decode(ours) != text:
            sys.exit(f"{text!r} does not survive decoding by transformers")
        checked += 1
    print(f"{checked} checks passed")


if __name__ == "__main__":
    main()
