// Room for files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace aira {

/// Bytes that whoever runs this may still write into `folder`, or would in the nearest one that is
/// there; nothing when that cannot be written to.
std::optional<std::int64_t> free_space(std::filesystem::path folder);

}  // namespace aira
