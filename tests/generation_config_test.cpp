// generation_config.json, and the same keys in config.json: what is honoured, refused and noted.
#include "run/generation_config.h"

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
using Ids = std::vector<std::int32_t>;

GenerationConfig read(const std::string& text, bool is_aira = false) {
  return read_generation_config(memory_files({{"generation_config.json", text}}), {}, is_aira);
}

GenerationConfig read_legacy(const std::string& keys, bool is_aira = false) {
  const ModelFiles files = memory_files({{"config.json", small_config(keys)}});
  return read_generation_config(files, read_model_config(files), is_aira);
}

TEST(GenerationConfig, HonoursTheNamesOfTransformers) {
  const GenerateOptions o = read(R"({"max_length": 40, "min_length": 7, "do_sample": true,
      "early_stopping": "never", "stop_strings": ["fim", "é"], "num_beams": 3, "temperature": 0.7,
      "top_k": 31, "top_p": 0.75, "min_p": 0.25, "typical_p": 0.5, "epsilon_cutoff": 0.125,
      "eta_cutoff": 0.375, "repetition_penalty": 1.5, "length_penalty": -2,
      "no_repeat_ngram_size": 4, "bad_words_ids": [[5], [6, 7]], "renormalize_logits": true,
      "forced_bos_token_id": 8, "forced_eos_token_id": [9, 10], "suppress_tokens": [11],
      "exponential_decay_length_penalty": [15, 1.25], "begin_suppress_tokens": [12, 13],
      "sequence_bias": [[[14, 15], -1.5]], "num_return_sequences": 2, "eos_token_id": [16, 17]})")
                                .options;
  EXPECT_EQ(o.max_length, 40);
  EXPECT_EQ(o.min_length, 7);
  EXPECT_EQ(o.early_stopping, EarlyStopping::kNever);
  EXPECT_THAT(o.stop, ElementsAre("fim", "é"));
  EXPECT_EQ(o.num_beams, 3);
  EXPECT_EQ(o.answers, 2);
  EXPECT_EQ(o.length_penalty, -2);
  EXPECT_EQ(o.eos_token_id, (Ids{16, 17}));
  const SamplingOptions expected{.temperature = 0.7,
                                 .top_k = 31,
                                 .top_p = 0.75,
                                 .min_p = 0.25,
                                 .typical_p = 0.5,
                                 .repetition_penalty = 1.5,
                                 .no_repeat_ngram_size = 4,
                                 .bad_words = {{5}, {6, 7}},
                                 .renormalize_logits = true,
                                 .epsilon_cutoff = 0.125,
                                 .eta_cutoff = 0.375,
                                 .sequence_bias = {{{14, 15}, -1.5F}},
                                 .suppress_tokens = {11},
                                 .begin_suppress_tokens = {12, 13},
                                 .forced_bos_token_id = {8},
                                 .forced_eos_token_id = {9, 10},
                                 .exponential_decay_length_penalty = {15, 1.25}};
  EXPECT_EQ(o.sampling, expected);
}

// What `generate` does with GPT-2's own file.
TEST(GenerationConfig, WhatIsNotSaidIsAsInTransformers) {
  const std::string nothing = R"({"bos_token_id": 50256, "eos_token_id": 50256, "top_p": null,
      "_from_model_config": true, "transformers_version": "4.30"})";
  const SamplingOptions plain{
      .temperature = 1, .top_k = 50, .top_p = 1, .repetition_penalty = 1, .greedy = true};
  for (const GenerationConfig& c :
       {read(nothing), read_legacy("{}"), read("{}"), read(R"({"temperature": 1})", true)}) {
    EXPECT_EQ(c.options.sampling, plain);
    EXPECT_EQ(c.options.max_new_tokens, 200);
    EXPECT_THAT(c.notes, IsEmpty());
  }
  EXPECT_EQ(read(nothing).options.length_penalty, 1);
  EXPECT_EQ(read(nothing).options.early_stopping, EarlyStopping::kFalse);
  EXPECT_THAT(read(nothing).options.eos_token_id, ElementsAre(50256));
}

