// Format: https://github.com/huggingface/safetensors#format. 8 bytes of little-endian header
// length, a JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}}, then the data,
// which the tensors must cover without a hole. As strict as the format's reference reader, and
// stricter where the format is (tests/safetensors_golden_test.cpp lists that).
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

struct StoredType {
  std::string_view name;
  std::int64_t bits;
  std::optional<DType> dtype = {};
};

// clang-format off
constexpr StoredType kTypes[] = {
    {"F32", 32, DType::kF32}, {"F16", 16, DType::kF16}, {"BF16", 16, DType::kBF16},
    {"F64", 64, DType::kF64}, {"F8_E4M3", 8, DType::kF8E4M3}, {"F8_E5M2", 8, DType::kF8E5M2},
    {"C64", 64}, {"U64", 64}, {"I64", 64}, {"U32", 32}, {"I32", 32}, {"U16", 16}, {"I16", 16},
    {"U8", 8}, {"I8", 8}, {"BOOL", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
};
// clang-format on

/// The JSON header's length. `file` is not trusted to hold even the eight bytes that say it.
std::uint64_t header_length(const File& file, const std::string& where) {
  if (file.text().starts_with("version https://git-lfs")) {
    throw Error(
        "[E407] {} is a Git LFS pointer, not the weights; run `git lfs pull` in its folder.",
        {where});
  }
  if (file.size < kLengthBytes) {
    throw Error("[E423] {} is too short for safetensors: it has {} bytes.",
                {where, std::to_string(file.size)});
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data.get(), sizeof length);
  if (length > kMaxHeader) {
    throw Error("[E424] {} claims a safetensors header of {} bytes, but at most {} are allowed.",
                {where, std::to_string(length), std::to_string(kMaxHeader)});
  }
  if (length > file.size - kLengthBytes) {
    throw Error(
        "[E425] {} claims a safetensors header of {} bytes, but ends after {} bytes (cut off?).",
        {where, std::to_string(length), std::to_string(file.size)});
  }
  return length;
}

const json& required(const JsonObject& object, const char* key, const char* expected) {
  const json* value = object.find(key);
  if (value == nullptr) object.fail(key, message(expected), json(nullptr));
  return *value;
}

const StoredType& read_type(const JsonObject& object) {
  const json& value = required(object, "dtype", to_translate("the name of a type"));
  const auto* const type =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const StoredType& known) { return value == known.name; });
  if (type == std::end(kTypes)) {
    object.fail("dtype", message("a type that the format knows"), value);
  }
  return *type;
}

std::vector<std::int64_t> read_shape(const JsonObject& object) {
  constexpr const char* kExpected = to_translate("a list of whole numbers");
  const json& value = required(object, "shape", kExpected);
  const auto is_dimension = [](const json& number) {  // -0 is none
    return number.is_number_unsigned() &&
           number.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
  };
  if (!value.is_array()) object.fail("shape", message(kExpected), value);
  for (const json& number : value) {
    if (!is_dimension(number)) object.fail("shape", message(kExpected), number);
  }
  return value.get<std::vector<std::int64_t>>();
}

/// What so many numbers of that type take; nothing when it cannot be said, not even on the way to a
/// dimension of 0.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, std::int64_t bits) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(count, dimension, &count)) return {};
  }
  if (__builtin_mul_overflow(count, bits, &count) || count % 8 != 0) return {};
  return static_cast<std::uint64_t>(count / 8);
}

/// Begin and end in the `size` bytes of data.
std::pair<std::uint64_t, std::uint64_t> read_offsets(const JsonObject& object, std::uint64_t size,
                                                     const std::string& where) {
  constexpr const char* kExpected = to_translate("a list of two whole numbers");
  const json& value = required(object, "data_offsets", kExpected);
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
      !value[1].is_number_unsigned()) {
    object.fail("data_offsets", message(kExpected), value);
  }
  const auto begin = value[0].get<std::uint64_t>();
  const auto end = value[1].get<std::uint64_t>();
  if (begin > end || end > size) {
    throw Error(
        "[E428] {} lies from byte {} to {} of the data, which has {} bytes (is the file cut off?).",
        {where, std::to_string(begin), std::to_string(end), std::to_string(size)});
  }
  return {begin, end};
}

