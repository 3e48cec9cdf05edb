// What holds for every tokenizer that loads.
#pragma once

#include "aira/tokenizer.h"
#include "fuzz.h"
#include "model_fixtures.h"

namespace aira::fuzz {

inline void check_tokenizer(const std::map<std::string, std::string>& files,
                            const std::string& typed) {
  accepts([&] {
    const Tokenizer tokenizer = Tokenizer::load(memory_files(files));
    const std::vector<std::string> texts = {typed, "Ol\xC3\xA1,  a 's 12\xE2\x80\xA8 <|endoftext|>",
                                            std::string(70, 'a')};
    for (const std::string& text : texts) {
      for (const auto added : {Tokenizer::Added::kRecognise, Tokenizer::Added::kPlainText}) {
        const std::vector<std::int32_t> ids = tokenizer.encode(text, added);
        for (const std::int32_t id : ids) FUZZ_CHECK(id >= 0 && id < tokenizer.size());
        tokenizer.decode(ids, true);
        tokenizer.encode_with_template(text, added);
      }
    }
    for (std::int64_t id = -1; id <= std::min<std::int64_t>(tokenizer.size(), 300); ++id) {
      tokenizer.bytes(static_cast<std::int32_t>(id));
      tokenizer.is_special(static_cast<std::int32_t>(id));
    }
  });
}

}  // namespace aira::fuzz
