// vocab.json and merges.txt with their companions, and a text to encode.
#include "tokenizer_check.h"

FUZZ_TARGET(vocab_merges) {
  const auto parts = aira::fuzz::parts_of(input, 6);
  std::map<std::string, std::string> files = {{"vocab.json", parts[0]}, {"merges.txt", parts[1]}};
  const std::vector<const char*> others = {"added_tokens.json", "special_tokens_map.json",
                                           "tokenizer_config.json"};
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (!parts[2 + i].empty()) files[others[i]] = parts[2 + i];
  }
  aira::fuzz::check_tokenizer(files, parts[5]);
}
