// A state dict that torch.save wrote, read without running anything: the few instructions of
// Python's pickle machine that it needs, and calls of the few functions that build tensors. Any
// other instruction or name is refused. Everything is untrusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aira {

/// A tensor as the pickle describes it: where its numbers are, not the numbers.
struct PickledTensor {
  std::string name;
  std::string storage_type;  // "FloatStorage"
  std::string storage;       // the file that holds the numbers
  std::int64_t storage_size = 0;
  std::int64_t offset = 0;  // these and strides in numbers, not negative
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

/// The tensors of the dictionary in `program`, each name once. Throws Error beginning with `where`.
std::vector<PickledTensor> read_pickle(std::string_view program, const std::string& where);

}  // namespace aira
