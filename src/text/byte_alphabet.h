// GPT-2 writes each of the 256 bytes as one printable letter: printable Latin-1 bytes as
// themselves, the other 68 as U+0100, U+0101, ... in order. Vocabulary files are in that alphabet.
#pragma once

#include <string>
#include <string_view>

namespace aira {

/// The letter, in UTF-8, that stands for `byte`.
std::string_view letter_of_byte(unsigned char byte);

/// Appends to `out` the bytes that `token` stands for; a token with any letter outside the alphabet
/// stands for itself, as in `tokenizers`' ByteLevel decoder.
void append_token_bytes(std::string_view token, std::string& out);

}  // namespace aira
