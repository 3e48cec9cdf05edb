// A GPT-2's parameters: their list, and loading them from a checkpoint.
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "aira/error.h"
#include "model/checkpoint.h"
#include "model/model.h"

namespace aira {
namespace {

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

Model Model::load(const ModelFiles& files, Backend& backend, DType dtype) {
  Model model;
  model.config = read_model_config(files);
  model.dtype = dtype;
  const Checkpoint checkpoint = Checkpoint::open(files);
  const bool own_head = has_own_head(checkpoint, model.config);
  std::set<std::string> known = {kHeadName};
  for (const auto& [stored, matrix, vector] : list_parameters(model, own_head)) {
    known.insert(stored.name);
    HostTensor source = checkpoint.get(stored.name, stored.shape);
    source.out_major = stored.out_major;
    if (vector != nullptr) *vector = backend.load_vector(source);
    try {
      if (matrix != nullptr) *matrix = backend.load_matrix(source, dtype);
    } catch (const Error& error) {
      throw Error(source.file + ": tensor \"" + stored.name + "\": " + error.what());
    }
  }
  if (!own_head) model.head = model.token_embedding;
  checkpoint.refuse_unknown(known,
                            "a GPT-2 with " + std::to_string(model.config.layers) + " layers");
  return model;
}

std::int64_t count_parameters(const ModelFiles& files) {
  Model model;
  model.config = read_model_config(files);
  std::int64_t count = 0;
  const bool own_head = has_own_head(Checkpoint::open(files), model.config);
  for (const Parameter& one : list_parameters(model, own_head)) count += one.stored.size();
  return count;
}

}  // namespace aira
