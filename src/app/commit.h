// The commit that the program was built from, in a file of its own: a new commit compiles no other.
#pragma once

namespace aira {

/// The first digits, "+" after them when files had been changed; empty outside a git checkout.
const char* commit();

}  // namespace aira
