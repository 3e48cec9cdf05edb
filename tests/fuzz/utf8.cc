// Bytes in pieces: streamed letters are those of the whole, answers end at stop texts.
#include "base/utf8.h"

#include "base/printable.h"
#include "fuzz.h"
#include "run/answer_text.h"

using namespace aira;

FUZZ_TARGET(utf8) {
  fuzz::Choices choices(input);
  std::vector<std::string> stops;
  for (auto count = choices.number(0, 3); count > 0; --count) {
    if (std::string stop = valid_utf8(choices.text(5)); !stop.empty())
      stops.push_back(std::move(stop));
  }
  const bool keep_space = choices.flag();
  std::string all;
  std::string streamed;
  std::string answered;
  Utf8Stream stream;
  AnswerText answer(stops, keep_space);
  while (!choices.used_up()) {
    const std::string piece = choices.text(9);
    all += piece;
    streamed += stream.push(piece);
    if (!answer.stopped()) answered += answer.push(piece);
  }
  streamed += stream.finish();
  answered += answer.finish();
  FUZZ_CHECK(streamed == valid_utf8(all) && valid_utf8(streamed) == streamed);
  FUZZ_CHECK(answered == answer.text() && valid_utf8(answered) == answered);
  FUZZ_CHECK(answer.stopped() ||
             answered == (keep_space ? streamed : without_white_space(streamed)));
  FUZZ_CHECK(streamed.find(answered) != std::string::npos);
  for (const char c : printable(all))
    FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}
