// Whole checkpoints: the golden folders, names and prefixes, shards, what is missing or too much.
#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "cpu/cpu_backend.h"
#include "model/config.h"
#include "model/model.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A file with a tensor of shape [1] and bytes "name" for each name, e.g. "wte.weight".
std::string file_with(const std::vector<std::string>& names, const std::string& dtype = "F32") {
  std::string header = "{";
  std::string data;
  for (const std::string& name : names) {
    const std::size_t size = dtype == "F32" ? 4 : dtype == "I64" || dtype == "F64" ? 8 : 1;
    header += (header.size() > 1 ? ",\"" : "\"") + name + "\":{\"dtype\":\"" + dtype +
              "\",\"shape\":[1],\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + size) + "]}";
    data += std::string(size, name[0]);
  }
  return safetensors(header + "}", data);
}

Checkpoint open(std::map<std::string, std::string> files) {
  return Checkpoint::open(memory_files(std::move(files)));
}

Checkpoint open_single(const std::string& content) {
  return open({{"model.safetensors", content}});
}

std::vector<std::string> names(const Checkpoint& checkpoint) {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : checkpoint.tensors()) all.push_back(name);
  return all;
}

struct Golden {
  const char* folder;
  DType dtype;
  std::size_t tensors;  // 2 + 12 per layer + 2 + an explicit head
};

/// The base model in tests/data/weights with a changed header and configuration.
Model load_changed(const std::function<std::string(std::string header)>& change, Backend& backend,
                   const std::string& config_change = "{}") {
  const ModelFiles base = ModelFiles::from_folder(AIRA_TEST_DATA "/weights/base");
  std::string file(base.require("model.safetensors").text());
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  auto config = nlohmann::json::parse(base.require("config.json").text());
  config.merge_patch(nlohmann::json::parse(config_change));
  return Model::load(memory_files({{"config.json", config.dump()},
                                   {"model.safetensors", safetensors(change(file.substr(8, length)),
                                                                     file.substr(8 + length))}}),
                     backend, DType::kF32);
}

class GoldenFolder : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenFolder, Opens) {
  const ModelFiles files =
      ModelFiles::from_folder(std::string(AIRA_TEST_DATA "/models/") + GetParam().folder);
  const ModelConfig config = read_model_config(files);
  const Checkpoint checkpoint = Checkpoint::open(files);
  EXPECT_EQ(checkpoint.tensors().size(), GetParam().tensors);
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    EXPECT_EQ(tensor.dtype, GetParam().dtype) << name;
  }
  checkpoint.get("wte.weight", {config.vocab, config.width});
  checkpoint.get("wpe.weight", {config.context, config.width});
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string layer = "h." + std::to_string(i) + ".";
    checkpoint.get(layer + "attn.c_attn.weight", {config.width, 3 * config.width});
    checkpoint.get(layer + "mlp.c_fc.bias", {config.ffn_width});
  }
  EXPECT_EQ(checkpoint.has("lm_head.weight"),
            !config.tied_head || std::string_view(GetParam().folder) == "e");
}

INSTANTIATE_TEST_SUITE_P(All, GoldenFolder,
                         ::testing::Values(Golden{"a", DType::kF32, 40},
                                           Golden{"b", DType::kF32, 29},
                                           Golden{"c", DType::kF16, 28},
                                           Golden{"d", DType::kBF16, 16},
                                           Golden{"e", DType::kF16, 29}),
                         [](const auto& param) { return std::string(param.param.folder); });

TEST_P(GoldenFolder, HasItsParametersCounted) {
  const ModelFiles files =
      ModelFiles::from_folder(std::string(AIRA_TEST_DATA "/models/") + GetParam().folder);
  const Checkpoint checkpoint = Checkpoint::open(files);
  std::int64_t stored = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const bool copy = name == kHeadName && std::string_view(GetParam().folder) == "e";
    if (!copy) stored += static_cast<std::int64_t>(tensor.bytes) / size_of(tensor.dtype);
  }
  EXPECT_EQ(count_parameters(files), stored);
}

