// config.json: what is read, what is refused and in which words.
#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "model_fixtures.h"

namespace aira {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ModelConfig read(const std::string& text) {
  return read_model_config(memory_files({{"config.json", text}}));
}

TEST(ModelConfig, DefaultsAreThoseOfGpt2Config) {
  const ModelConfig c = read(R"({"model_type": "gpt2"})");
  EXPECT_EQ(c.layers, 12);
  EXPECT_EQ(c.width, 768);
  EXPECT_EQ(c.heads, 12);
  EXPECT_EQ(c.head_size(), 64);
  EXPECT_EQ(c.context, 1024);
  EXPECT_EQ(c.vocab, 50257);
  EXPECT_EQ(c.ffn_width, 3072);
  EXPECT_EQ(c.epsilon, 1e-5F);
  EXPECT_EQ(c.activation, Activation::kGeluTanh);
  EXPECT_TRUE(c.scale_attention);
  EXPECT_FALSE(c.scale_attention_by_inverse_layer);
  EXPECT_TRUE(c.tied_head);
  EXPECT_THAT(c.eos, IsEmpty());  // `generate` does not take GPT2Config's
}

TEST(ModelConfig, ReadsEveryKey) {
  const ModelConfig c = read(R"({"architectures": ["GPT2LMHeadModel"], "n_layer": 3, "n_embd": 40,
      "n_head": 5, "n_positions": 67, "vocab_size": 509, "n_inner": 72, "layer_norm_epsilon": 1e-6,
      "activation_function": "relu", "scale_attn_weights": false,
      "scale_attn_by_inverse_layer_idx": true, "tie_word_embeddings": false, "bos_token_id": 1,
      "eos_token_id": [2, 3], "pad_token_id": 0, "n_ctx": 12, "reorder_and_upcast_attn": true,
      "pruned_heads": {}, "resid_pdrop": "whatever"})");
  EXPECT_EQ(c.layers, 3);
  EXPECT_EQ(c.width, 40);
  EXPECT_EQ(c.heads, 5);
  EXPECT_EQ(c.context, 67);
  EXPECT_EQ(c.vocab, 509);
  EXPECT_EQ(c.ffn_width, 72);
  EXPECT_EQ(c.epsilon, 1e-6F);
  EXPECT_EQ(c.activation, Activation::kRelu);
  EXPECT_FALSE(c.scale_attention);
  EXPECT_TRUE(c.scale_attention_by_inverse_layer);
  EXPECT_FALSE(c.tied_head);
  EXPECT_THAT(c.eos, ElementsAre(2, 3));
}

TEST(ModelConfig, AcceptsAliases) {
  const ModelConfig c = read(R"({"model_type": "gpt2", "hidden_size": 20, "num_hidden_layers": 1,
      "num_attention_heads": 4, "n_head": 4, "max_position_embeddings": 9})");
  EXPECT_EQ(c.width, 20);
  EXPECT_EQ(c.layers, 1);
  EXPECT_EQ(c.heads, 4);
  EXPECT_EQ(c.context, 9);
}

TEST(ModelConfig, SpecialTokens) {
  EXPECT_THAT(read(small_config(R"({"eos_token_id": null})")).eos, IsEmpty());
  EXPECT_THAT(read(small_config(R"({"eos_token_id": []})")).eos, IsEmpty());
  EXPECT_THAT(read(small_config(R"({"eos_token_id": -1, "pad_token_id": -1})")).eos,
              ElementsAre(-1));
  // Beyond the vocabulary: cannot occur.
  const ModelConfig c = read(small_config(R"({"vocab_size": 100, "eos_token_id": [7, 100, 99]})"));
  EXPECT_THAT(c.eos, ElementsAre(7, 99));
}

TEST(ModelConfig, Activations) {
  using enum Activation;
  // clang-format off
  const std::pair<const char*, Activation> cases[] = {
      {"gelu_new", kGeluTanh}, {"gelu_pytorch_tanh", kGeluTanh}, {"gelu_python_tanh", kGeluTanh},
      {"gelu_fast", kGeluTanh}, {"gelu_accurate", kGeluTanh},
      {"gelu", kGeluErf}, {"gelu_python", kGeluErf}, {"gelu_10", kGelu10},
      {"quick_gelu", kQuickGelu},
      {"relu", kRelu}, {"relu2", kRelu2}, {"relu6", kRelu6}, {"leaky_relu", kLeakyRelu},
      {"silu", kSilu}, {"swish", kSilu}, {"hardswish", kHardSwish}, {"mish", kMish},
      {"sigmoid", kSigmoid}, {"tanh", kTanh}, {"laplace", kLaplace},
      {"sqrtsoftplus", kSqrtSoftplus}, {"linear", kNone},
  };
  // clang-format on
  for (const auto& [name, kind] : cases) {
    EXPECT_EQ(read(small_config(json{{"activation_function", name}}.dump())).activation, kind)
        << name;
  }
}

/// A change of the valid config, and part of the sentence that refuses it.
using Refusal = std::pair<std::string, const char*>;

class RefusedConfig : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusedConfig, IsNamed) {
  EXPECT_THAT(error_of([] { read(small_config(GetParam().first)); }),
              AllOf(StartsWith("mem/config.json: "), HasSubstr(GetParam().second), EndsWith(".")));
}

