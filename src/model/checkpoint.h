// The tensors of a checkpoint in safetensors format, single file or sharded, as they lie on disk.
// Everything in the files is untrusted and checked before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "aira/model_files.h"
#include "model/tensor.h"

namespace aira {

/// The tensors of one safetensors file in the order of their data, without those that `ignored`
/// names. Throws Error for what the format forbids, and for types other than F32, F16 and BF16.
std::vector<HostTensor> read_safetensors(const File& file,
                                         const std::function<bool(const std::string&)>& ignored);

/// "[3, 5]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

class Checkpoint {
 public:
  /// Opens model.safetensors, or the shards that model.safetensors.index.json names. Tensors go by
  /// their GPT-2 names without the "transformer." prefix; the mask buffers of old versions of
  /// transformers (h.N.attn.bias, h.N.attn.masked_bias) are left out. Throws Error.
  static Checkpoint open(const ModelFiles& files);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// The tensor `name`, which must have `shape`. Throws Error that names the file, the tensor and
  /// both shapes otherwise.
  const HostTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// Throws Error for the first tensor that is not in `known`: "... is not part of MODEL."
  void refuse_unknown(const std::set<std::string>& known, const std::string& model) const;
  const std::map<std::string, HostTensor>& tensors() const { return tensors_; }

 private:
  std::map<std::string, HostTensor> tensors_;
  std::string place_;
};

}  // namespace aira
