// The files inside a zip archive that lies in memory. torch.save stores them uncompressed, so that
// they are used where they are; a library would copy them out first, and unpack what must not be
// packed. Everything in the archive is untrusted.
#pragma once

#include <map>
#include <string>

#include "aira/model_files.h"

namespace aira {

/// The archive's files by name, each a view of `file`'s bytes. Throws Error: no archive, cut off,
/// compressed or encrypted, a name twice.
std::map<std::string, std::string_view> read_zip(const File& file);

}  // namespace aira
