// Which names are taken for slips of which others.
#include "base/nearest.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "run/request_options.h"

namespace aira {
namespace {

TEST(Nearest, ForgivesAThirdOfTheLetters) {
  const std::vector<std::string> names = {"temperature", "top-k", "top-p", "stop", "score"};
  const std::vector<std::array<std::string, 2>> cases = {
      {"temperature", "temperature"},
      {"temperatur", "temperature"},
      {"temprature", "temperature"},
      {"tempertaure", "temperature"},  // swapped
      {"temperatrua", "temperature"},
      {"TEMPERATURE", "temperature"},
      {"temperaturas", "temperature"},
      {"tem", "temperature"},  // begun
      {"te", ""},
      {"top_k", "top-k"},
      {"topk", "top-k"},
      {"topp", "top-p"},
      {"otp-p", "top-p"},
      {"sotp", "stop"},
      {"scroe", "score"},
      {"sc", ""},
      {"", ""},
      {"água", ""},
      {"perguntas", ""},
      {std::string(100000, 'a'), ""},
      {std::string("\0\xff", 2), ""},
  };
  for (const auto& [word, expected] : cases) EXPECT_EQ(nearest(word, names), expected) << word;
  EXPECT_EQ(nearest("top", {}), "");
}

TEST(Nearest, KnowsOtherProgramsNamesOfOptions) {
  for (const auto& [word, expected] :
       std::vector<std::array<std::string, 2>>{{"temp", "temperature"},
                                               {"max_tokens", "max_new_tokens"},
                                               {"max-tokens", "max_new_tokens"},
                                               {"n-predict", "max_new_tokens"},
                                               {"n", "num_return_sequences"},
                                               {"repeat_penalty", "repetition_penalty"},
                                               {"beams", "num_beams"},
                                               {"max-new", "max_new_tokens"},
                                               {"num_beans", "num_beams"},
                                               {"topic", ""},
                                               {"author", ""},
                                               {"category", ""},
                                               {"model", ""}}) {
    EXPECT_EQ(similar_option(word), expected) << word;
  }
}

}  // namespace
}  // namespace aira
