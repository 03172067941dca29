// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "io/sax.h"

namespace unha {

namespace {
static_assert(std::endian::native == std::endian::little, "files are little-endian and mapped as they are");

constexpr int64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr size_t kMaxDimensions = 16;
constexpr std::string_view kMetadataKey = "__metadata__";

struct Entry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;
};

// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"key": "value"}}
class HeaderSax : public RefusingSax {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool start_object(size_t size) override {
    switch (state_) {
      case State::kStart:
        return go(State::kTop);
      case State::kEntryStart:
        return go(State::kEntry);
      case State::kMetadataStart:
        return go(State::kMetadata);
      default:
        return RefusingSax::start_object(size);
    }
  }
  bool end_object() override { return go(state_ == State::kTop ? State::kEnd : State::kTop); }
  bool key(std::string& text) override {
    if (state_ == State::kTop) return top_key(text);
    if (state_ == State::kEntry) return entry_key(text);
    metadata_key_ = text;
    if (metadata.contains(text)) return fail(fmt::format("__metadata__: key {} twice", quoted_name(text)));
    return go(State::kMetadataValue);
  }
  bool string(std::string& text) override {
    if (state_ == State::kMetadataValue) {
      metadata[metadata_key_] = std::move(text);
      return go(State::kMetadata);
    }
    if (state_ != State::kDtype) return RefusingSax::string(text);
    entries.back().dtype = std::move(text);
    return go(State::kEntry);
  }
  bool start_array(size_t size) override {
    if (state_ == State::kShapeStart) return go(State::kShape);
    if (state_ == State::kOffsetsStart) return go(State::kOffsets);
    return RefusingSax::start_array(size);
  }
  bool end_array() override { return go(State::kEntry); }
  bool number_unsigned(uint64_t value) override {
    if (state_ == State::kShape) {
      if (entries.back().shape->size() == kMaxDimensions) return fail(fmt::format("{}: too many dimensions", tensor()));
      entries.back().shape->push_back(value);
      return true;
    }
    if (state_ != State::kOffsets) return RefusingSax::number_unsigned(value);
    if (entries.back().offsets->size() == 2) return fail(tensor() + ": data_offsets must be two numbers, found more");
    entries.back().offsets->push_back(value);
    return true;
  }

 protected:
  std::string context() const override {
    switch (state_) {
      case State::kStart:
        return "header: expected an object,";
      case State::kMetadataStart:
        return "__metadata__: expected an object of strings,";
      case State::kMetadataValue:
        return fmt::format("__metadata__: {} must be a string,", quoted_name(metadata_key_));
      case State::kEntryStart:
        return tensor() + ": expected an object,";
      case State::kDtype:
        return tensor() + ": dtype must be a string,";
      case State::kShapeStart:
        return tensor() + ": shape must be a list,";
      case State::kShape:
        return tensor() + ": shape must hold whole numbers from 0 up,";
      case State::kOffsetsStart:
        return tensor() + ": data_offsets must be a list,";
      case State::kOffsets:
        return tensor() + ": data_offsets must be whole numbers from 0 up,";
      default:
        return "header: not of the form of safetensors:";
    }
  }

 private:
  enum class State {
    kStart,
    kTop,
    kEnd,
    kMetadataStart,
    kMetadata,
    kMetadataValue,
    kEntryStart,
    kEntry,
    kDtype,
    kShapeStart,
    kShape,
    kOffsetsStart,
    kOffsets,
  };

  bool go(State next) {
    state_ = next;
    return true;
  }
  std::string tensor() const { return "tensor " + quoted_name(entries.back().name); }
  bool top_key(const std::string& text) {
    if (text != kMetadataKey) {
      entries.push_back({text, {}, {}, {}});
      return go(State::kEntryStart);
    }
    if (seen_metadata_) return fail("__metadata__ twice in the header");
    seen_metadata_ = true;
    return go(State::kMetadataStart);
  }
  bool entry_key(const std::string& text) {
    Entry& entry = entries.back();
    bool twice = false;
    if (text == "dtype") {
      twice = entry.dtype.has_value();
      state_ = State::kDtype;
    } else if (text == "shape") {
      twice = entry.shape.has_value();
      entry.shape.emplace();
      state_ = State::kShapeStart;
    } else if (text == "data_offsets") {
      twice = entry.offsets.has_value();
      entry.offsets.emplace();
      state_ = State::kOffsetsStart;
    } else {
      return fail(fmt::format("{}: unknown key {}", tensor(), quoted_name(text)));
    }
    return twice ? fail(fmt::format("{}: key {} twice", tensor(), quoted_name(text))) : true;
  }

