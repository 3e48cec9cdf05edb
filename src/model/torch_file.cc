// The format of torch.save since torch 1.6: a zip archive of NAME/data.pkl, which describes the
// tensors, and NAME/data/KEY for the numbers of each storage. The numbers are used where they lie.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"
#include "model/checkpoint.h"
#include "model/pickle.h"
#include "model/zip_archive.h"

namespace aira {
namespace {

constexpr std::string_view kPickle = "/data.pkl";

struct StorageType {
  std::string_view name;
  std::int64_t bytes;
  std::optional<DType> dtype = {};
};

constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", 4, DType::kF32},
    {"HalfStorage", 2, DType::kF16},
    {"BFloat16Storage", 2, DType::kBF16},
    {"DoubleStorage", 8, DType::kF64},
    {"LongStorage", 8},
    {"IntStorage", 4},
    {"ShortStorage", 2},
    {"CharStorage", 1},
    {"ByteStorage", 1},
    {"BoolStorage", 1},
};

/// Files that torch wrote before 1.6 begin with a pickled magic number, even older ones are tar.
void refuse_old_format(const File& file, const std::string& where) {
  if (file.text().starts_with("version https://git-lfs")) {
    throw Error(
        "[E407] {} is a Git LFS pointer, not the weights; run `git lfs pull` in its folder.",
        {where});
  }
  if (file.text().starts_with("PK")) return;
  throw Error(
      "[E408] {} is not in the format that torch.save writes since torch 1.6; convert it once, in "
      "its folder: python3 -c \"import torch; f = '{}'; torch.save(torch.load(f, "
      "map_location='cpu'), f)\".",
      {where, printable(file.path.substr(file.path.rfind('/') + 1))});
}

/// How many numbers of its storage a tensor spans, and how many it has; nothing for an overflow.
std::optional<std::pair<std::int64_t, std::int64_t>> extent(const PickledTensor& tensor) {
  std::int64_t last = tensor.offset;
  std::int64_t count = 1;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t reach = 0;
    if (tensor.shape[i] == 0 || __builtin_mul_overflow(count, tensor.shape[i], &count) ||
        __builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return std::nullopt;
    }
  }
  return std::pair(last, count);
}

bool is_contiguous(const PickledTensor& tensor) {
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0; expected *= tensor.shape[i]) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
  }
  return true;
}

/// The numbers in the order of the shape; `from` is the storage.
std::shared_ptr<const std::byte> gather(const PickledTensor& tensor, const std::byte* from,
                                        std::int64_t count, std::int64_t width) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[static_cast<std::size_t>(count * width)]);
  std::vector<std::int64_t> index(tensor.shape.size());
  std::int64_t at = tensor.offset;
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(copy.get() + i * width, from + at * width, static_cast<std::size_t>(width));
    for (std::size_t d = index.size(); d-- > 0;) {
      if (tensor.shape[d] == 1) continue;  // its stride may be anything
      at += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      at -= tensor.strides[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
  return {copy, copy.get()};
}

HostTensor find_numbers(const PickledTensor& tensor, std::string_view storage, const File& file,
                        const std::string& where) {
  const auto* const type =
      std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                   [&](const auto& one) { return one.name == tensor.storage_type; });
  if (type == std::end(kStorageTypes) || !type->dtype) {
    throw Error(
        "[E409] {} has numbers of type torch.{}, but only float, half, bfloat16 and double weights "
        "are supported.",
        {where, printable(tensor.storage_type)});
  }
  const auto reach = extent(tensor);
  const auto stored = static_cast<std::int64_t>(storage.size()) / type->bytes;
  // What repeats numbers could ask for any amount of memory.
  if (!reach || reach->first >= stored || reach->second > stored) {
    throw Error(
        "[E410] {} has the shape {}, but its storage has {} numbers (is the file cut off?).",
        {where, shape_text(tensor.shape), std::to_string(stored)});
  }
  const auto* const bytes = reinterpret_cast<const std::byte*>(storage.data());
  const bool in_place = is_contiguous(tensor);
  return {.data = in_place ? std::shared_ptr<const std::byte>(file.data,
                                                              bytes + tensor.offset * type->bytes)
                           : gather(tensor, bytes, reach->second, type->bytes),
          .bytes = static_cast<std::size_t>(reach->second * type->bytes),
          .dtype = *type->dtype,
          .shape = tensor.shape,
          .name = tensor.name,
          .file = file.path};
}

}  // namespace

std::vector<HostTensor> read_torch_file(const File& file, const Ignored& ignored) {
  const std::string where = printable(file.path);
  refuse_old_format(file, where);
  const auto entries = read_zip(file);
  const auto pickle = std::find_if(entries.begin(), entries.end(), [](const auto& entry) {
    return entry.first.ends_with(kPickle);
  });
  if (pickle == entries.end()) {
    throw Error("[E411] {} is a zip archive, but not one of torch.save.", {where});
  }
  const std::string folder = pickle->first.substr(0, pickle->first.size() - kPickle.size()) + "/";
  const auto order = entries.find(folder + "byteorder");
  if (order != entries.end() && order->second != "little") {
    throw Error("[E412] {} was saved on a big-endian machine, which is not supported.", {where});
  }
  std::vector<HostTensor> tensors;
  for (const PickledTensor& tensor : read_pickle(pickle->second, where)) {
    if (ignored(tensor.name)) continue;
    const std::string name = message("{}: tensor {}", {where, quote(tensor.name)});
    const auto storage = entries.find(folder + "data/" + tensor.storage);
    if (storage == entries.end()) {
      throw Error("[E413] {} has no numbers in the archive.", {name});
    }
    tensors.push_back(find_numbers(tensor, storage->second, file, name));
  }
  return tensors;
}

}  // namespace aira
