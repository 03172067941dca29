// SPDX-License-Identifier: Apache-2.0
#include "io/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace unha {

namespace {
static_assert(std::endian::native == std::endian::little, "files are little-endian and mapped as they are");

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr size_t kMaxRank = 4;
constexpr size_t kMaxNameBytes = 64;
constexpr uint64_t kDefaultAlignment = 32;
// The least that an entry of a table takes in the file: by it a count is believed or not.
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;

uint64_t width_of(GgufType type) {  // 0: strings and arrays
  constexpr std::array<uint64_t, 13> kWidths = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kWidths[static_cast<size_t>(type)];
}

struct TypeEntry {
  uint32_t id;
  std::string_view name;
  std::optional<Format> format;
};
// ggml's tensor types. The numbers that are not here were given up long ago, or never given.
constexpr TypeEntry kTensorTypes[] = {
    {0, "F32", Format::kF32},
    {1, "F16", Format::kF16},
    {2, "Q4_0", Format::kQ4_0},
    {3, "Q4_1", Format::kQ4_1},
    {6, "Q5_0", Format::kQ5_0},
    {7, "Q5_1", Format::kQ5_1},
    {8, "Q8_0", Format::kQ8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", Format::kQ2_K},
    {11, "Q3_K", Format::kQ3_K},
    {12, "Q4_K", Format::kQ4_K},
    {13, "Q5_K", Format::kQ5_K},
    {14, "Q6_K", Format::kQ6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", Format::kIQ4_NL},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", Format::kIQ4_XS},
    {24, "I8", {}},
    {25, "I16", {}},
    {26, "I32", {}},
    {27, "I64", {}},
    {28, "F64", Format::kF64},
    {29, "IQ1_M", {}},
    {30, "BF16", Format::kBF16},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", {}},
};
}  // namespace

std::string_view gguf_type_name(GgufType type) {
  constexpr std::array<std::string_view, 13> kNames = {"U8",   "I8",     "U16",   "I16", "U32", "I32", "F32",
                                                       "bool", "string", "array", "U64", "I64", "F64"};
  return kNames[static_cast<size_t>(type)];
}

class GgufParser {
 public:
  GgufParser(std::span<const std::byte> file, const std::string& name)
      : file_(file), name_(name), content_{0, GgufMetadata(name), {}} {}

  GgufContent run() {
    where_ = "header";
    read_version();
    auto tensors = read<uint64_t>("the number of tensors");
    auto keys = read<uint64_t>("the number of keys");
    check_count(keys, kMinKeyBytes, "keys");
    check_count(tensors, kMinTensorBytes, "tensors");
    for (uint64_t i = 0; i < keys; ++i) read_key(i);
    read_alignment();
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) offsets.push_back(read_tensor(i));
    place_tensors(offsets);
    check_names();
    check_overlap();
    return std::move(content_);
  }

