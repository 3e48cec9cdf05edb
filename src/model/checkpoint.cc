// Collects the tensors of one file or of all shards under their GPT-2 names. The bytes stay where
// the operating system mapped them.
#include "model/checkpoint.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, HostTensor>;

/// Where weights may be, in the order in which transformers looks; an index names shards.
struct Format {
  const char* single;
  const char* index;
  std::vector<HostTensor> (*read)(const File& file, const Ignored& ignored);
};
constexpr Format kModelFormats[] = {
    {"model.safetensors", "model.safetensors.index.json", &read_safetensors},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", &read_torch_file},
};
constexpr Format kAdapterFormats[] = {
    {"adapter_model.safetensors", nullptr, &read_safetensors},
    {"adapter_model.bin", nullptr, &read_torch_file},
};
/// Other formats, and what makes transformers 4 convert them.
constexpr std::pair<const char*, const char*> kForeign[] = {
    {"tf_model.h5", "from_tf=True"},
    {"flax_model.msgpack", "from_flax=True"},
};

/// Without the names that GPT2LMHeadModel, PEFT, torch.compile and DataParallel give what they
/// wrap.
std::string canonical(std::string name) {
  static constexpr std::string_view kPrefixes[] = {"base_model.model.", "_orig_mod.", "module.",
                                                   "transformer."};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      if (!name.starts_with(prefix)) continue;
      name.erase(0, prefix.size());
      again = true;
    }
  }
  constexpr std::string_view kInner = ".base_layer.";  // what a LoRA layer wraps
  if (const auto at = name.find(kInner); at != std::string::npos) name.erase(at, kInner.size() - 1);
  return name;
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
  return message("{}: tensor {}", {printable(file), quote(name)});
}

void add(Tensors& tensors, const HostTensor& tensor) {
  const std::string name = canonical(tensor.name);
  const auto [place, added] = tensors.emplace(name, tensor);
  if (added) return;
  const std::string& first = place->second.file;
  const std::string where = tensor_text(tensor.file, name);
  if (first == tensor.file) {
    throw Error("[E436] {} is there twice, with and without a prefix such as \"transformer.\".",
                {where});
  }
  throw Error("[E437] {} is there twice: also in {}.", {where, printable(first)});
}

/// The index's tensor names by shard.
std::map<std::string, std::set<std::string>> read_index(const File& file) {
  const std::string where = printable(file.path);
  const json root = parse_python_json(file.text(), where);
  const JsonObject object(root, where);
  const json* map = object.find("weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    object.fail("weight_map", message("an object that names a shard for each tensor"),
                map == nullptr ? json(nullptr) : *map);
  }
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      throw Error("[E438] {}: the shard of tensor {} must be a file name.", {where, quote(tensor)});
    }
    shards[shard.get<std::string>()].insert(tensor);
  }
  return shards;
}

/// Adds the tensors of a file; with an index, a shard, which holds exactly what the index says, the
/// masks aside.
void add_file(Tensors& tensors, const Format& format, const File& file,
              const std::optional<File>& index, std::set<std::string> promised) {
  std::erase_if(promised, is_mask);
  for (const HostTensor& tensor : format.read(file, is_mask)) {
    if (index && promised.erase(tensor.name) == 0) {
      throw Error("[E439] {} is not named by {}.",
                  {tensor_text(file.path, tensor.name), printable(index->path)});
    }
    add(tensors, tensor);
  }
  if (!promised.empty()) {
    throw Error("[E440] {} has no tensor {}, which {} promises.",
                {printable(file.path), quote(*promised.begin()), printable(index->path)});
  }
}

[[noreturn]] void fail_without_weights(const ModelFiles& files, std::span<const Format> formats) {
  for (const auto& [name, argument] : kForeign) {
    if (!files.find(name)) continue;
    throw Error(
        "[E441] {} has its weights only as {}; convert them once with transformers 4: "
        "AutoModelForCausalLM.from_pretrained(FOLDER, {}).save_pretrained(FOLDER).",
        {printable(files.place()), name, argument});
  }
  std::string names;
  for (const Format& format : formats) {
    for (const char* name : {format.single, format.index}) {
      if (name != nullptr) names += (names.empty() ? "" : ", ") + std::string(name);
    }
  }
  throw Error("[E442] {} has no weights: none of {}.", {printable(files.place()), names});
}

/// The first format that is there: its single file or its index.
struct Found {
  const Format& format;
  File file;
  bool is_index;
};
Found find(const ModelFiles& files, std::span<const Format> formats) {
  for (const Format& format : formats) {
    if (auto file = files.find(format.single)) return {format, *std::move(file), false};
    if (format.index == nullptr) continue;
    if (auto file = files.find(format.index)) return {format, *std::move(file), true};
  }
  fail_without_weights(files, formats);
}

}  // namespace

Checkpoint Checkpoint::open(const ModelFiles& files) {
  const auto [format, file, is_index] = find(files, kModelFormats);
  Checkpoint checkpoint;
  checkpoint.place_ = file.path;
  if (!is_index) add_file(checkpoint.tensors_, format, file, std::nullopt, {});
  if (!is_index) return checkpoint;
  for (const auto& [shard, promised] : read_index(file)) {
    add_file(checkpoint.tensors_, format, files.require(shard), file, promised);
  }
  return checkpoint;
}

Checkpoint Checkpoint::open_adapter(const ModelFiles& files) {
  const Found found = find(files, kAdapterFormats);
  Checkpoint checkpoint;
  checkpoint.place_ = found.file.path;
  add_file(checkpoint.tensors_, found.format, found.file, std::nullopt, {});
  return checkpoint;
}

std::vector<std::string> Checkpoint::file_names(const ModelFiles& files) {
  const auto [format, file, is_index] = find(files, kModelFormats);
  if (!is_index) return {format.single};
  std::vector<std::string> names;
  for (const auto& [shard, promised] : read_index(file)) names.push_back(shard);
  return names;
}

const HostTensor& Checkpoint::get(const std::string& name,
                                  const std::vector<std::int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error("[E443] {} has no tensor {}, which the model of config.json needs.",
                {printable(place_), quote(name)});
  }
  const HostTensor& tensor = found->second;
  if (tensor.shape != shape) {
    throw Error("[E444] {} has shape {}, but config.json asks for {}.",
                {tensor_text(tensor.file, name), shape_text(tensor.shape), shape_text(shape)});
  }
  return tensor;
}

std::vector<std::string> Checkpoint::unknown(const std::set<std::string>& known) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) {
    if (known.count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace aira