const Refusal kRefusals[] = {
    {R"({"model_type": "llama"})",
     R"("model_type" must be "gpt2", for this program runs GPT-2 models)"},
    {R"({"model_type": null})", "\"model_type\" must be"},
    {R"({"model_type": null, "architectures": ["BertModel"]})", "\"model_type\" must be"},
    {R"({"model_type": null, "architectures": "GPT2LMHeadModel"})", "\"model_type\" must be"},
    {R"({"model_type": 3})", "\"model_type\" must be a string"},
    {R"({"n_layer": 0})", "\"n_layer\" must be a whole number from 1 to 1000, but is 0"},
    {R"({"n_layer": -1})", "but is -1"},
    {R"({"n_layer": 1001})", "but is 1001"},
    {R"({"n_layer": null})", "\"n_layer\" must be set"},
    {R"({"n_layer": 2.0})", "but is 2.0"},
    {R"({"n_layer": "2"})", "but is \"2\""},
    {R"({"n_layer": true})", "but is true"},
    {R"({"num_hidden_layers": 3})", "equal to its alias \"num_hidden_layers\""},
    {R"({"n_embd": 13})", "\"n_embd\" must be a multiple of \"n_head\" (3)"},
    {R"({"n_embd": 18446744073709551615})", "\"n_embd\" must be"},
    {R"({"n_embd": 9223372036854775807})", "\"n_embd\" must be"},
    {R"({"n_head": 0})", "\"n_head\" must be"},
    {R"({"n_positions": 1e6})", "\"n_positions\" must be"},
    {R"({"vocab_size": 10000001})", "\"vocab_size\" must be"},
    {R"({"n_inner": 0})", "\"n_inner\" must be"},
    {R"({"layer_norm_epsilon": -1e-5})", "\"layer_norm_epsilon\" must be a number above 0"},
    {R"({"layer_norm_epsilon": 0})", "\"layer_norm_epsilon\" must be"},
    {R"({"layer_norm_epsilon": 1e-300})", "\"layer_norm_epsilon\" must be"},
    {R"({"layer_norm_epsilon": "NaN"})", "\"layer_norm_epsilon\" must be"},
    {R"({"layer_norm_epsilon": null})", "\"layer_norm_epsilon\" must be"},
    {R"({"activation_function": "prelu"})", "but is \"prelu\""},
    {R"({"activation_function": "xielu"})", "one of gelu_new, "},
    {R"({"transformers_weights": "x.safetensors"})", "\"transformers_weights\" must be left out"},
    {R"({"activation_function": null})", "\"activation_function\" must be set"},
    {R"({"scale_attn_weights": 1})", "\"scale_attn_weights\" must be true or false"},
    {R"({"tie_word_embeddings": null})", "\"tie_word_embeddings\" must be set"},
    {R"({"add_cross_attention": true})", "cross-attention is not supported"},
    {R"({"quantization_config": {"bits": 4}})", "quantised checkpoints are not supported"},
    {R"({"pruned_heads": {"0": [1]}})", "pruned heads are not supported"},
    {R"({"eos_token_id": 1.5})", "\"eos_token_id\" must be a whole number from -2147483648"},
    {R"({"eos_token_id": [1, "x"]})", "\"eos_token_id\" must be"},
    {R"({"eos_token_id": 2147483648})", "\"eos_token_id\" must be"},
    {R"({"bos_token_id": [1]})", "\"bos_token_id\" must be"},
    {R"({"pad_token_id": 0.5})", "\"pad_token_id\" must be"},
};
INSTANTIATE_TEST_SUITE_P(All, RefusedConfig, ::testing::ValuesIn(kRefusals));

TEST(ModelConfig, TakesWhatPythonWrites) {
  EXPECT_EQ(read(R"({"model_type": "gpt2", "initializer_range": NaN, "n_layer": 1, "n_layer": 2})")
                .layers,
            2);
}

TEST(ModelConfig, RefusesBadFiles) {
  EXPECT_THAT(error_of([] { read("[]"); }), HasSubstr("mem/config.json must be a JSON object"));
  EXPECT_THAT(error_of([] { read("{"); }), HasSubstr("mem/config.json is not valid JSON"));
  EXPECT_THAT(error_of([] { read(""); }), HasSubstr("mem/config.json is not valid JSON"));
  EXPECT_THAT(error_of([] { read("\xEF\xBB\xBF{}"); }), HasSubstr("begins with a byte order mark"));
  EXPECT_THAT(error_of([] { read_model_config(memory_files({})); }),
              HasSubstr("mem has no file \"config.json\""));
}

TEST(ConfigFuzz, MutationsAreReadOrThrowError) {
  const std::string valid =
      R"({"model_type":"gpt2","n_layer":2,"n_embd":12,"n_head":3,"n_inner":null,"vocab_size":99,)"
      R"("layer_norm_epsilon":1e-5,"temperature":0.5,"top_k":3,"eos_token_id":[1,2]})";
  constexpr std::string_view kTelling = "0123456789-[]{},:\"eE.\\\xff";
  std::mt19937 random(3);
  for (int i = 0; i < 10000; ++i) {
    std::string text = valid;
    for (unsigned n = 0; n <= random() % 3; ++n) {
      text[random() % text.size()] = kTelling[random() % kTelling.size()];
    }
    if (i % 11 == 0) text.resize(random() % text.size());
    const std::string error = error_of([&] { read(text); });
    if (!error.empty()) {
      ASSERT_THAT(error, AllOf(StartsWith("mem/"), EndsWith(".")));
    }
  }
}

}  // namespace
}  // namespace aira
