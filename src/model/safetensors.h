// The header of one safetensors file: which tensors it holds, where, checked against the file's
// size. Knows nothing of GPT-2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aira/model_files.h"
#include "model/tensor.h"

namespace aira {

/// A tensor as the header describes it. `begin` and `end` are bytes from the start of the file;
/// the shape, the dtype and end - begin agree, and no two tensors share a byte.
struct StoredTensor {
  std::string name;
  std::string dtype_name;      // as written, e.g. "BF16"
  std::optional<DType> dtype;  // empty for a known type that cannot be a weight, e.g. "BOOL"
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Reads the header of `file`. Throws Error for whatever the format does not allow.
std::vector<StoredTensor> read_safetensors_header(const File& file);

/// "[3, 5]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace aira
