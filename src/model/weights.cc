// Model::load: a GPT-2's parameters (parameters.h) out of a checkpoint.
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <string>

#include "aira/error.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "model/parameters.h"

namespace aira {
namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// Takes tensors out of a checkpoint and remembers which.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, Backend& backend, DType dtype)
      : checkpoint_(checkpoint), backend_(backend), dtype_(dtype) {}

  void matrix(const std::string& name, Matrix& matrix, std::int64_t in, std::int64_t out,
              bool out_major) {
    const auto shape = out_major ? std::vector{out, in} : std::vector{in, out};
    const HostTensor& tensor = get(name, shape);
    try {
      matrix = backend_.load_matrix({.data = tensor.data,
                                     .dtype = tensor.dtype,
                                     .in = in,
                                     .out = out,
                                     .out_major = out_major},
                                    dtype_);
    } catch (const Error& error) {
      throw Error(tensor.file + ": tensor \"" + name + "\": " + error.what());
    }
  }
  void vector(const std::string& name, Vector& vector, const std::vector<std::int64_t>& shape) {
    const HostTensor& tensor = get(name, shape);
    vector = backend_.load_vector(tensor.data, tensor.dtype, product(shape));
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
    const std::int64_t bytes = size_of(left.dtype) * product(shape);
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

  const Checkpoint& checkpoint_;
  Backend& backend_;
  DType dtype_;
  std::set<std::string> used_;
};

/// transformers ties the head to the token embeddings when the configuration says so and the
/// checkpoint does not bring a different one.
Matrix load_head(Loader& loader, const ModelConfig& config, const Matrix& tokens) {
  const bool present = loader.has(kHeadName);
  const bool own = present ? !loader.same(kHeadName, "wte.weight", {config.vocab, config.width})
                           : !config.tied_head;
  Matrix head = tokens;
  if (own) loader.matrix(kHeadName, head, config.width, config.vocab, true);
  return head;
}

}  // namespace

Model Model::load(const ModelFiles& files, Backend& backend, DType dtype) {
  Model model;
  model.config = read_model_config(files);
  model.dtype = dtype;
  const Checkpoint checkpoint = Checkpoint::open(files);
  Loader loader(checkpoint, backend, dtype);
  model.layers.resize(static_cast<std::size_t>(model.config.layers));
  each_parameter(model, loader);
  model.head = load_head(loader, model.config, model.token_embedding);
  checkpoint.refuse_unknown(loader.used(),
                            "a GPT-2 with " + std::to_string(model.config.layers) + " layers");
  return model;
}

}  // namespace aira
