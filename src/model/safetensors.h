// The tensors of one safetensors file, checked against the file's size. Knows nothing of GPT-2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aira/device.h"
#include "aira/model_files.h"

namespace aira {

/// A tensor as a file stores it, in the mapped file that `data` keeps alive. Nothing is promised
/// about alignment: odd files put data at any byte. Values may be anything, NaN included.
struct HostTensor {
  std::string name;
  std::string file;  // for messages
  std::shared_ptr<const std::byte> data;
  std::size_t bytes = 0;  // the type's size times the product of `shape`
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
};

/// The tensors of `file` in the order of their data, without those that `ignored` names, which may
/// have any type. Throws Error for whatever the format does not allow and for types other than F32,
/// F16 and BF16.
std::vector<HostTensor> read_safetensors(const File& file,
                                         const std::function<bool(const std::string&)>& ignored);

/// "[3, 5]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace aira
