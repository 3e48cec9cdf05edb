// Memory in 2 MB pages: weights are read from end to end for each token, and with 4 kB pages
// address translation takes a fifth to a half of the speed of that.
#pragma once

#include <cstddef>
#include <memory>

namespace aira {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// At least `bytes` of zeroed memory on a 2 MB boundary that asks for 2 MB pages (a wish: small
/// ones work too). Null when there is not enough.
std::shared_ptr<std::byte> allocate_huge_pages(std::size_t bytes);

/// The first `bytes` (> 0) of the open regular file `fd`: mapped, where the system keeps the file
/// in 2 MB pages (Linux 6.16 on ext4, earlier on XFS) or it is too small to matter; else read once
/// into memory that has them, which pays after some eight passes over it. Null when neither works.
std::shared_ptr<const std::byte> map_in_huge_pages(int fd, std::size_t bytes);

/// The same, read in any case.
std::shared_ptr<const std::byte> read_in_huge_pages(int fd, std::size_t bytes);

}  // namespace aira
