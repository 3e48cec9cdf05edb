// The command line without a model: which command, which options, which sentences; and each row of
// the table of request options by flag, by JSON field and as the chat's /params sets it.
#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "aira/error.h"

namespace aira {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// Parses "aira-cli WORDS"; does nothing else.
void parse(std::vector<const char*> words) {
  words.insert(words.begin(), "aira-cli");
  parse_command_line(static_cast<int>(words.size()), words.data());
}

std::string refusal(const std::vector<const char*>& words) {
  try {
    parse(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CommandLine, TakesACommandAmongModelOptions) {
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{
           {"score", "--batch", "3"},
           {"-m", "x", "score", "--batch", "3"},
           {"-q", "--device=cpu", "-t", "2", "score", "--batch=3"},
           {"score", "-m", "x", "--batch", "3", "-q"},
           {"--dtype", "int8", "bench", "-n", "3"},
           {"info", "--json"},
           {"help", "score"},
           {"version"},
           {"pergunta"},
           {"--greedy", "-m", "x", "pergunta"},
           {"--", "score"},
           {"--", "scroe"},
           {"-q", "versão"},
           {"que"},
           {"-q", "--", "--help"}}) {
    EXPECT_NO_THROW(parse(words)) << testing::PrintToString(words);
  }
}

TEST(CommandLine, RefusesInSentences) {
  const std::vector<std::pair<std::vector<const char*>, const char*>> cases = {
      {{"--foo"}, "There is no option \"--foo\"; a question that begins with - goes after --."},
      {{"--temprature=1"}, "There is no option \"--temprature=1\"; the nearest is --temperature."},
      {{"scroe"},
       "There is no command \"scroe\"; the nearest is score. To ask the word itself, write it "
       "after "
       "--."},
      {{"score", "--jsonl"}, "There is no option \"--jsonl\" here."},
      {{"tokenize", "--device", "cpu"}, "There is no option \"--device\" here."},
      {{"--device", "cpu", "tokenize"}, "There is no option \"--device\" here."},
      {{"um", "dois"}, "Several questions were given; put one question between quotes."},
      {{"bench", "word"}, "The word \"word\" means nothing here."},
      {{"--greedy", "info"},
       "The command info goes first; to ask the word itself, write it after --."},
      {{"serve", "x"}, "The word \"x\" means nothing here."},
      {{"--device", "tpu", "x"}, "--device must be auto, cpu or cuda, not \"tpu\"."},
      {{"-t", "0", "x"}, "--threads must be a whole number from 1 to 1024, not \"0\"."},
      {{"bench", "-p", "1.5"},
       "--prompt-tokens must be a whole number from 0 to 1000000, not \"1.5\"."},
      {{"-f", ""}, "--file needs the name of a file."},
      {{"--seed"}, "--seed needs a value."},
      {{"-n"}, "--num-return-sequences needs a value."},
      {{"--seed=", "1"}, "--seed needs a value."},
      {{"--raw=1"}, "--raw takes no value."},
      {{"--greedy=1"}, "--greedy takes no value."},
      {{"--top-k", "-1", "x"}, "--top-k must be a whole number of at least 0, not \"-1\"."},
      {{"--seed", "x", "--seed", "1", "y"},
       "--seed must be a whole number from 0 to 18446744073709551615, not \"x\"."},
      {{"--best-of", "2", "-n", "3", "x"},
       "--best-of 2 cannot give 3 answers; --num-return-sequences must not be larger."},
      {{""}, "The question is empty."},
      {{"-f", "file", "question"}, "Give a question or a file of questions, not both."}};
  for (const auto& [words, sentence] : cases) EXPECT_EQ(refusal(words), sentence);
}

TEST(CommandLine, EveryCommandHasHelp) {
  for (const Command& command : commands()) {
    const std::string text = help_text(command);
    EXPECT_THAT(text, HasSubstr(std::string("aira-cli ") + command.name));
    EXPECT_THAT(text, HasSubstr("-h, --help"));
    if (*command.name == '\0') continue;
    EXPECT_THAT(help_text(commands().front()), HasSubstr(command.summary));
  }
}

/// An allowed value, unlike the default, as a word and as JSON; and one that is refused.
struct Sample {
  std::string word;
  json value;
  json bad;
};

Sample sample_of(const RequestOption& row) {
  const auto is = [&](auto member) { return std::holds_alternative<decltype(member)>(row.member); };
  if (is(Member(&GenerateOptions::stop_on_loop))) return {"true", true, 1};
  if (is(Member(&GenerateOptions::early_stopping))) return {"never", "never", "maybe"};
  if (is(Member(&GenerateOptions::stop))) return {"5", json::array({"5"}), json::array({""})};
  if (is(Member(&SamplingOptions::logit_bias))) {
    return {"65=-1.5", {{"65", -1.5}}, {{"x", 1}}};
  }
  if (is(Member(&SamplingOptions::sequence_bias))) {
    return {"5,9=-1.5", json::parse("[[[5, 9], -1.5]]"), json::parse("[[[], 1]]")};
  }
  if (is(Member(&SamplingOptions::bad_words))) {
    return {"5,9", json::parse("[[5, 9]]"), json::parse("[[-1]]")};
  }
  if (is(Member(&SamplingOptions::suppress_tokens))) return {"5,9", {5, 9}, "5"};
  if (is(Member(&SamplingOptions::exponential_decay_length_penalty))) {
    return {"15,1.75", json::parse("[15, 1.75]"), {15}};
  }
  if (is(Member(&SamplingOptions::top_p))) return {"0.75", 0.75, "0.75"};
  return {"3", 3, -1};
}

class EveryRequestOption : public testing::TestWithParam<RequestOption> {};

TEST_P(EveryRequestOption, IsAFlagAFieldAndAParameter) {
  const RequestOption& row = GetParam();
  const Sample sample = sample_of(row);
  GenerateOptions before;
  before.sampling.greedy = row.opposite;
  if (row.group == std::string(kBeamGroup) && row.name != std::string("num_beams")) {
    before.num_beams = 2;
  }
  ASSERT_NE(row.value(before), sample.value);

  CLI::App app;
  app.option_defaults()->take_last()->disable_flag_override();
  RequestChanges by_flag;
  add_request_options(app, by_flag);
  const std::string flag = row.flag();
  std::vector<const char*> words = {"aira-cli", flag.c_str()};
  if (*row.placeholder != '\0') words.push_back(sample.word.c_str());
  parse_words(app, words);

  RequestChanges by_field;
  by_field.set_field(request_option(row.name), sample.value);
  RequestChanges by_parameter;
  by_parameter.set_words(request_option(row.name), std::array<std::string, 1>{sample.word});
  for (const RequestChanges* changes : {&by_flag, &by_field, &by_parameter}) {
    EXPECT_EQ(row.value(changes->over(before)), sample.value);
  }
}

TEST_P(EveryRequestOption, RefusesInTheWordsOfItsSurface) {
  const RequestOption& row = GetParam();
  RequestChanges changes;
  try {
    changes.set_field(row, sample_of(row).bad);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith(row.flag() + " must be " + row.range.words));
    EXPECT_THAT(error.with_fields(),
                testing::StartsWith("\"" + std::string(row.name) + "\" must be "));
  }
}

TEST_P(EveryRequestOption, IsDocumented) {
  const RequestOption& row = GetParam();
  EXPECT_THAT(help_text(commands().front()), HasSubstr(row.flag()));
  const std::regex line_breaks("\n +");
  EXPECT_THAT(std::regex_replace(help_text(commands().front()), line_breaks, " "),
              HasSubstr(row.help));
}

INSTANTIATE_TEST_SUITE_P(Table, EveryRequestOption,
                         testing::ValuesIn(request_options().begin(), request_options().end()),
                         [](const auto& about) { return std::string(about.param.name); });

TEST(RequestOptions, PairsThatCannotBeHonouredAreRefused) {
  std::set<std::set<std::string>> expected = {
      {"greedy", "do_sample"},          {"greedy", "best_of"},
      {"num_beams", "do_sample"},       {"num_beams", "best_of"},
      {"num_beams", "logprobs"},        {"num_beams", "stop_on_loop"},
      {"max_new_tokens", "max_length"}, {"min_new_tokens", "min_length"}};
  for (const char* draw :
       {"temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"}) {
    expected.insert({"greedy", draw});
    expected.insert({"num_beams", draw});
  }
  std::set<std::set<std::string>> refused;
  for (const RequestOption& one : request_options()) {
    for (const RequestOption& other : request_options()) {
      if (&one >= &other) continue;
      std::vector<std::string> text = {"--jsonl"};
      for (const RequestOption* row : {&one, &other}) {
        text.push_back(row->flag());
        if (*row->placeholder != '\0') text.push_back(sample_of(*row).word);
      }
      std::vector<const char*> words;
      for (const std::string& word : text) words.push_back(word.c_str());
      const std::string sentence = refusal(words);
      if (sentence == "accepted") continue;
      refused.insert({one.name, other.name});
      EXPECT_THAT(sentence, testing::AllOf(HasSubstr(one.flag()), HasSubstr(other.flag())));
    }
  }
  EXPECT_EQ(refused, expected);
}

TEST(RequestOptions, DefaultsYield) {
  const auto over = [](const json& wishes, const GenerateOptions& options) {
    RequestChanges changes;
    for (const auto& [name, value] : wishes.items()) {
      changes.set_field(request_option(name), value);
    }
    return changes.over(options);
  };
  GenerateOptions beams;
  beams.num_beams = 4;
  beams.sampling.greedy = true;
  for (const json& draw : {json{{"temperature", 0.5}}, json{{"top_k", 5}}, json{{"best_of", 2}},
                           json{{"do_sample", true}}}) {
    const GenerateOptions options = over(draw, beams);
    EXPECT_EQ(options.num_beams, 1) << draw;
    EXPECT_FALSE(options.sampling.greedy) << draw;
  }
  EXPECT_EQ(over({{"logprobs", 2}}, beams).num_beams, 1);
  EXPECT_EQ(over({{"stop_on_loop", true}}, beams).num_beams, 1);
  EXPECT_EQ(over({{"greedy", true}, {"seed", 7}}, beams).num_beams, 4);
  EXPECT_EQ(over({{"length_penalty", 2}}, beams).length_penalty, 2);
  EXPECT_EQ(over({{"num_return_sequences", 6}}, beams).num_beams, 6);
  EXPECT_EQ(over({{"min_new_tokens", 333}}, {}).max_new_tokens, 333);
  GenerateOptions several;
  several.answers = several.best_of = 5;
  several.stop_on_loop = true;
  EXPECT_EQ(over({{"num_beams", 3}}, several).answers, 3);
  EXPECT_EQ(over({{"num_beams", 3}}, several).best_of, 1);
  EXPECT_EQ(over({{"best_of", 2}}, several).answers, 2);
}

TEST(RequestOptions, AUsersDefaultsYieldToo) {
  RequestChanges config;
  config.set_field(request_option("temperature"), json(0));
  config.set_field(request_option("num_beams"), json(3));
  config.set_field(request_option("length_penalty"), json(2));
  EXPECT_EQ(config.over({}).num_beams, 3);
  RequestChanges changes;
  changes.set_field(request_option("best_of"), json(2));
  const GenerateOptions options = changes.over(config.over({}));
  EXPECT_EQ(options.num_beams, 1);
  EXPECT_EQ(options.best_of, 2);
  EXPECT_EQ(options.sampling.temperature, 1);
}

TEST(RequestOptions, ThePageIsUpToDate) {
  std::ifstream file(AIRA_SOURCE_DIR "/tools/docs/options.md");
  std::ostringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), options_page()) << "aira-cli help options > tools/docs/options.md";
}

