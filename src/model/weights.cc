// A GPT-2's parameters: their list, and loading them from a checkpoint.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "aira/error.h"
#include "base/cpus.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "model/adapter.h"
#include "model/checkpoint.h"
#include "model/model.h"

namespace aira {
namespace {

constexpr const char* kTokensName = "wte.weight";
constexpr std::size_t kNamed = 8;                     // tensors that a note names
constexpr std::size_t kPiece = std::size_t{8} << 20;  // of what is compared at once

/// Whether two tensors of one size have the same bytes. Neither stays in memory.
bool same_bytes(const HostTensor& a, const HostTensor& b) {
  if (a.data == b.data) return true;
  for (std::size_t at = 0, some = 0; at < a.bytes; at += some) {
    some = std::min(a.bytes - at, kPiece);
    const std::shared_ptr<const std::byte> left(a.data, a.data.get() + at);
    const std::shared_ptr<const std::byte> right(b.data, b.data.get() + at);
    const bool same = std::memcmp(left.get(), right.get(), some) == 0;
    give_back(left, some);
    give_back(right, some);
    if (!same) return false;
  }
  return true;
}

/// A checkpoint and its adapter, by what transformers makes of them.
class AdaptedCheckpoint {
 public:
  AdaptedCheckpoint(const ModelFiles& files, const ModelConfig& config)
      : checkpoint_(Checkpoint::open(files)), adapter_(Adapter::open(files)), config_(config) {}

  /// Whether the head is not the token embeddings: the checkpoint brings a different one, or the
  /// configuration says so, or the adapter changes one of the two.
  bool has_own_head() const {
    if (changes(kHeadName) || changes(kTokensName)) return true;
    if (!checkpoint_.has(kHeadName) || !checkpoint_.has(kTokensName)) return !config_.tied_head;
    const HostTensor head = stored(kHeadName, shape());
    const HostTensor tokens = stored(kTokensName, shape());
    return head.dtype != tokens.dtype || !same_bytes(head, tokens);
  }

  /// For the parameter that is needed next.
  void read_ahead(const HostTensor& parameter) const {
    const HostTensor& tensor = stored(parameter.name, parameter.shape);
    aira::read_ahead(tensor.data, tensor.bytes);
  }

  /// For a parameter that a backend has taken.
  void give_back(const HostTensor& parameter) const {
    const HostTensor& tensor = stored(parameter.name, parameter.shape);
    aira::give_back(tensor.data, tensor.bytes);
  }

  /// A parameter, adapted, of a type that backends take.
  HostTensor get(const HostTensor& parameter) const {
    HostTensor tensor = stored(parameter.name, parameter.shape);
    tensor.name = parameter.name;
    if (adapter_) tensor = adapter_->apply(tensor);
    if (tensor.dtype > DType::kI8) tensor = as_f32(tensor);
    tensor.out_major = parameter.out_major;
    return tensor;
  }

  /// Tells `notice` what the checkpoint holds that is not `known`. Throws Error where leaving it
  /// out would change the model.
  void report_unknown(const std::set<std::string>& known, const Notice& notice) const {
    if (adapter_) adapter_->refuse_unknown(known);
    const std::vector<std::string> names = checkpoint_.unknown(known);
    if (names.empty()) return;
    std::string list;
    for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i) {
      list += (i == 0 ? "" : ", ") + printable(names[i]);
    }
    if (names.size() > kNamed) {
      list = message("{} and {} more", {list, std::to_string(names.size() - kNamed)});
    }
    if (checkpoint_.has(kHeadBias)) {
      throw Error("[E406] {} holds {}, but the head of a GPT-2 has no bias.",
                  {printable(checkpoint_.place()), kHeadBias});
    }
    if (notice) {
      notice(message("{} also holds what is no part of a GPT-2 with {} layers and is left out: {}.",
                     {printable(checkpoint_.place()), std::to_string(config_.layers), list}));
    }
  }

 private:
  static constexpr const char* kHeadBias = "lm_head.bias";

  std::vector<std::int64_t> shape() const { return {config_.vocab, config_.width}; }
  bool changes(const char* name) const { return adapter_ && adapter_->changes(name); }

  /// As it is in the checkpoint. Tied weights are stored under either name or both.
  const HostTensor& stored(const std::string& name, const std::vector<std::int64_t>& shape) const {
    const char* other = name == kHeadName ? kTokensName : name == kTokensName ? kHeadName : nullptr;
    const bool tied = other != nullptr && config_.tied_head && !checkpoint_.has(name);
    return checkpoint_.get(tied && checkpoint_.has(other) ? other : name, shape);
  }

  Checkpoint checkpoint_;
  std::optional<Adapter> adapter_;
  const ModelConfig& config_;
};

}  // namespace

