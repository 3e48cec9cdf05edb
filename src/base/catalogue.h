// The language of message(): a table of messages that msgfmt made.
#pragma once

namespace aira {

/// Takes translations from `messages`, the content of a .mo file in this machine's byte order,
/// which is trusted and must stay where it is; null: English. False when it holds none. Not to be
/// called beside message().
bool use_catalogue(const char* messages);
/// What it was given, for the CUDA module, which has an error.cc of its own.
const char* catalogue_in_use();

}  // namespace aira