// "tie_word_embeddings" is true here; a head that differs from the embeddings counts all the same.
TEST(CountParameters, CountsAHeadOfItsOwn) {
  const ModelFiles files = ModelFiles::from_folder(AIRA_TEST_DATA "/models/e");
  const File file = files.require("model.safetensors");
  const ModelConfig config = read_model_config(files);
  const HostTensor head = Checkpoint::open(files).get(kHeadName, {config.vocab, config.width});
  std::string changed(file.text());
  const std::string_view first(reinterpret_cast<const char*>(head.data.get()), head.bytes);
  changed[changed.rfind(first) + head.bytes - 1] ^= 1;
  EXPECT_EQ(count_parameters(
                memory_files({{"config.json", std::string(files.require("config.json").text())},
                              {"model.safetensors", changed}})),
            count_parameters(files) + config.vocab * config.width);
}

TEST(GoldenConfigs, AreReadAsWritten) {
  const auto files = [](const char* name) {
    return ModelFiles::from_folder(std::string(AIRA_TEST_DATA "/models/") + name);
  };
  const ModelConfig b = read_model_config(files("b"));
  EXPECT_EQ(b.activation, Activation::kGeluErf);
  EXPECT_TRUE(b.scale_attention_by_inverse_layer);
  EXPECT_FALSE(b.tied_head);
  EXPECT_EQ(b.ffn_width, 192);
  EXPECT_THAT(b.eos, ElementsAre(4, 9));
  const ModelConfig d = read_model_config(files("d"));
  EXPECT_FALSE(d.scale_attention);
  EXPECT_TRUE(d.eos.empty());  // 50256 of 97
}

TEST(Checkpoint, StripsThePrefixAndDropsTheMasks) {
  const Checkpoint checkpoint = open_single(
      file_with({"transformer.wte.weight", "transformer.h.0.attn.bias", "h.11.attn.masked_bias",
                 "ln_f.bias", "lm_head.weight", "transformer.h.0.attn.c_attn.bias"}));
  EXPECT_THAT(names(checkpoint),
              ElementsAre("h.0.attn.c_attn.bias", "lm_head.weight", "ln_f.bias", "wte.weight"));
  EXPECT_EQ(checkpoint.get("ln_f.bias", {1}).data.get()[0], std::byte{'l'});
}

TEST(Checkpoint, MasksMayHaveAnyType) {
  for (const char* dtype : {"BOOL", "U8", "I64", "F64"}) {
    EXPECT_TRUE(names(open_single(file_with({"h.0.attn.bias"}, dtype))).empty()) << dtype;
  }
}

TEST(Checkpoint, ThingsThatOnlyLookLikeMasksStay) {
  const std::vector<std::string> almost = {"h..attn.bias", "h.0.attn.bias.x", "h.0x.attn.bias",
                                           "hh.0.attn.bias", "x.h.0.attn.bias"};
  EXPECT_EQ(names(open_single(file_with(almost))).size(), almost.size());
}

