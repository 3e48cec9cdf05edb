// A LoRA adapter of PEFT: adapter_config.json and adapter_model.safetensors (or .bin). Merged while
// the base model is loaded, in f32, so that nothing is left of it afterwards.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "model/checkpoint.h"

namespace aira {

inline constexpr const char* kAdapterConfig = "adapter_config.json";

class Adapter {
 public:
  /// The adapter that `files` have beside them, or nothing. Throws Error naming file, key and what
  /// was expected; what is not plain LoRA (DoRA, another kind of PEFT) is refused by name.
  static std::optional<Adapter> open(const ModelFiles& files);

  /// Whether the tensor `name` ("wte.weight") of the base model becomes another.
  bool changes(const std::string& name) const {
    return whole_.count(name) != 0 || factors_.count(name) != 0;
  }
  /// The tensor with the adapter in it: what PEFT's merge_and_unload makes of it. Unchanged ones
  /// are returned as they are.
  HostTensor apply(const HostTensor& original) const;
  /// Throws Error for what changes no tensor in `known`.
  void refuse_unknown(const std::set<std::string>& known) const;

 private:
  struct Factors {
    std::optional<HostTensor> a, b;  // lora_A [r, in] and lora_B [out, r], f32
    double scale = 0;
  };

  std::string place_;
  std::map<std::string, HostTensor> whole_;  // which replace the base's
  std::map<std::string, Factors> factors_;
};

/// The base model that adapter_config.json in the folder of `adapter` names.
struct AdapterBase {
  std::string model;     // a folder or hub id; empty: not said
  std::string revision;  // empty: the default one
};
AdapterBase base_of(const ModelFiles& adapter);

}  // namespace aira
