// LoRA adapters that PEFT wrote, merged into their base, against the logits that PEFT computes
// (tools/goldens/weights.py).
#include "model/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "model/model.h"
#include "model/weight_cache.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string kFolder = AIRA_TEST_DATA "/weights/";

ModelFiles adapted(const std::string& name) {
  const std::string base = name == "untied" ? "untied_base" : "base";
  return ModelFiles::from_folder(kFolder + base)
      .with_adapter(ModelFiles::from_folder(kFolder + name));
}

json goldens() { return json::parse(std::ifstream(kFolder + "goldens.json")); }

/// The logits of the last row of `ids`, one after the other.
std::vector<float> logits(const Model& model, Backend& backend, const json& ids) {
  const auto count = static_cast<std::int64_t>(ids.size());
  Session session(model, backend, {.rows = count, .output_rows = count});
  std::vector<Row> rows;
  std::vector<std::int32_t> outputs;
  for (std::int32_t i = 0; i < count; ++i) {
    rows.push_back({ids[static_cast<std::size_t>(i)], 0, i});
    outputs.push_back(i);
  }
  const auto result = session.forward(rows, outputs);
  return {result.begin(), result.end()};
}

class Adapted : public ::testing::TestWithParam<const char*> {
 protected:
  ThreadPool pool_{1};
  std::unique_ptr<Backend> backend_ = make_cpu_backend(pool_);
};

TEST_P(Adapted, GivesTheLogitsOfPeft) {
  const json all = goldens();
  const Model model = Model::load(adapted(GetParam()), *backend_, DType::kF32);
  const std::vector<float> found = logits(model, *backend_, all["ids"]);
  std::vector<double> expected;
  for (const json& row : all[GetParam()]) {
    for (const json& value : row) expected.push_back(value);
  }
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    worst = std::max(worst, std::abs(expected[i] - found[i]));
  }
  EXPECT_LT(worst, 1e-5 * largest);  // as model_golden_test.cpp's kFloatError
}

INSTANTIATE_TEST_SUITE_P(All, Adapted,
                         ::testing::Values("attention", "everything", "biases", "layer", "saved",
                                           "saved_head", "embeddings", "head", "untied", "bfloat16",
                                           "pickled"),
                         [](const auto& param) { return std::string(param.param); });

/// Part of the sentence that refuses adapter `folder`, with config.json changed so.
struct RefusedAdapter {
  const char* name;
  const char* folder;
  const char* change;
  const char* sentence;
};

class Refused : public ::testing::TestWithParam<RefusedAdapter> {};

TEST_P(Refused, IsNamed) {
  const auto& [name, folder, change, sentence] = GetParam();
  json config = json::parse(std::ifstream(kFolder + folder + "/adapter_config.json"));
  config.merge_patch(json::parse(change));
  const ModelFiles folder_files = ModelFiles::from_folder(kFolder + folder);
  const ModelFiles changed = ModelFiles::from_memory("mem", [&](const std::string& file) {
    return file == "adapter_config.json"
               ? std::optional<File>(memory_file("mem/" + file, config.dump()))
               : folder_files.find(file);
  });
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  EXPECT_THAT(error_of([&] {
                Model::load(ModelFiles::from_folder(kFolder + "base").with_adapter(changed),
                            *backend, DType::kF32);
              }),
              AllOf(HasSubstr(sentence), EndsWith(".")));
}

const RefusedAdapter kRefused[] = {
    {"dora", "dora", "{}",
     "mem/adapter_config.json: \"use_dora\" must be left out, for only plain"},
    {"pissa", "pissa", "{}",
     "\"init_lora_weights\" must be true, for others change the base model"},
    {"tokens", "tokens", "{}", "\"trainable_token_indices\" must be left out"},
    {"lora_bias", "lora_bias", "{}", "\"lora_bias\" must be left out"},
    {"prefix", "prefix", "{}", "\"peft_type\" must be \"LORA\", the only supported kind, but is"},
    {"no_type", "attention", R"({"peft_type": null})", "\"peft_type\" must be \"LORA\""},
    {"alpha", "attention", R"({"lora_alpha": "x"})",
     "\"lora_alpha\" must be a number, but is \"x\""},
    {"pattern", "attention", R"({"alpha_pattern": {".*attn": 3}})",
     "\"alpha_pattern\" must be names of modules, not other patterns, but is \".*attn\""},
    {"two_patterns", "attention", R"({"alpha_pattern": {"c_attn": 3, "attn.c_attn": 4}})",
     "\"alpha_pattern\" must be without two values for \"transformer.h.0.attn.c_attn\""},
};
INSTANTIATE_TEST_SUITE_P(All, Refused, ::testing::ValuesIn(kRefused),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(AdapterOfAnotherModel, IsRefused) {
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  const ModelFiles base = ModelFiles::from_folder(AIRA_TEST_DATA "/models/a");
  for (const char* name : {"attention", "saved_head"}) {
    EXPECT_THAT(
        error_of([&] {
          Model::load(base.with_adapter(ModelFiles::from_folder(kFolder + name)), *backend,
                      DType::kF32);
        }),
        AllOf(HasSubstr(std::string(name) + "/adapter_model.safetensors"), HasSubstr("base")));
  }
}

TEST(AdapterOfALargerModel, IsRefused) {
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  const ModelFiles base = ModelFiles::from_folder(AIRA_TEST_DATA "/models/d");  // of one layer
  EXPECT_THAT(error_of([&] {
                Model::load(base.with_adapter(ModelFiles::from_folder(kFolder + "layer")), *backend,
                            DType::kF32);
              }),
              HasSubstr("\"h.1.mlp.c_fc.weight\" changes nothing of the base model"));
}

TEST(AdapterBase, IsWhatTheConfigurationNames) {
  EXPECT_EQ(base_of(ModelFiles::from_folder(kFolder + "untied")).model, "untied");
  EXPECT_EQ(base_of(ModelFiles::from_folder(kFolder + "attention")).revision, "");
}

TEST(AdapterCache, KeepsBaseAndAdaptersApart) {
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  TemporaryFolder folder;
  const std::string copy = folder.path("adapter");
  std::filesystem::copy(kFolder + "attention", copy);
  const ModelFiles base = ModelFiles::from_folder(kFolder + "base");
  const auto load = [&](const ModelFiles& files) {
    WeightCache cache(folder.path("cache"), files, *backend, DType::kF32);
    const Model model = cache.load();
    EXPECT_EQ(cache.keep(model, [] { return true; }), "");
    return std::pair(cache.hit(), logits(model, *backend, goldens()["ids"]));
  };
  const auto [hit, plain] = load(base);
  EXPECT_FALSE(hit);
  const auto load_both = [&] { return load(base.with_adapter(ModelFiles::from_folder(copy))); };
  const auto [hit_adapted, first] = load_both();
  EXPECT_FALSE(hit_adapted);
  EXPECT_NE(first, plain);
  EXPECT_EQ(load_both(), std::pair(true, first));
  EXPECT_EQ(load(base), std::pair(true, plain));
  // Another adapter in its place.
  std::filesystem::copy(
      kFolder + "layer", copy,
      std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
  EXPECT_FALSE(load_both().first);
}

}  // namespace
}  // namespace aira