std::vector<Parameter> list_parameters(Model& model, bool own_head) {
  const std::int64_t c = model.config.width;
  const std::int64_t ffn = model.config.ffn_width;
  std::vector<Parameter> list;
  const auto vector = [&](const std::string& name, Vector& to, std::vector<std::int64_t> shape) {
    list.push_back({{.shape = std::move(shape), .name = name}, nullptr, &to});
  };
  const auto embeddings = [&](const char* name, Matrix& to) {
    list.push_back({{.shape = {model.config.vocab, c}, .out_major = true, .name = name}, &to});
  };
  const auto norm = [&](const std::string& name, Vector& gain, Vector& bias) {
    vector(name + ".weight", gain, {c});
    vector(name + ".bias", bias, {c});
  };
  const auto linear = [&](const std::string& name, Matrix& matrix, Vector& bias, std::int64_t in,
                          std::int64_t out) {
    list.push_back({{.shape = {in, out}, .name = name + ".weight"}, &matrix});
    vector(name + ".bias", bias, {out});
  };
  embeddings("wte.weight", model.token_embedding);
  vector("wpe.weight", model.position_embedding, {model.config.context, c});
  model.layers.resize(static_cast<std::size_t>(model.config.layers));
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const std::string prefix = "h." + std::to_string(l) + ".";
    LayerWeights& w = model.layers[l];
    norm(prefix + "ln_1", w.ln_1_gain, w.ln_1_bias);
    linear(prefix + "attn.c_attn", w.attn_qkv, w.attn_qkv_bias, c, 3 * c);
    linear(prefix + "attn.c_proj", w.attn_out, w.attn_out_bias, c, c);
    norm(prefix + "ln_2", w.ln_2_gain, w.ln_2_bias);
    linear(prefix + "mlp.c_fc", w.mlp_in, w.mlp_in_bias, c, ffn);
    linear(prefix + "mlp.c_proj", w.mlp_out, w.mlp_out_bias, ffn, c);
  }
  norm("ln_f", model.ln_f_gain, model.ln_f_bias);
  if (own_head) embeddings(kHeadName, model.head);
  return list;
}

std::size_t packed_bytes(const Parameter& parameter, const Packing& packing, DType dtype) {
  const HostTensor& stored = parameter.stored;
  return static_cast<std::size_t>(parameter.matrix != nullptr
                                      ? packing.bytes(dtype, stored.in(), stored.out())
                                      : stored.size() * size_of(DType::kF32));
}

void require_memory(std::size_t bytes, DType dtype) {
  const auto megabytes = [](double number) { return std::to_string(std::llround(number / 1e6)); };
  const std::optional<double> limit = memory_limit();
  if (!limit || static_cast<double>(bytes) <= *limit) return;
  throw Error(
      "[E727] The weights take {} MB of memory as {}, but this program can have {} MB; use --dtype "
      "int8, a smaller model or more memory (of the machine, or of its container).",
      {megabytes(static_cast<double>(bytes)), name_of(dtype), megabytes(*limit)});
}

Model Model::load(const ModelFiles& files, Backend& backend, DType dtype, const Notice& notice) {
  Model model;
  model.config = read_model_config(files);
  model.dtype = dtype;
  const AdaptedCheckpoint source(files, model.config);
  const bool own_head = source.has_own_head();
  std::set<std::string> known = {kHeadName};
  const std::vector<Parameter> list = list_parameters(model, own_head);
  if (const Packing* packing = backend.packing()) {
    std::size_t bytes = 0;
    for (const Parameter& one : list) bytes += packed_bytes(one, *packing, dtype);
    require_memory(bytes, dtype);
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto& [stored, matrix, vector] = list[i];
    known.insert(stored.name);
    if (i + 1 < list.size()) source.read_ahead(list[i + 1].stored);
    const HostTensor tensor = source.get(stored);
    if (vector != nullptr) *vector = backend.load_vector(tensor);
    try {
      if (matrix != nullptr) *matrix = backend.load_matrix(tensor, dtype);
    } catch (const Error& error) {
      throw Error(error.tag() + message("{}: tensor {}: {}", {printable(tensor.file),
                                                              quote(stored.name), error.what()}));
    }
    source.give_back(stored);
  }
  if (!own_head) model.head = model.token_embedding;
  files.require_untouched();
  source.report_unknown(known, notice);
  return model;
}

std::int64_t count_parameters(const ModelFiles& files) {
  Model model;
  model.config = read_model_config(files);
  std::int64_t count = 0;
  for (const Parameter& one : list_parameters(model, has_own_head(files))) {
    count += one.stored.size();
  }
  return count;
}

bool has_own_head(const ModelFiles& files) {
  const ModelConfig config = read_model_config(files);
  return AdaptedCheckpoint(files, config).has_own_head();
}

}  // namespace aira
