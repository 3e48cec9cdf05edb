// Files that the reference reader of safetensors accepts or refuses (tools/goldens, which made them
// by many small changes): this one does the same, but for what is listed here with its reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "model/checkpoint.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using nlohmann::json;

/// What is refused that the reference takes.
struct Stricter {
  std::string_view sentence;  // of the Error, or part of it
  const char* reason;
};
constexpr Stricter kStricter[] = {
    {"twice", "the format forbids a name given twice: readers differ in which one counts"},
    {"header is not a JSON object",
     "the format lets a header begin with { alone, not with a blank"},
    {"must be a JSON object, but is a list",
     "the format has an object there, not a list of its values"},
    {"\"dtype\" must be a type that the format knows, but is an object", "nor {\"F32\":null}"},
    {"nested deeper than", "nothing in the format is; parse_json has one limit for all files"},
    {"\"shape\" must be a list of whole numbers, but is 18446744073709551615",
     "a dimension beyond 2^63, which only an empty tensor can have"},
    {"\"shape\" must be a list of whole numbers, but is 9223372036854775808", "the same"},
};

/// Bytes out of characters of Latin-1.
std::string bytes_of(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const unsigned low = lead < 0x80 ? 0 : static_cast<unsigned char>(text[++i]) & 0x3FU;
    bytes += static_cast<char>(lead < 0x80 ? lead : (lead & 3U) << 6U | low);
  }
  return bytes;
}

/// The file of a row (tools/goldens/safetensors_headers.py).
std::string file_of(const json& row, const json& bases) {
  std::string header = bytes_of(bases[row[0].get<std::size_t>()]);
  for (const json& edit : row[1]) header.replace(edit[0], edit[1], bytes_of(edit[2]));
  std::uint64_t length = header.size() + row[2].get<std::uint64_t>();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + std::string(row[3].get<std::size_t>(), '\0');
}

/// The sentence with which the file is refused; empty when it is taken.
std::string refusal(const std::string& content) {
  const auto all = [](const std::string&) { return true; };
  return error_of([&] { read_safetensors(memory_file("f", content), all); });
}

TEST(SafetensorsGolden, TakesAndRefusesWhatTheReferenceDoes) {
  const json golden = json::parse(std::ifstream(AIRA_TEST_DATA "/safetensors.json"));
  std::map<std::string_view, int> differences;
  for (const json& row : golden["accepted"]) {
    const std::string sentence = refusal(file_of(row, golden["bases"]));
    if (sentence.empty()) continue;
    const auto* const known =
        std::find_if(std::begin(kStricter), std::end(kStricter), [&](const Stricter& stricter) {
          return sentence.find(stricter.sentence) != std::string::npos;
        });
    if (known == std::end(kStricter)) {
      ADD_FAILURE() << sentence << "\n" << row;
    } else {
      ++differences[known->sentence];
    }
  }
  for (const json& row : golden["refused"]) {
    EXPECT_NE(refusal(file_of(row, golden["bases"])), "") << row;
  }
  EXPECT_GT(golden["accepted"].size(), 300U);
  EXPECT_GT(golden["refused"].size(), 3000U);
  for (const Stricter& one : kStricter) {
    EXPECT_GT(differences[one.sentence], 0) << "no more a difference: " << one.reason;
  }
}

}  // namespace
}  // namespace aira