TEST(Checkpoint, DataMayLieUnalignedAndHoldNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::string data(5, 'x');
  std::memcpy(data.data() + 1, &nan, sizeof nan);
  const Checkpoint checkpoint =
      open_single(safetensors(R"({"h.0.attn.bias":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                              R"("ln_f.bias":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                              data));
  float found = 0;
  std::memcpy(&found, checkpoint.get("ln_f.bias", {1}).data.get(), sizeof found);
  EXPECT_NE(found, found);
}

TEST(Checkpoint, TensorsOutliveTheFiles) {
  HostTensor tensor;
  { tensor = open_single(file_with({"wte.weight"})).get("wte.weight", {1}); }
  EXPECT_EQ(tensor.data.get()[3], std::byte{'w'});
}

TEST(Checkpoint, RefusesOtherTypesOfWeights) {
  for (const char* dtype : {"I64", "F8_E8M0", "BOOL"}) {
    EXPECT_THAT(error_of([&] { open_single(file_with({"transformer.wte.weight"}, dtype)); }),
                AllOf(StartsWith("mem/model.safetensors: tensor \"transformer.wte.weight\""),
                      HasSubstr(dtype), HasSubstr("only F64, F32, F16, BF16")));
  }
}

TEST(Checkpoint, RefusesOneNameWithAndWithoutPrefix) {
  EXPECT_THAT(error_of([] {
                open_single(file_with({"wpe.weight", "transformer.wpe.weight"}));
              }),
              AllOf(HasSubstr("tensor \"wpe.weight\" is there twice"), HasSubstr("prefix")));
}

TEST(Checkpoint, NamesMissingAndMisshapenAndUnknownTensors) {
  const Checkpoint checkpoint = open_single(file_with({"wte.weight", "h.12.x"}));
  EXPECT_EQ(error_of([&] { checkpoint.get("wpe.weight", {1}); }),
            "mem/model.safetensors has no tensor \"wpe.weight\", which the model of config.json "
            "needs.");
  EXPECT_EQ(error_of([&] {
              checkpoint.get("wte.weight", {1, 2});
            }),
            "mem/model.safetensors: tensor \"wte.weight\" has shape [1], but config.json asks for "
            "[1, 2].");
  EXPECT_THAT(checkpoint.unknown({"wte.weight"}), ElementsAre("h.12.x"));
  EXPECT_TRUE(checkpoint.unknown({"wte.weight", "h.12.x"}).empty());
}

/// `text` with the first `from` replaced.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// safetensors' save_model and Accelerate keep one of two names for the same numbers.
TEST(TiedWeights, MayBeStoredAsTheHeadAlone) {
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  const auto plain = load_changed([](std::string header) { return header; }, *backend);
  const auto as_head = [](std::string header) {
    return replaced(std::move(header), "transformer.wte.weight", "lm_head.weight");
  };
  const Model tied = load_changed(as_head, *backend);
  EXPECT_EQ(tied.head.data, tied.token_embedding.data);
  EXPECT_EQ(std::memcmp(tied.head.data.get(), plain.head.data.get(), 61 * 12 * 4), 0);
  EXPECT_THAT(
      error_of([&] { load_changed(as_head, *backend, R"({"tie_word_embeddings": false})"); }),
      HasSubstr("has no tensor \"wte.weight\""));
  EXPECT_THAT(error_of([&] {
                load_changed([](std::string header) { return header; }, *backend,
                             R"({"tie_word_embeddings": false})");
              }),
              HasSubstr("has no tensor \"lm_head.weight\""));
}

TEST(StoredTypes, AreWidened) {
  const auto widened = [](DType dtype, const std::string& bytes) {
    const File file = memory_file("f", bytes);
    const HostTensor tensor =
        as_f32({.data = file.data,
                .dtype = dtype,
                .shape = {static_cast<std::int64_t>(bytes.size()) / size_of(dtype)}});
    return std::vector<float>(numbers(tensor), numbers(tensor) + tensor.size());
  };
  // torch.tensor([...], dtype=torch.uint8).view(torch.float8_e4m3fn).float() and the like.
  EXPECT_THAT(widened(DType::kF8E4M3, std::string("\x00\x01\x08\x38\xB9\x7E\x80", 7)),
              ElementsAre(0, 0x1p-9F, 0x1p-6F, 1, -1.125F, 448, 0));
  EXPECT_TRUE(std::isnan(widened(DType::kF8E4M3, "\xFF")[0]));
  EXPECT_THAT(
      widened(DType::kF8E5M2, std::string("\x01\x04\x3C\xC1\x7B\xFC", 6)),
      ElementsAre(0x1p-16F, 0x1p-14F, 1, -2.5F, 57344, -std::numeric_limits<float>::infinity()));
  EXPECT_THAT(widened(DType::kBF16, "\x20\xC1"), ElementsAre(-10));
  EXPECT_THAT(widened(DType::kF16, "\x80\x01"), ElementsAre(0x1.8p-16F));
  const double number = 0.1;
  EXPECT_THAT(widened(DType::kF64, {reinterpret_cast<const char*>(&number), 8}), ElementsAre(0.1F));
}

TEST(Checkpoint, SaysWhatToDoWithoutWeights) {
  EXPECT_EQ(error_of([] { open({}); }),
            "mem has no weights: none of model.safetensors, model.safetensors.index.json, "
            "pytorch_model.bin, pytorch_model.bin.index.json.");
  EXPECT_THAT(error_of([] {
                open({{"flax_model.msgpack", "x"}});
              }),
              AllOf(HasSubstr("mem has its weights only as flax_model.msgpack"),
                    HasSubstr("from_flax=True).save_pretrained(FOLDER)"), EndsWith(".")));
}

TEST(Checkpoint, StripsWhatWrapsAModel) {
  EXPECT_THAT(names(open_single(file_with({"_orig_mod.module.transformer.wte.weight",
                                           "base_model.model.lm_head.base_layer.weight"}))),
              ElementsAre("lm_head.weight", "wte.weight"));
}

constexpr const char* kIndex = "model.safetensors.index.json";

TEST(Shards, AreJoined) {
  const Checkpoint checkpoint =
      open({{kIndex, R"({"metadata":{},"weight_map":{"a":"1.st","transformer.b":"2.st"}})"},
            {"1.st", file_with({"a", "h.0.attn.bias"})},  // a mask that the index does not name
            {"2.st", file_with({"transformer.b"})}});
  EXPECT_THAT(names(checkpoint), ElementsAre("a", "b"));
  EXPECT_EQ(checkpoint.get("b", {1}).file, "mem/2.st");
}

TEST(Shards, ASingleFileComesFirst) {
  const Checkpoint checkpoint = open({{kIndex, "broken"}, {"model.safetensors", file_with({"a"})}});
  EXPECT_THAT(names(checkpoint), ElementsAre("a"));
}

class BadIndex : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadIndex, IsRefused) {
  EXPECT_THAT(error_of([] {
                open({{kIndex, GetParam().first},
                      {"1.st", file_with({"a"})},
                      {"2.st", file_with({"c", "transformer.a"})}});
              }),
              AllOf(StartsWith("mem"), HasSubstr(GetParam().second), EndsWith(".")));
}