TEST(RequestOptions, ListsTakeAllWordsAndTheLastBiasCounts) {
  RequestChanges changes;
  changes.set_words(request_option("stop"), std::array<std::string, 2>{"a", "b"});
  changes.set_words(request_option("logit_bias"), std::array<std::string, 3>{"7=1", "8=2", "7=3"});
  const GenerateOptions options = changes.over({});
  EXPECT_THAT(options.stop, testing::ElementsAre("a", "b"));
  EXPECT_THAT(options.sampling.logit_bias,
              testing::ElementsAre(testing::Pair(8, 2.0F), testing::Pair(7, 3.0F)));
}

TEST(RequestOptions, TheLastBiasOfASequenceCountsAndListsOfIdsGrow) {
  RequestChanges changes;
  changes.set_words(request_option("sequence_bias"),
                    std::array<std::string, 3>{"7,1=1", "7=2", "7,1=3"});
  changes.set_words(request_option("suppress_tokens"), std::array<std::string, 2>{"7", "8,9"});
  changes.set_words(request_option("bad_words_ids"), std::array<std::string, 2>{"7", "8,9"});
  const SamplingOptions options = changes.over({}).sampling;
  using Ids = std::vector<std::int32_t>;
  EXPECT_THAT(options.sequence_bias,
              testing::ElementsAre(testing::Pair(Ids{7}, 2.0F), testing::Pair(Ids{7, 1}, 3.0F)));
  EXPECT_THAT(options.suppress_tokens, testing::ElementsAre(7, 8, 9));
  EXPECT_THAT(options.bad_words, testing::ElementsAre(Ids{7}, Ids{8, 9}));
  for (const char* word : {"5,", ",5", "5;6", "x", ""}) {
    for (const char* name :
         {"eos_token_id", "bad_words_ids", "sequence_bias", "exponential_decay_length_penalty"}) {
      EXPECT_THROW(changes.set_words(request_option(name), std::array<std::string, 1>{word}),
                   UsageError)
          << name << " " << word;
    }
  }
}