 private:
  template <class... Args>
  [[noreturn]] void corrupt(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(ErrorCode::kCorrupt, "{}: {}: {}", name_, where_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void bad_tensor(const GgufTensor& tensor, const std::string& problem) const {
    throw_error(ErrorCode::kCorrupt, "{}: tensor {}: {}", name_, quoted_name(tensor.name), problem);
  }

  uint64_t left() const { return file_.size() - at_; }

  const std::byte* take(uint64_t bytes, std::string_view what) {
    if (bytes > left()) {
      corrupt("{} needs {} bytes at offset {}, the file ends after {} (cut short?)", what, bytes, at_, file_.size());
    }
    const std::byte* from = file_.data() + at_;
    at_ += bytes;
    return from;
  }

  template <class T>
  T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }

  std::string_view read_string(std::string_view what) {
    auto length = read<uint64_t>(what);
    return {reinterpret_cast<const char*>(take(length, what)), length};
  }

  // A key's or tensor's own name.
  std::string read_name(std::string_view what) {
    std::string_view text = read_string(what);
    size_t invalid = find_invalid_utf8(text);
    if (invalid != std::string_view::npos) corrupt("its name is not UTF-8 at byte {}", invalid);
    return std::string(text);
  }

  void check_count(uint64_t count, uint64_t least, std::string_view what) const {
    if (count > left() / least) corrupt("{} {} do not fit into the {} bytes that follow", count, what, left());
  }

  void read_version() {
    if (file_.size() < 4 || read<uint32_t>("the magic") != kMagic) {
      throw_error(ErrorCode::kCorrupt, "{}: not a GGUF file: it does not begin with \"GGUF\"", name_);
    }
    content_.version = read<uint32_t>("the version");
    if (content_.version == 2 || content_.version == 3) return;
    if (content_.version != 0 && (content_.version & 0xffffu) == 0) {
      throw_error(ErrorCode::kUnsupported, "{}: a big-endian GGUF file; only little-endian ones are supported", name_);
    }
    ErrorCode code = content_.version == 0 ? ErrorCode::kCorrupt : ErrorCode::kUnsupported;
    throw_error(code, "{}: GGUF version: expected 2 or 3, found {}", name_, content_.version);
  }

  GgufType read_type(std::string_view what) {
    auto type = read<uint32_t>(what);
    if (type > static_cast<uint32_t>(GgufType::kF64)) corrupt("{}: unknown type {}", what, type);
    return static_cast<GgufType>(type);
  }

  void read_key(uint64_t index) {
    where_ = fmt::format("key {}", index);
    std::string key = read_name("its name");
    where_ = "key " + quoted_name(key);
    GgufValue value;
    value.type = read_type("the type of its value");
    value.array = value.type == GgufType::kArray;
    uint64_t count = 1;
    if (value.array) {
      value.type = read_type("the type of its elements");
      if (value.type == GgufType::kArray) {
        throw_error(ErrorCode::kUnsupported, "{}: {}: an array of arrays", name_, where_);
      }
      count = read<uint64_t>("the length of the array");
    }
    uint64_t width = width_of(value.type);
    check_count(count, width != 0 ? width : 8, "values");
    value.count = static_cast<int64_t>(count);
    value.data = file_.data() + at_;
    skip_values(value, width);
    if (!content_.metadata.values_.emplace(key, value).second) corrupt("twice in the file");
  }

  void skip_values(const GgufValue& value, uint64_t width) {
    if (value.type == GgufType::kString) {
      for (int64_t i = 0; i < value.count; ++i) read_string("a string");
      return;
    }
    take(static_cast<uint64_t>(value.count) * width, "its value");
    if (value.type != GgufType::kBool) return;
    for (int64_t i = 0; i < value.count; ++i) {
      auto byte = std::to_integer<int>(value.data[i]);
      if (byte > 1) corrupt("a bool must be 0 or 1, found {}", byte);
    }
  }

  void read_alignment() {
    const std::string key = "general.alignment";
    if (!content_.metadata.has(key)) return;
    where_ = "key " + quoted_name(key);
    const GgufValue& value = content_.metadata.values_.at(key);
    if (value.array || value.type != GgufType::kU32) corrupt("expected a U32, found {}", gguf_type_name(value.type));
    uint32_t found;
    std::memcpy(&found, value.data, sizeof found);
    if (!std::has_single_bit(found)) corrupt("expected a power of two, found {}", found);
    alignment_ = found;
  }

  // All but the place of the data; returns its offset.
  uint64_t read_tensor(uint64_t index) {
    where_ = fmt::format("tensor {}", index);
    GgufTensor tensor;
    tensor.name = read_name("its name");
    where_ = "tensor " + quoted_name(tensor.name);
    if (tensor.name.size() > kMaxNameBytes) {
      corrupt("a name of {} bytes, the format allows {}", tensor.name.size(), kMaxNameBytes);
    }
    auto rank = read<uint32_t>("the number of its dimensions");
    if (rank > kMaxRank) corrupt("{} dimensions, the format allows {}", rank, kMaxRank);
    for (uint32_t i = 0; i < rank; ++i) {
      auto size = read<uint64_t>("its dimensions");
      if (size > uint64_t{INT64_MAX}) corrupt("a dimension of {}", size);
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    tensor.format = read_format();
    auto offset = read<uint64_t>("the offset of its data");
    content_.tensors.push_back(std::move(tensor));
    return offset;
  }

  Format read_format() {
    auto id = read<uint32_t>("its type");
    const auto* entry =
        std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes), [&](const auto& e) { return e.id == id; });
    if (entry == std::end(kTensorTypes)) corrupt("unknown tensor type {}", id);
    if (!entry->format) {
      throw_error(ErrorCode::kUnsupported, "{}: {}: tensors of type {} are not supported", name_, where_, entry->name);
    }
    return *entry->format;
  }

