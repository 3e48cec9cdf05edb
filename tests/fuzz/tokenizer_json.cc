// tokenizer.json with its companions, and a text to encode.
#include "tokenizer_check.h"

FUZZ_TARGET(tokenizer_json) {
  const auto parts = aira::fuzz::parts_of(input, 4);
  std::map<std::string, std::string> files = {{"tokenizer.json", parts[0]}};
  if (!parts[1].empty()) files["tokenizer_config.json"] = parts[1];
  if (!parts[2].empty()) files["special_tokens_map.json"] = parts[2];
  aira::fuzz::check_tokenizer(files, parts[3]);
}
