// A chat template, rendered for a short dialogue.
#include "fuzz.h"
#include "text/jinja.h"

using namespace aira;
using namespace aira::jinja;

FUZZ_TARGET(chat_template) {
  const auto parts = fuzz::parts_of(input, 2);
  fuzz::accepts([&] {
    const Statement program = parse(parts[0]);
    const auto message = [](const char32_t* role, std::string_view content) {
      return new_dict({{U"role", {Text(role)}}, {U"content", {text_of(content, true)}}});
    };
    const List messages = {message(U"system", "S"), message(U"user", parts[1]),
                           message(U"assistant", "Oi!"), message(U"user", "B\xC3\xA3o?")};
    const Text text = render(program, {{U"messages", new_list(messages)},
                                       {U"bos_token", {Text(U"<s>")}},
                                       {U"eos_token", {Text(U"</s>")}},
                                       {U"add_generation_prompt", {true}}});
    utf8_of(text);
  });
}