TEST(RequestOptions, StopStringsIsStop) {
  EXPECT_EQ(&request_option("stop_strings"), &request_option("stop"));
  EXPECT_EQ(find_request_option("n"), nullptr) << "-n is a flag, not a field";
}

// Of what was asked for last, and of both at once the number of new tokens, as in transformers.
TEST(RequestOptions, TheLimitAskedForIsTheOneThatCounts) {
  const auto over = [](const json& wishes, GenerateOptions options) {
    RequestChanges changes;
    for (const auto& [name, value] : wishes.items()) {
      changes.set_field(request_option(name), value);
    }
    return changes.over(std::move(options));
  };
  const GenerateOptions with_prompt = over({{"max_length", 30}, {"min_length", 20}}, {});
  EXPECT_EQ(with_prompt.max_length, 30);
  EXPECT_EQ(with_prompt.min_length, 20);
  const GenerateOptions without = over({{"max_new_tokens", 5}, {"min_new_tokens", 4}}, with_prompt);
  EXPECT_EQ(without.max_length, 0);
  EXPECT_EQ(without.max_new_tokens, 5);
  EXPECT_EQ(without.min_length, 0);
  EXPECT_EQ(over({{"min_length", 9}}, without).sampling.min_new_tokens, 0);
  RequestChanges both;
  both.set_field(request_option("max_length"), json(30));
  both.set_field(request_option("max_new_tokens"), json(5));
  EXPECT_EQ(both.laid_over({}).max_length, 0);
  EXPECT_THROW(both.over({}), UsageError);
  both.begin(Source::kLine);
  both.set_field(request_option("max_length"), json(20));
  EXPECT_EQ(both.over({}).max_length, 20);
}

