// Format: https://github.com/huggingface/safetensors#format. 8 bytes of little-endian header
// length, a JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}}, then the data,
// which the tensors must cover without a hole. As strict as the format's reference reader.
#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "model/checkpoint.h"

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace aira {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference reader's limit
constexpr std::size_t kMaxDimensions = 8;

struct StoredType {
  std::string_view name;
  std::uint64_t bytes;
  std::optional<DType> dtype = {};
};

// clang-format off
constexpr StoredType kTypes[] = {
    {"F32", 4, DType::kF32}, {"F16", 2, DType::kF16}, {"BF16", 2, DType::kBF16},
    {"F64", 8, DType::kF64}, {"F8_E4M3", 1, DType::kF8E4M3}, {"F8_E5M2", 1, DType::kF8E5M2},
    {"C64", 8}, {"U64", 8}, {"I64", 8}, {"U32", 4}, {"I32", 4}, {"U16", 2}, {"I16", 2},
    {"U8", 1}, {"I8", 1}, {"BOOL", 1},
    {"F8_E8M0", 1}, {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1},
};
// clang-format on

/// The JSON header's length. `file` is not trusted to hold even the eight bytes that say it.
std::uint64_t header_length(const File& file, const std::string& where) {
  if (file.text().starts_with("version https://git-lfs")) {
    throw Error(where +
                " is a Git LFS pointer, not the weights; run `git lfs pull` in its folder.");
  }
  if (file.size < kLengthBytes) {
    throw Error(where + " is too short for safetensors: it has " + std::to_string(file.size) +
                " bytes.");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data.get(), sizeof length);
  const std::string claim =
      where + " claims a safetensors header of " + std::to_string(length) + " bytes, but ";
  if (length > kMaxHeader) {
    throw Error(claim + "at most " + std::to_string(kMaxHeader) + " are allowed.");
  }
  if (length > file.size - kLengthBytes) {
    throw Error(claim + "ends after " + std::to_string(file.size) + " bytes (cut off?).");
  }
  return length;
}

const json& required(const JsonObject& object, const char* key, const char* expected) {
  const json* value = object.find(key);
  if (value == nullptr) object.fail(key, expected, json(nullptr));
  return *value;
}

const StoredType& read_type(const JsonObject& object) {
  const json& value = required(object, "dtype", "the name of a type");
  const auto* const type =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const StoredType& known) { return value == known.name; });
  if (type == std::end(kTypes)) object.fail("dtype", "a type that the format knows", value);
  return *type;
}

std::vector<std::int64_t> read_shape(const JsonObject& object, const std::string& where) {
  constexpr const char* kExpected = "a list of whole numbers";
  const json& value = required(object, "shape", kExpected);
  if (!value.is_array()) object.fail("shape", kExpected, value);
  auto shape = object.integers("shape", {0, std::numeric_limits<std::int64_t>::max()});
  if (shape.size() > kMaxDimensions) {
    throw Error(where + " has " + std::to_string(shape.size()) + " dimensions.");
  }
  if (std::count(shape.begin(), shape.end(), 0) > 0) {
    throw Error(where + " is empty: its shape is " + shape_text(shape) + ".");
  }
  return shape;
}

/// Begin and end in the `size` bytes of data.
std::pair<std::uint64_t, std::uint64_t> read_offsets(const JsonObject& object, std::uint64_t size,
                                                     const std::string& where) {
  constexpr const char* kExpected = "a list of two whole numbers";
  const json& value = required(object, "data_offsets", kExpected);
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
      !value[1].is_number_unsigned()) {
    object.fail("data_offsets", kExpected, value);
  }
  const auto begin = value[0].get<std::uint64_t>();
  const auto end = value[1].get<std::uint64_t>();
  if (begin > end || end > size) {
    throw Error(where + " lies from byte " + std::to_string(begin) + " to " + std::to_string(end) +
                " of the data, which has " + std::to_string(size) +
                " bytes (is the file cut off?).");
  }
  return {begin, end};
}

/// An entry of the header; its offsets count from byte `data` of the file.
HostTensor read_entry(const File& file, std::uint64_t data, const std::string& name,
                      const json& entry, bool ignored) {
  const std::string where = printable(file.path) + ": tensor " + quote(name);
  const JsonObject object(entry, where);
  std::vector<std::int64_t> shape = read_shape(object, where);
  const StoredType& type = read_type(object);
  if (!type.dtype && !ignored) {
    throw Error(where + " has dtype " + std::string(type.name) +
                ", but only F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 weights are supported.");
  }
  const auto [begin, end] = read_offsets(object, file.size - data, where);
  std::uint64_t bytes = type.bytes;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes)) {
      throw Error(where + " has the impossible shape " + shape_text(shape) + ".");
    }
  }
  if (end - begin != bytes) {
    throw Error(where + " has " + std::to_string(end - begin) + " bytes of data, but dtype " +
                std::string(type.name) + " and shape " + shape_text(shape) + " need " +
                std::to_string(bytes) + ".");
  }
  return {.data = {file.data, file.data.get() + data + begin},
          .bytes = bytes,
          .dtype = type.dtype.value_or(DType::kF32),
          .shape = std::move(shape),
          .name = name,
          .file = file.path};
}

/// Tensors in the order of their data must follow each other from its first byte to its last.
void require_gapless(const std::vector<HostTensor>& tensors, const File& file, std::uint64_t data,
                     const std::string& where) {
  const std::byte* covered = file.data.get() + data;
  for (const HostTensor& tensor : tensors) {
    if (tensor.data.get() < covered) {
      throw Error(where + ": tensor " + quote(tensor.name) + " overlaps another tensor.");
    }
    if (tensor.data.get() > covered) {
      throw Error(where + " has " + std::to_string(tensor.data.get() - covered) +
                  " bytes that belong to no tensor before tensor " + quote(tensor.name) + ".");
    }
    covered += tensor.bytes;
  }
  if (covered != file.data.get() + file.size) {
    throw Error(where + " has " + std::to_string(file.data.get() + file.size - covered) +
                " bytes that belong to no tensor at its end.");
  }
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

std::vector<HostTensor> read_safetensors(const File& file, const Ignored& ignored) {
  const std::string where = printable(file.path);
  const std::uint64_t length = header_length(file, where);
  const std::string_view header = file.text().substr(kLengthBytes, length);
  if (!header.starts_with('{')) {
    throw Error(where + " is not a safetensors file: its header is not a JSON object.");
  }
  const json root = parse_json(header, "The header of " + where);
  const std::uint64_t data = kLengthBytes + length;
  std::vector<HostTensor> tensors;
  for (const auto& [name, entry] : root.items()) {
    if (name == "__metadata__") continue;
    tensors.push_back(read_entry(file, data, name, entry, ignored(name)));
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const HostTensor& a, const HostTensor& b) { return a.data.get() < b.data.get(); });
  require_gapless(tensors, file, data, where);
  std::erase_if(tensors, [&](const HostTensor& tensor) { return ignored(tensor.name); });
  return tensors;
}

}  // namespace aira
