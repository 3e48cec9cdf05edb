// Collects the tensors of one file or of all shards under their GPT-2 names. The bytes stay where
// the operating system mapped them.
#include "model/checkpoint.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, HostTensor>;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kPickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};

/// GPT2LMHeadModel puts its body under "transformer."; GPT2Model does not.
std::string canonical(const std::string& name) {
  constexpr std::string_view kPrefix = "transformer.";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

/// h.N.attn.bias and h.N.attn.masked_bias: the causal mask of old versions of transformers.
bool is_mask(const std::string& stored) {
  const std::string name = canonical(stored);
  if (!name.starts_with("h.")) return false;
  const std::size_t end = std::min(name.find_first_not_of("0123456789", 2), name.size());
  const std::string_view rest = std::string_view(name).substr(end);
  return end > 2 && (rest == ".attn.bias" || rest == ".attn.masked_bias");
}

std::string tensor_text(const std::string& file, const std::string& name) {
  return printable(file) + ": tensor " + quote(name);
}

void add(Tensors& tensors, const HostTensor& tensor) {
  const std::string name = canonical(tensor.name);
  const auto [place, added] = tensors.emplace(name, tensor);
  if (added) return;
  const std::string& first = place->second.file;
  throw Error(tensor_text(tensor.file, name) + " is there twice" +
              (first == tensor.file ? ", with and without the \"transformer.\" prefix"
                                    : ": also in " + printable(first)) +
              ".");
}

/// The index's tensor names by shard.
std::map<std::string, std::set<std::string>> read_index(const File& file) {
  const std::string where = printable(file.path);
  const json root = parse_json(file.text(), where);
  const JsonObject object(root, where);
  const json* map = object.find("weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    object.fail("weight_map", "an object that names a shard for each tensor",
                map == nullptr ? json(nullptr) : *map);
  }
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      throw Error(where + ": the shard of tensor " + quote(tensor) + " must be a file name.");
    }
    shards[shard.get<std::string>()].insert(tensor);
  }
  return shards;
}

/// Adds the tensors of a file; with an index, a shard, which holds exactly what the index says, the
/// masks aside.
void add_file(Tensors& tensors, const File& file, const std::optional<File>& index,
              std::set<std::string> promised) {
  std::erase_if(promised, is_mask);
  for (const HostTensor& tensor : read_safetensors(file, is_mask)) {
    if (index && promised.erase(tensor.name) == 0) {
      throw Error(tensor_text(file.path, tensor.name) + " is not named by " +
                  printable(index->path) + ".");
    }
    add(tensors, tensor);
  }
  if (!promised.empty()) {
    throw Error(printable(file.path) + " has no tensor " + quote(*promised.begin()) + ", which " +
                printable(index->path) + " promises.");
  }
}

[[noreturn]] void fail_without_weights(const ModelFiles& files) {
  for (const char* pickle : kPickles) {
    if (!files.find(pickle)) continue;
    throw Error(printable(files.place()) + " has its weights only as " + pickle +
                ", a format that can run code when it is opened; convert them once with "
                "transformers: AutoModelForCausalLM.from_pretrained(FOLDER)"
                ".save_pretrained(FOLDER).");
  }
  throw Error(printable(files.place()) + " has neither " + kSingle + " nor " + kIndex + ".");
}

}  // namespace

Checkpoint Checkpoint::open(const ModelFiles& files) {
  Checkpoint checkpoint;
  if (const auto single = files.find(kSingle)) {
    checkpoint.place_ = single->path;
    add_file(checkpoint.tensors_, *single, std::nullopt, {});
    return checkpoint;
  }
  const auto index = files.find(kIndex);
  if (!index) fail_without_weights(files);
  checkpoint.place_ = index->path;
  for (const auto& [shard, promised] : read_index(*index)) {
    add_file(checkpoint.tensors_, files.require(shard), index, promised);
  }
  return checkpoint;
}

const HostTensor& Checkpoint::get(const std::string& name,
                                  const std::vector<std::int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error(printable(place_) + " has no tensor " + quote(name) +
                ", which the model of config.json needs.");
  }
  const HostTensor& tensor = found->second;
  if (tensor.shape != shape) {
    throw Error(tensor_text(tensor.file, name) + " has shape " + shape_text(tensor.shape) +
                ", but config.json asks for " + shape_text(shape) + ".");
  }
  return tensor;
}

void Checkpoint::refuse_unknown(const std::set<std::string>& known,
                                const std::string& model) const {
  for (const auto& [name, tensor] : tensors_) {
    if (known.count(name) == 0) {
      throw Error(tensor_text(tensor.file, name) + " is not part of " + model + ".");
    }
  }
}

}  // namespace aira