TEST(GenerationConfig, AnAiraHasItsCardsDefaultsUntilItsFileSaysHowToChoose) {
  const std::string limits = R"({"eos_token_id": 3, "max_new_tokens": 9, "stop_strings": "x"})";
  for (const GenerationConfig& c : {read(limits, true), read_legacy("{}", true)}) {
    EXPECT_EQ(c.options.sampling, SamplingOptions());
    EXPECT_EQ(c.options.length_penalty, 0.3);
  }
  EXPECT_EQ(read(limits, true).options.max_new_tokens, 9);
  const GenerateOptions sampled = read(R"({"do_sample": true})", true).options;
  EXPECT_EQ(sampled.sampling.temperature, 1);
  EXPECT_EQ(sampled.length_penalty, 0.3) << "it does not mention beams";
  EXPECT_EQ(sampled.early_stopping, EarlyStopping::kTrue);
  const GenerateOptions beams = read(R"({"num_beams": 3})", true).options;
  EXPECT_EQ(beams.sampling.repetition_penalty, 1);
  EXPECT_EQ(beams.length_penalty, 1);
}

TEST(GenerationConfig, KeysOfConfigJsonCountWithoutIt) {
  const std::string keys = R"({"do_sample": true, "top_k": 7, "bad_words_ids": [[5]],
      "max_length": 30, "task_specific_params": {"text-generation": {"max_length": 50}},
      "num_beam_groups": 1, "diversity_penalty": 0.0, "eos_token_id": 4})";
  const GenerationConfig c = read_legacy(keys);
  EXPECT_FALSE(c.options.sampling.greedy);
  EXPECT_EQ(c.options.sampling.top_k, 7);
  EXPECT_EQ(c.options.sampling.bad_words, (std::vector<Ids>{{5}}));
  EXPECT_EQ(c.options.max_length, 30);
  EXPECT_EQ(c.file, "config.json");
  EXPECT_THAT(c.options.eos_token_id, IsEmpty()) << "ModelConfig has it";
  EXPECT_THAT(c.notes, IsEmpty());
  EXPECT_THAT(read_legacy(R"({"guidance_scale": 2})").notes, ElementsAre(HasSubstr("mem/config")));
  EXPECT_THAT(error_of([] { read_legacy(R"({"max_length": "x"})"); }),
              StartsWith("mem/config.json: \"max_length\" must be"));
  const ModelFiles both =
      memory_files({{"config.json", R"({"model_type": "gpt2", "do_sample": true, "top_k": 7})"},
                    {"generation_config.json", R"({"num_beams": 2})"}});
  const GenerateOptions own = read_generation_config(both, read_model_config(both), false).options;
  EXPECT_TRUE(own.sampling.greedy);
  EXPECT_EQ(own.sampling.top_k, 50);
}

TEST(GenerationConfig, WhatPlaysNoPartIsNotValidated) {
  for (const char* text : {R"({"do_sample": false, "temperature": 0.0, "top_p": 0.0, "top_k": -1})",
                           R"({"temperature": -3, "min_p": 7})", R"({"top_k": 2.5})",
                           R"({"do_sample": true, "num_beams": 2, "top_k": -1})"}) {
    EXPECT_EQ(error_of([&] { read(text); }), "") << text;
  }
  EXPECT_EQ(read(R"({"pad_token_id": -1, "eos_token_id": -1})").options.eos_token_id, Ids{-1});
  EXPECT_TRUE(read(R"({"do_sample": true, "temperature": 0})").options.sampling.takes_best());
  EXPECT_TRUE(read(R"({"do_sample": true, "top_p": 0.0})").options.sampling.takes_best());
  EXPECT_FALSE(read(R"({"do_sample": true})").options.sampling.takes_best());
}

