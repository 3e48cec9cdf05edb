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

/// transformers ties the head to the token embeddings when the configuration says so and the
/// checkpoint does not bring a different one.
bool has_own_head(const Checkpoint& checkpoint, const ModelConfig& config) {
  if (!checkpoint.has(kHeadName)) return !config.tied_head;
  const std::vector<std::int64_t> shape = {config.vocab, config.width};
  const HostTensor& head = checkpoint.get(kHeadName, shape);
  const HostTensor& tokens = checkpoint.get("wte.weight", shape);
  return head.dtype != tokens.dtype ||
         (head.data != tokens.data &&
          std::memcmp(head.data.get(), tokens.data.get(), head.bytes) != 0);
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

struct Counter {
  std::int64_t count = 0;

  void matrix(const std::string& /*name*/, const Matrix& /*matrix*/, std::int64_t in,
              std::int64_t out, bool /*out_major*/) {
    count += in * out;
  }
  void vector(const std::string& /*name*/, const Vector& /*vector*/,
              const std::vector<std::int64_t>& shape) {
    count += product(shape);
  }
};

}  // namespace

Model Model::load(const ModelFiles& files, Backend& backend, DType dtype) {
  Model model;
  model.config = read_model_config(files);
  model.dtype = dtype;
  const Checkpoint checkpoint = Checkpoint::open(files);
  Loader loader(checkpoint, backend, dtype);
  model.layers.resize(static_cast<std::size_t>(model.config.layers));
  each_parameter(model, loader);
  model.head = model.token_embedding;
  if (has_own_head(checkpoint, model.config)) {
    loader.matrix(kHeadName, model.head, model.config.width, model.config.vocab, true);
  }
  std::set<std::string> known = loader.used();
  known.insert(kHeadName);
  checkpoint.refuse_unknown(known,
                            "a GPT-2 with " + std::to_string(model.config.layers) + " layers");
  return model;
}

std::int64_t count_parameters(const ModelFiles& files) {
  Model model;
  model.config = read_model_config(files);
  model.layers.resize(static_cast<std::size_t>(model.config.layers));
  Counter counter;
  each_parameter(model, counter);
  if (has_own_head(Checkpoint::open(files), model.config)) {
    counter.count += model.config.width * model.config.vocab;
  }
  return counter.count;
}

}  // namespace aira
