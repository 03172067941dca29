// SPDX-License-Identifier: Apache-2.0
// Reads a small file of text-side configuration (tokenizer.json and its neighbours) whole.
#pragma once

#include <filesystem>
#include <string>

namespace unha {

// Error(kNotFound) if the file is not there, kResource if it cannot be read or exceeds 1 GiB.
std::string read_whole_file(const std::filesystem::path& path);

}  // namespace unha