TEST(RequestOptions, AskingForADrawTurnsGreedyOff) {
  GenerateOptions greedy;
  greedy.sampling.greedy = true;
  RequestChanges changes;
  changes.set_field(request_option("seed"), json(5));
  EXPECT_TRUE(changes.over(greedy).sampling.greedy);
  changes.set_field(request_option("top_k"), json(5));
  EXPECT_FALSE(changes.over(greedy).sampling.greedy);
  RequestChanges samples;
  samples.set_field(request_option("greedy"), json(true));
  EXPECT_TRUE(samples.over({}).sampling.greedy);
  samples.begin(Source::kLine);
  samples.set_field(request_option("do_sample"), json(true));
  EXPECT_FALSE(samples.over(greedy).sampling.greedy);
}

template <typename Change>
void expect_refused(const char* start, const Change& change) {
  GenerateOptions options;
  change(options);
  EXPECT_THAT([&] { options.validate(); },
              testing::ThrowsMessage<UsageError>(testing::StartsWith(start)));
}

TEST(RequestOptions, AreValidatedHoweverTheyWereSet) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW(GenerateOptions{}.validate());
  for (const double bad : {0.0, -1.0, nan, infinity}) {
    expect_refused("--repetition-penalty must be ",
                   [&](auto& options) { options.sampling.repetition_penalty = bad; });
  }
  // It is applied in single precision, where these are 0 and infinity.
  for (const double bad : {1e-50, 1e50}) {
    expect_refused("--repetition-penalty must be ",
                   [&](auto& options) { options.sampling.repetition_penalty = bad; });
  }
  for (const double bad : {-1.0, nan, infinity}) {
    expect_refused("--temperature must be a number of at least 0",
                   [&](auto& options) { options.sampling.temperature = bad; });
  }
  for (const double bad : {0.0, -0.1, 1.01, nan}) {
    expect_refused("--typical-p must be ",
                   [&](auto& options) { options.sampling.typical_p = bad; });
  }
  for (const double bad : {-0.1, 1.01, nan}) {
    expect_refused("--top-p must be ", [&](auto& options) { options.sampling.top_p = bad; });
    expect_refused("--epsilon-cutoff must", [&](auto& o) { o.sampling.epsilon_cutoff = bad; });
    expect_refused("--eta-cutoff must be ", [&](auto& o) { o.sampling.eta_cutoff = bad; });
    expect_refused("--min-p must be ", [&](auto& options) { options.sampling.min_p = bad; });
  }
  for (const double bad : {nan, infinity}) {
    expect_refused("--length-penalty must be a finite number",
                   [&](auto& options) { options.length_penalty = bad; });
  }
  expect_refused("--max-new-tokens must be a whole number of at least 1, not 0.",
                 [](auto& options) { options.max_new_tokens = 0; });
  expect_refused("--stop must be ", [](auto& options) { options.stop = {"a", ""}; });
  expect_refused("--logit-bias must be ", [&](auto& options) {
    options.sampling.logit_bias = {{-1, 2.0F}};
  });
  expect_refused("--logit-bias must be ", [](auto& options) {
    options.sampling.logit_bias = {{1, HUGE_VALF}};
  });
  expect_refused("--bad-words-ids must be lists", [](auto& options) {
    options.sampling.bad_words = {{1}, {}};
  });
  expect_refused("--bad-words-ids must be lists", [](auto& options) {
    options.sampling.bad_words = {{1, -1}};
  });
  expect_refused("--num-return-sequences must be at most --num-beams, 3, not 4.",
                 [](auto& options) { options.num_beams = 3, options.answers = 4; });
  expect_refused("--best-of does not go with --num-beams.",
                 [](auto& options) { options.num_beams = options.best_of = 2; });
}

}  // namespace
}  // namespace aira