  State state_ = State::kStart;
  bool seen_metadata_ = false;
  std::string metadata_key_;
};

[[noreturn]] void bad_tensor(const std::string& file, const std::string& tensor, const std::string& problem) {
  throw_error(ErrorCode::kCorrupt, "{}: tensor {}: {}", file, quoted_name(tensor), problem);
}

// Bytes of a tensor of that shape; nothing if they are more than 2^63 - 1.
std::optional<int64_t> shape_bytes(const std::vector<uint64_t>& shape, DType dtype) {
  uint64_t product = static_cast<uint64_t>(dtype_bytes(dtype));
  for (uint64_t size : shape) {
    if (size > uint64_t{INT64_MAX} || __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  if (product > uint64_t{INT64_MAX}) return std::nullopt;
  return static_cast<int64_t>(product);
}

bool is_foreign_dtype(const std::string& name) {
  constexpr std::array<std::string_view, 10> kForeign = {"U32",     "U64", "F8_E5M2",     "F4",          "F6_E2M3",
                                                         "F6_E3M2", "C64", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "C128"};
  return std::find(kForeign.begin(), kForeign.end(), name) != kForeign.end();
}

TensorInfo check_entry(Entry& entry, std::span<const std::byte> data, const std::string& file) {
  const std::string& name = entry.name;
  if (!entry.dtype) bad_tensor(file, name, "no dtype");
  if (!entry.shape) bad_tensor(file, name, "no shape");
  if (!entry.offsets) bad_tensor(file, name, "no data_offsets");
  if (entry.offsets->size() != 2) {
    bad_tensor(file, name, fmt::format("data_offsets must be two numbers, found {}", entry.offsets->size()));
  }
  std::optional<DType> dtype = dtype_from_name(*entry.dtype);
  if (!dtype) {
    if (!is_foreign_dtype(*entry.dtype)) bad_tensor(file, name, "unknown dtype " + quoted_name(*entry.dtype));
    throw_error(ErrorCode::kUnsupported, "{}: tensor {}: elements of type {} are not supported", file,
                quoted_name(name), *entry.dtype);
  }
  uint64_t begin = (*entry.offsets)[0];
  uint64_t end = (*entry.offsets)[1];
  if (begin > end || end > data.size()) {
    bad_tensor(
        file, name,
        fmt::format("data_offsets [{}, {}] are not a range within the {} bytes of data", begin, end, data.size()));
  }
  std::optional<int64_t> bytes = shape_bytes(*entry.shape, *dtype);
  if (!bytes || static_cast<uint64_t>(*bytes) != end - begin) {
    bad_tensor(file, name,
               fmt::format("{} of shape [{}] needs {} bytes, data_offsets [{}, {}] give {}", *entry.dtype,
                           fmt::join(*entry.shape, ", "), bytes ? fmt::format("{}", *bytes) : "more than 2^63", begin,
                           end, end - begin));
  }
  std::vector<int64_t> shape(entry.shape->begin(), entry.shape->end());
  return {name, *dtype, std::move(shape), data.data() + begin, *bytes};
}

// Sorted by offset, the tensors must cover the data once and completely.
void check_tiling(const std::vector<TensorInfo>& tensors, std::span<const std::byte> data, const std::string& file) {
  std::vector<const TensorInfo*> order;
  order.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return a->data != b->data ? a->data < b->data : a->bytes < b->bytes;
  });
  const std::byte* expected = data.data();
  for (const TensorInfo* tensor : order) {
    if (tensor->data != expected) {
      bad_tensor(file, tensor->name,
                 fmt::format("expected its data at offset {}, found {}: {}", expected - data.data(),
                             tensor->data - data.data(), tensor->data < expected ? "tensors overlap" : "a hole"));
    }
    expected += tensor->bytes;
  }
  int64_t rest = static_cast<int64_t>(data.size()) - (expected - data.data());
  if (rest != 0) throw_error(ErrorCode::kCorrupt, "{}: {} bytes after the last tensor", file, rest);
}

std::string header_text(const std::vector<TensorSource>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    Json object = Json::object();
    for (const auto& [key, value] : metadata) object[key] = value;
    text += "\"__metadata__\":" + object.dump();
  }
  int64_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    std::optional<int64_t> bytes = shape_bytes({tensor.shape.begin(), tensor.shape.end()}, tensor.dtype);
    UNHA_CHECK(bytes.has_value(), "safetensors: shape of {}", tensor.name);
    text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", text.size() > 1 ? "," : "",
                        Json(tensor.name).dump(), dtype_name(tensor.dtype), fmt::join(tensor.shape, ","), offset,
                        offset + *bytes);
    offset += *bytes;
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void write_tensor(FileWriter& writer, const TensorSource& tensor) {
  int64_t width = dtype_bytes(tensor.dtype);
  int64_t elements = *shape_bytes({tensor.shape.begin(), tensor.shape.end()}, tensor.dtype) / width;
  if (!tensor.fill) {
    UNHA_CHECK(tensor.data != nullptr || elements == 0, "safetensors: {} has no data", tensor.name);
    writer.write(tensor.data, elements * width);
    return;
  }
  constexpr int64_t kPiece = 1 << 16;  // elements
  std::vector<std::byte> piece(static_cast<size_t>(std::min(kPiece, elements) * width));
  for (int64_t begin = 0; begin < elements; begin += kPiece) {
    int64_t count = std::min(kPiece, elements - begin);
    tensor.fill(begin, count, piece.data());
    writer.write(piece.data(), count * width);
  }
}
}  // namespace

