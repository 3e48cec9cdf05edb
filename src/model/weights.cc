// Model::load: which tensors a GPT-2 has, their shapes, and how they lie in a checkpoint. The one
// place that knows that GPT-2's Conv1D stores [in, out] while embeddings store [out, in].
#include <cstring>
#include <set>
#include <string>

#include "aira/checkpoint.h"
#include "aira/error.h"
#include "aira/model.h"

namespace aira {
namespace {

/// Takes tensors out of a checkpoint and remembers which.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, Backend& backend, DType dtype)
      : checkpoint_(checkpoint), backend_(backend), dtype_(dtype) {}

  /// A Conv1D weight, [in, out].
  Matrix conv1d(const std::string& name, std::int64_t in, std::int64_t out) {
    return matrix(name, in, out, {in, out}, false);
  }
  /// A table of `out` rows of `in` numbers: token embeddings, lm_head.
  Matrix rows(const std::string& name, std::int64_t in, std::int64_t out) {
    return matrix(name, in, out, {out, in}, true);
  }
  Vector vector(const std::string& name, std::int64_t size) { return flat(name, size, {size}); }
  Vector table(const std::string& name, std::int64_t rows, std::int64_t cols) {
    return flat(name, rows * cols, {rows, cols});
  }
  bool has(const std::string& name) {
    used_.insert(name);
    return checkpoint_.has(name);
  }
  /// Whether two tensors of one shape are the same, byte for byte.
  bool same(const std::string& a, const std::string& b, const std::vector<std::int64_t>& shape) {
    const HostTensor& left = checkpoint_.get(a, shape);
    const HostTensor& right = checkpoint_.get(b, shape);
    if (left.dtype != right.dtype) return false;
    std::int64_t bytes = size_of(left.dtype);
    for (const std::int64_t n : shape) bytes *= n;
    return left.data == right.data ||
           std::memcmp(left.data.get(), right.data.get(), static_cast<std::size_t>(bytes)) == 0;
  }
  /// Every tensor asked for so far.
  const std::set<std::string>& used() const { return used_; }

 private:
  const HostTensor& get(const std::string& name, const std::vector<std::int64_t>& shape) {
    used_.insert(name);
    return checkpoint_.get(name, shape);
  }
  Matrix matrix(const std::string& name, std::int64_t in, std::int64_t out,
                const std::vector<std::int64_t>& shape, bool out_major) {
    const HostTensor& tensor = get(name, shape);
    try {
      return backend_.load_matrix({.data = tensor.data,
                                   .dtype = tensor.dtype,
                                   .in = in,
                                   .out = out,
                                   .out_major = out_major},
                                  dtype_);
    } catch (const Error& error) {
      throw Error(tensor.file + ": tensor \"" + name + "\": " + error.what());
    }
  }
  Vector flat(const std::string& name, std::int64_t size, const std::vector<std::int64_t>& shape) {
    const HostTensor& tensor = get(name, shape);
    return backend_.load_vector(tensor.data, tensor.dtype, size);
  }

  const Checkpoint& checkpoint_;
  Backend& backend_;
  DType dtype_;
  std::set<std::string> used_;
};

LayerWeights load_layer(Loader& loader, const std::string& prefix, const ModelConfig& config) {
  const std::int64_t c = config.width;
  LayerWeights w;
  w.ln_1_gain = loader.vector(prefix + "ln_1.weight", c);
  w.ln_1_bias = loader.vector(prefix + "ln_1.bias", c);
  w.attn_qkv = loader.conv1d(prefix + "attn.c_attn.weight", c, 3 * c);
  w.attn_qkv_bias = loader.vector(prefix + "attn.c_attn.bias", 3 * c);
  w.attn_out = loader.conv1d(prefix + "attn.c_proj.weight", c, c);
  w.attn_out_bias = loader.vector(prefix + "attn.c_proj.bias", c);
  w.ln_2_gain = loader.vector(prefix + "ln_2.weight", c);
  w.ln_2_bias = loader.vector(prefix + "ln_2.bias", c);
  w.mlp_in = loader.conv1d(prefix + "mlp.c_fc.weight", c, config.inner);
  w.mlp_in_bias = loader.vector(prefix + "mlp.c_fc.bias", config.inner);
  w.mlp_out = loader.conv1d(prefix + "mlp.c_proj.weight", config.inner, c);
  w.mlp_out_bias = loader.vector(prefix + "mlp.c_proj.bias", c);
  return w;
}

/// transformers ties the head to the token embeddings when the configuration says so and the
/// checkpoint does not bring a different one.
Matrix load_head(Loader& loader, const ModelConfig& config, const Matrix& tokens) {
  const std::string head = "lm_head.weight";
  const bool present = loader.has(head);
  const bool own =
      present ? !loader.same(head, "wte.weight", {config.vocab, config.width}) : !config.tied_head;
  return own ? loader.rows(head, config.width, config.vocab) : tokens;
}

}  // namespace

Model Model::load(const ModelFiles& files, Backend& backend, DType dtype) {
  Model model;
  model.config = read_model_config(files);
  model.dtype = dtype;
  const ModelConfig& config = model.config;
  const Checkpoint checkpoint = Checkpoint::open(files);
  Loader loader(checkpoint, backend, dtype);

  model.token_embedding = loader.rows("wte.weight", config.width, config.vocab);
  model.position_embedding = loader.table("wpe.weight", config.context, config.width);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    model.layers.push_back(load_layer(loader, "h." + std::to_string(l) + ".", config));
  }
  model.ln_f_gain = loader.vector("ln_f.weight", config.width);
  model.ln_f_bias = loader.vector("ln_f.bias", config.width);
  model.head = load_head(loader, config, model.token_embedding);
  checkpoint.refuse_unknown(loader.used(),
                            "a GPT-2 with " + std::to_string(config.layers) + " layers");
  return model;
}

}  // namespace aira