/// An entry of the header; its offsets count from byte `data` of the file.
HostTensor read_entry(const File& file, std::uint64_t data, const std::string& name,
                      const json& entry, bool ignored) {
  const std::string where = message("{}: tensor {}", {printable(file.path), quote(name)});
  const JsonObject object(entry, where);
  std::vector<std::int64_t> shape = read_shape(object);
  const StoredType& type = read_type(object);
  if (!type.dtype && !ignored) {
    throw Error(
        "[E429] {} has dtype {}, but only F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 weights are "
        "supported.",
        {where, type.name});
  }
  const auto [begin, end] = read_offsets(object, file.size - data, where);
  const std::optional<std::uint64_t> bytes = bytes_of(shape, type.bits);
  if (!bytes) throw Error("[E430] {} has the impossible shape {}.", {where, shape_text(shape)});
  if (end - begin != *bytes) {
    throw Error(
        "[E431] {} has {} bytes of data, but dtype {} and shape {} need {}.",
        {where, std::to_string(end - begin), type.name, shape_text(shape), std::to_string(*bytes)});
  }
  return {.data = {file.data, file.data.get() + data + begin},
          .bytes = *bytes,
          .dtype = type.dtype.value_or(DType::kF32),
          .shape = std::move(shape),
          .name = name,
          .file = file.path};
}

/// Free text for people: a map of strings, or nothing.
void check_metadata(const json& metadata, const std::string& where) {
  const bool fits =
      metadata.is_null() ||
      (metadata.is_object() && std::all_of(metadata.begin(), metadata.end(),
                                           [](const json& value) { return value.is_string(); }));
  if (!fits) {
    throw Error("[E547] {} has a __metadata__ that is no object of strings.", {where});
  }
}

/// Tensors in the order of their data must follow each other from its first byte to its last.
void require_gapless(const std::vector<HostTensor>& tensors, const File& file, std::uint64_t data,
                     const std::string& where) {
  const std::byte* covered = file.data.get() + data;
  for (const HostTensor& tensor : tensors) {
    if (tensor.data.get() < covered) {
      throw Error("[E432] {}: tensor {} overlaps another tensor.", {where, quote(tensor.name)});
    }
    if (tensor.data.get() > covered) {
      throw Error("[E433] {} has {} bytes that belong to no tensor before tensor {}.",
                  {where, std::to_string(tensor.data.get() - covered), quote(tensor.name)});
    }
    covered += tensor.bytes;
  }
  if (covered != file.data.get() + file.size) {
    throw Error("[E434] {} has {} bytes that belong to no tensor at its end.",
                {where, std::to_string(file.data.get() + file.size - covered)});
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
    throw Error("[E435] {} is not a safetensors file: its header is not a JSON object.", {where});
  }
  const json root = parse_json(header, message("The header of {}", {where}));
  const std::uint64_t data = kLengthBytes + length;
  std::vector<HostTensor> tensors;
  for (const auto& [name, entry] : root.items()) {
    if (name == "__metadata__") {
      check_metadata(entry, where);
      continue;
    }
    tensors.push_back(read_entry(file, data, name, entry, ignored(name)));
  }
  std::sort(tensors.begin(), tensors.end(), [](const HostTensor& a, const HostTensor& b) {
    return std::pair(a.data.get(), a.bytes) < std::pair(b.data.get(), b.bytes);
  });
  require_gapless(tensors, file, data, where);
  std::erase_if(tensors, [&](const HostTensor& tensor) { return ignored(tensor.name); });
  return tensors;
}

}  // namespace aira