SafetensorsContent parse_safetensors(std::span<const std::byte> file, const std::string& name) {
  if (file.size() < 8) {
    throw_error(ErrorCode::kCorrupt, "{}: not a safetensors file: expected at least 8 bytes, found {}", name,
                file.size());
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > file.size() - 8 || header_bytes > uint64_t{kMaxHeaderBytes}) {
    throw_error(ErrorCode::kCorrupt, "{}: not a safetensors file, or cut short: a header of {} bytes in a file of {}",
                name, header_bytes, file.size());
  }
  std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, header_bytes);
  if (text.empty() || text.front() != '{') {
    throw_error(ErrorCode::kCorrupt, "{}: not a safetensors file: the header does not begin with {{", name);
  }
  HeaderSax sax;
  std::string problem = sax.run(text);
  if (!problem.empty()) throw_error(ErrorCode::kCorrupt, "{}: {}", name, problem);

  std::span<const std::byte> data = file.subspan(8 + header_bytes);
  std::vector<TensorInfo> tensors;
  tensors.reserve(sax.entries.size());
  for (Entry& entry : sax.entries) tensors.push_back(check_entry(entry, data, name));
  check_tiling(tensors, data, name);

  SafetensorsContent content;
  content.metadata = std::move(sax.metadata);
  for (TensorInfo& tensor : tensors) {
    std::string key = tensor.name;
    auto [place, added] = content.tensors.emplace(std::move(key), std::move(tensor));
    if (!added) bad_tensor(name, place->first, "twice in the header");
  }
  return content;
}

SafetensorsFile SafetensorsFile::open(MappedFile file) {
  SafetensorsContent content = parse_safetensors(file.bytes(), file.path());
  return SafetensorsFile(std::move(file), std::move(content));
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  auto place = content_.tensors.find(name);
  return place == content_.tensors.end() ? nullptr : &place->second;
}

void write_safetensors(FileWriter& writer, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    int64_t wa = dtype_bytes(a.dtype);
    int64_t wb = dtype_bytes(b.dtype);
    return wa != wb ? wa > wb : a.name < b.name;
  });
  std::vector<std::string_view> names;
  for (const TensorSource& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  for (size_t i = 0; i < names.size(); ++i) {
    UNHA_CHECK(names[i] != kMetadataKey && (i == 0 || names[i] != names[i - 1]), "safetensors: name {}", names[i]);
  }
  std::string header = header_text(tensors, metadata);
  uint64_t header_bytes = header.size();
  writer.write(&header_bytes, 8);
  writer.write(header);
  for (const TensorSource& tensor : tensors) write_tensor(writer, tensor);
}

std::string write_safetensors(FileSystem& fs, const std::string& path, std::vector<TensorSource> tensors,
                              const std::map<std::string, std::string>& metadata) {
  AtomicFile file(fs, path);
  FileWriter writer(file.file());
  write_safetensors(writer, std::move(tensors), metadata);
  std::string digest = writer.finish();
  file.commit();
  return digest;
}

std::string write_safetensors(const std::string& path, std::vector<TensorSource> tensors,
                              const std::map<std::string, std::string>& metadata) {
  PosixFileSystem fs;
  return write_safetensors(fs, path, std::move(tensors), metadata);
}

}  // namespace unha