  int64_t bytes_of(const GgufTensor& tensor) const {
    int64_t block = format_block(tensor.format);
    int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (cols % block != 0) {
      bad_tensor(tensor, fmt::format("rows of {} numbers are not whole blocks of {} ({})", cols, block,
                                     format_name(tensor.format)));
    }
    bool overflow = false;
    bool none = cols == 0;  // a dimension of zero hides no others that are absurd
    int64_t bytes = format_block_bytes(tensor.format);
    overflow |= __builtin_mul_overflow(bytes, std::max<int64_t>(1, cols / block), &bytes);
    for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
      none |= tensor.shape[i] == 0;
      overflow |= __builtin_mul_overflow(bytes, std::max<int64_t>(1, tensor.shape[i]), &bytes);
    }
    if (overflow) {
      bad_tensor(tensor, fmt::format("shape [{}] needs more than 2^63 bytes", fmt::join(tensor.shape, ", ")));
    }
    return none ? 0 : bytes;
  }

  void place_tensors(const std::vector<uint64_t>& offsets) {
    uint64_t start = (at_ + alignment_ - 1) / alignment_ * alignment_;
    for (size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& tensor = content_.tensors[i];
      uint64_t offset = offsets[i];
      tensor.bytes = bytes_of(tensor);
      if (offset % alignment_ != 0) {
        bad_tensor(tensor, fmt::format("its offset {} is not a multiple of the alignment {}", offset, alignment_));
      }
      uint64_t space = start < file_.size() ? file_.size() - start : 0;
      if (offset > space || static_cast<uint64_t>(tensor.bytes) > space - offset) {
        bad_tensor(tensor, fmt::format("its {} bytes at offset {} are not within the {} bytes of data (cut short?)",
                                       tensor.bytes, offset, space));
      }
      tensor.data = tensor.bytes != 0 ? file_.data() + start + offset : file_.data();
    }
  }

  void check_names() const {
    std::vector<const GgufTensor*> order = pointers();
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i]->name == order[i - 1]->name) bad_tensor(*order[i], "twice in the file");
    }
  }

  void check_overlap() const {
    std::vector<const GgufTensor*> order = pointers();
    std::erase_if(order, [](const auto* tensor) { return tensor->bytes == 0; });
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->data < b->data; });
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor& before = *order[i - 1];
      if (before.data + before.bytes > order[i]->data) {
        bad_tensor(*order[i], "its data overlap those of tensor " + quoted_name(before.name));
      }
    }
  }

  std::vector<const GgufTensor*> pointers() const {
    std::vector<const GgufTensor*> list;
    for (const GgufTensor& tensor : content_.tensors) list.push_back(&tensor);
    return list;
  }

  std::span<const std::byte> file_;
  const std::string& name_;
  uint64_t at_ = 0;
  std::string where_;  // the key or tensor that is being read, for messages
  uint64_t alignment_ = kDefaultAlignment;
  GgufContent content_;
};

GgufContent parse_gguf(std::span<const std::byte> file, const std::string& name) {
  return GgufParser(file, name).run();
}

GgufFile GgufFile::open(const std::string& path) {
  MappedFile file = MappedFile::open(path);
  GgufContent content = parse_gguf(file.bytes(), path);
  return {std::move(file), std::move(content)};
}

}  // namespace unha
