// The sentence for an option's value that is out of its legal range.
#pragma once

#include <sstream>

#include "aira/error.h"

namespace aira {

template <typename Value>
[[noreturn]] void out_of_range(const char* name, const Value& value, const char* range) {
  std::ostringstream sentence;
  sentence << option(name) << " must be " << range << ", not " << value << ".";
  throw UsageError(sentence.str());
}

}  // namespace aira
