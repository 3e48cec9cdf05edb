#include "run/json_options.h"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {

using nlohmann::json;

namespace {

constexpr std::array<std::array<std::string_view, 2>, 4> kOtherNames = {{
    {"stop_strings", "stop"},
    {"n", "num_return_sequences"},
    {"max_tokens", "max_new_tokens"},
    {"max_completion_tokens", "max_new_tokens"},
}};

std::string_view own_name(std::string_view key) {
  for (const auto& [other, ours] : kOtherNames) {
    if (key == other) return ours;
  }
  return key;
}

}  // namespace

std::vector<std::string_view> other_option_fields() {
  std::vector<std::string_view> names;
  for (const auto& [other, ours] : kOtherNames) names.push_back(other);
  return names;
}

const RequestOption* option_of(std::string_view key) { return find_request_option(own_name(key)); }

GenerateOptions options_of(RequestChanges request, const GenerateOptions& defaults,
                           const json& object) {
  request.begin(Source::kLine);
  std::map<const RequestOption*, std::string> given;
  for (const auto& [key, value] : object.items()) {
    const std::string_view name = own_name(key);
    const RequestOption* row = find_request_option(name);
    if (row == nullptr) continue;
    const auto [earlier, is_new] = given.emplace(row, key);
    if (!is_new) {
      throw Error("[E122] The fields {} and {} are the same option; give one of them.",
                  {quote(earlier->second), quote(key)});
    }
    if (name == key) {
      request.set_field(*row, value);
    } else if (!request.try_field(*row, value)) {
      throw Error("[E123] {} must be {}, not {}.",
                  {quote(key), row->range.words, printable(value.dump(), 120)});
    }
  }
  return request.over(defaults);
}

}  // namespace aira