TEST(GenerationConfig, NotesNameWhatIsNotSupported) {
  const auto notes = [](const std::string& text) {
    const std::vector<std::string> all = read(text).notes;
    return all.empty() ? "" : all.front() + (all.size() > 1 ? " and more" : "");
  };
  EXPECT_THAT(notes(R"({"guidance_scale": 1.5, "penalty_alpha": 0.6, "temprature": 2})"),
              AllOf(StartsWith("In mem/generation_config.json"),
                    EndsWith(": \"guidance_scale\", \"penalty_alpha\", \"temprature\".")));
  EXPECT_THAT(notes(R"({"encoder_repetition_penalty": 1.5, "encoder_no_repeat_ngram_size": 2})"),
              EndsWith("\"encoder_no_repeat_ngram_size\", \"encoder_repetition_penalty\"."));
  EXPECT_THAT(notes(R"({"num_beam_groups": 2})"), HasSubstr("\"num_beam_groups\""));
  EXPECT_THAT(notes(R"({"do_sample": true, "num_beams": 2})"), HasSubstr("not sampled"));
  EXPECT_THAT(notes(R"({"seed": 3})"), HasSubstr("\"seed\"")) << "transformers knows none";
  EXPECT_EQ(notes(R"({"guidance_scale": 1.0, "penalty_alpha": 0.0, "top_h": null,
      "encoder_repetition_penalty": 1.0, "encoder_no_repeat_ngram_size": 0, "use_cache": false,
      "cache_implementation": "static", "output_scores": true, "num_assistant_tokens": 5})"),
            "");
}

class RefusedGenerationConfig
    : public ::testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(RefusedGenerationConfig, IsNamed) {
  const auto& [key, value] = GetParam();
  const std::string text =
      "{\"" + key + "\": " + value + (key == "do_sample" ? "" : R"(, "do_sample": true)") + "}";
  EXPECT_THAT(
      error_of([&] { read(text); }),
      AllOf(StartsWith("mem/generation_config.json: \"" + key + "\" must be"), EndsWith(".")));
}

const std::pair<std::string, std::string> kNonsense[] = {
    {"do_sample", "1"},
    {"temperature", "-1"},
    {"temperature", "\"abc\""},
    {"temperature", "[1]"},
    {"top_k", "-1"},
    {"top_k", "2.5"},
    {"top_k", "99999999999999999999"},
    {"top_p", "1.5"},
    {"top_p", "-0.1"},
    {"typical_p", "0"},
    {"repetition_penalty", "0"},
    {"repetition_penalty", "true"},
    {"max_new_tokens", "0"},
    {"max_length", "0"},
    {"max_new_tokens", "\"many\""},
    {"eos_token_id", "[[[1]]]"},
    {"eos_token_id", "1.5"},
    {"bad_words_ids", "[[5], []]"},
    {"bad_words_ids", "[[-5]]"},
    {"sequence_bias", "[[[5, 6]]]"},
    {"sequence_bias", "{\"5\": 1.0}"},
    {"exponential_decay_length_penalty", "[1, 2, 3]"},
    {"suppress_tokens", "\"5\""},
    {"early_stopping", "\"always\""},
    {"stop_strings", "[\"\"]"},
    {"num_beams", "0"},
};
INSTANTIATE_TEST_SUITE_P(All, RefusedGenerationConfig, ::testing::ValuesIn(kNonsense));

TEST(GenerationConfig, RefusesWhatDoesNotGoTogether) {
  EXPECT_EQ(error_of([] { read(R"({"num_beams": 2, "num_return_sequences": 3})"); }),
            "mem/generation_config.json: \"num_return_sequences\" must be at most \"num_beams\", "
            "2, not 3.");
  EXPECT_THAT(error_of([] { read("[]"); }), HasSubstr("must be a JSON object"));
}

TEST(GenerationConfigFuzz, MutationsAreReadOrThrowError) {
  const std::string valid =
      R"({"do_sample":true,"num_beams":2,"top_p":0.5,"top_k":3,"eos_token_id":[1,2],)"
      R"("bad_words_ids":[[1],[2,3]],"sequence_bias":[[[4],0.5]],"stop_strings":["x"]})";
  constexpr std::string_view kTelling = "0123456789-[]{},:\"eE.\\\xff";
  std::mt19937 random(3);
  for (int i = 0; i < 10000; ++i) {
    std::string text = valid;
    for (unsigned n = 0; n <= random() % 3; ++n) {
      text[random() % text.size()] = kTelling[random() % kTelling.size()];
    }
    const std::string error = error_of([&] { read(text); });
    if (!error.empty()) {
      ASSERT_THAT(error, AllOf(StartsWith("mem/generation_config.json"), EndsWith(".")));
    }
  }
}

}  // namespace
}  // namespace aira