const std::pair<const char*, const char*> kBadIndexes[] = {
    {"", "is not valid JSON"},
    {"[]", "must be a JSON object"},
    {"{}", "\"weight_map\" must be"},
    {R"({"weight_map":null})", "\"weight_map\" must be"},
    {R"({"weight_map":[]})", "\"weight_map\" must be"},
    {R"({"weight_map":{}})", "\"weight_map\" must be"},
    {R"({"weight_map":{"a":1}})", "the shard of tensor \"a\" must be a file name"},
    {R"({"weight_map":{"a":"../1.st"}})", "asks for the file \"../1.st\""},
    {R"({"weight_map":{"a":"/etc/passwd"}})", "asks for the file \"/etc/passwd\""},
    {R"({"weight_map":{"a":""}})", "asks for the file \"\""},
    {R"({"weight_map":{"a":"gone.st"}})", "has no file \"gone.st\""},
    {R"({"weight_map":{"a":"1.st","b":"1.st"}})", "mem/1.st has no tensor \"b\""},
    {R"({"weight_map":{"a":"1.st","c":"2.st"}})", "mem/2.st: tensor \"transformer.a\" is not"},
    {R"({"weight_map":{"a":"1.st","c":"2.st","transformer.a":"2.st"}})",
     "mem/2.st: tensor \"a\" is there twice: also in mem/1.st"},
    {R"({"weight_map":{"a":"model.safetensors.index.json"}})", "mem/model.safetensors.index"},
};
INSTANTIATE_TEST_SUITE_P(All, BadIndex, ::testing::ValuesIn(kBadIndexes));

TEST(Shards, MutatedIndexesLoadOrThrowError) {
  const std::string valid = R"({"metadata":{"total_size":8},"weight_map":{"a":"1.st","b":"2.st"}})";
  std::mt19937 random(2);
  for (int i = 0; i < 5000; ++i) {
    std::string index = valid;
    index[random() % index.size()] = static_cast<char>(random() % 256);
    if (i % 7 == 0) index.resize(random() % index.size());
    const std::string message = error_of([&] {
      open({{kIndex, index}, {"1.st", file_with({"a"})}, {"2.st", file_with({"b"})}});
    });
    if (!message.empty()) {
      ASSERT_THAT(message, AllOf(StartsWith("mem"), EndsWith(".")));
    }
  }
}

}  // namespace
}  // namespace aira
