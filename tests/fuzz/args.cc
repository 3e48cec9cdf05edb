// A command line: words between line breaks.
#include "app/command_line.h"
#include "fuzz.h"

using namespace aira;

FUZZ_TARGET(args) {
  ::setenv("AIRA_CONFIG", "off", 1);
  std::vector<std::string> words = {"aira-cli"};
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t end = std::min(input.find('\n', at), input.size());
    words.emplace_back(input.substr(at, end - at))
        .erase(std::min(words.back().find('\0'), words.back().size()));
    at = end + 1;
  }
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  pointers.push_back(nullptr);
  fuzz::accepts([&] { parse_command_line(static_cast<int>(words.size()), pointers.data()); });
}
