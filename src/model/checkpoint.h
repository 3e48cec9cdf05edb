// The tensors of a checkpoint in safetensors or torch.save format, single file or sharded, as they
// lie on disk. Everything in the files is untrusted and checked before it is used.
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

/// Whether the tensor of that name is not needed, so that its type does not matter.
using Ignored = std::function<bool(const std::string&)>;

/// The tensors of one safetensors file in the order of their data, without those that `ignored`
/// names. Throws Error for what the format forbids, and for types that are no DType.
std::vector<HostTensor> read_safetensors(const File& file, const Ignored& ignored);
/// The same for a file of torch.save, in the order of their names.
std::vector<HostTensor> read_torch_file(const File& file, const Ignored& ignored);

/// "[3, 5]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

class Checkpoint {
 public:
  /// Opens model.safetensors, or the shards that model.safetensors.index.json names, or
  /// pytorch_model.bin, or its shards. Tensors go by their GPT-2 names without the prefixes of
  /// what wraps a model ("transformer."); the mask buffers of old versions of transformers
  /// (h.N.attn.bias, h.N.attn.masked_bias) are left out. Throws Error.
  static Checkpoint open(const ModelFiles& files);
  /// The same for adapter_model.safetensors or adapter_model.bin of a PEFT adapter's folder.
  static Checkpoint open_adapter(const ModelFiles& files);
  /// The names of the files that open() reads beside an index. Throws Error.
  static std::vector<std::string> file_names(const ModelFiles& files);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// The tensor `name`, which must have `shape`. Throws Error that names the file, the tensor and
  /// both shapes otherwise.
  const HostTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// The tensors that are not in `known`, by their names.
  std::vector<std::string> unknown(const std::set<std::string>& known) const;
  /// The weights file or the index, for messages.
  const std::string& place() const { return place_; }
  const std::map<std::string, HostTensor>& tensors() const { return tensors_; }

 private:
  std::map<std::string, HostTensor> tensors_;
  std::string place_;
};

}  // namespace aira
