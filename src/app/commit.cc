#include "app/commit.h"

#include "app/commit.inc"  // AIRA_COMMIT, written by commit.cmake

namespace aira {

const char* commit() { return AIRA_COMMIT; }

}  // namespace aira
