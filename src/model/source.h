// SPDX-License-Identifier: Apache-2.0
// Where a model comes from: tensors under Hugging Face's names, and the text files of a model directory. A directory of
// safetensors is one kind (hf_source.cc); a GGUF file shows itself as such a directory too (gguf_source.cc), so that
// nothing above knows the difference.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "quant/stored_matrix.h"

namespace unha {

struct SourceTensor {
  std::string name;            // Hugging Face's
  std::string file;            // which file holds it, for messages
  std::vector<int64_t> shape;  // as Hugging Face's
  StoredMatrix matrix;         // [shape[0], product of the rest]; a 1-D shape is one row
  int64_t bytes = 0;           // stored, scales included
  std::string problem;         // why it cannot be a weight ("type I64 ..."), for whoever asks for it; empty: it can
};

class ModelSource {
 public:
  virtual ~ModelSource() = default;

  virtual const std::string& path() const = 0;  // of the directory or file, for messages

  // config.json, tokenizer.json, tokenizer_config.json, generation_config.json and what else belongs to them;
  // Error(kNotFound) if it is not there. Names are ours, never a file's.
  virtual bool has_file(const std::string& name) const = 0;
  virtual std::string read_text(const std::string& name) const = 0;

  virtual const SourceTensor* find(const std::string& name) const = 0;  // nullptr: there is none
  virtual std::vector<const SourceTensor*> tensors() const = 0;         // in order of name

  // The checkpoint behind it, for what is not a float (constants of Engram); nullptr for GGUF.
  virtual const Checkpoint* checkpoint() const { return nullptr; }
};

// A model directory, a .safetensors file or index, a .gguf file (of a split one: the first), or a directory of GGUF
// files. Checks everything that can be known without reading weights.
std::shared_ptr<const ModelSource> open_source(const std::string& path);

}  // namespace unha
