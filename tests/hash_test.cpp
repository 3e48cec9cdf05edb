// Hashes against those of sha256sum and git hash-object.
#include "base/hash.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "aira/error.h"

namespace aira {
namespace {

constexpr const char* kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string hash_of(HashKind kind, const std::string& bytes, std::size_t piece) {
  Hash hash(kind, bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += piece) hash.add(bytes.substr(at, piece));
  return hash.hex();
}

TEST(Hash, EqualsThoseOfOtherPrograms) {
  EXPECT_EQ(hash_of(HashKind::kSha256, "", 1), kEmptySha256);
  EXPECT_EQ(hash_of(HashKind::kGitBlob, "", 1), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  for (const std::size_t piece : {1, 7, 64, 1000}) {
    EXPECT_EQ(hash_of(HashKind::kSha256, "ol\u00e1, mundo\n", piece),
              "3a5e898f93c92f1cf8ea0714fb326a4d736cc00f13372d1267ecc4ae680514b8");
    EXPECT_EQ(hash_of(HashKind::kGitBlob, "ol\u00e1, mundo\n", piece),
              "2b3f4de1a27c4e2c35faf1c35187c82504d115d4");
  }
}

TEST(Hash, KindsAreToldByTheirDigits) {
  EXPECT_EQ(hash_kind(kEmptySha256), HashKind::kSha256);
  EXPECT_EQ(hash_kind("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), HashKind::kGitBlob);
  EXPECT_EQ(hash_kind("E69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), std::nullopt);
  EXPECT_EQ(hash_kind("e69de29bb2d1d6434b8b29ae775ad8c2e48c539"), std::nullopt);
  EXPECT_EQ(hash_kind(""), std::nullopt);
}

TEST(Hash, OfAFile) {
  const std::string path = testing::TempDir() + "hash\u00e3o";
  const std::string bytes((std::size_t{3} << 20) + 17, 'x');
  std::ofstream(path) << bytes;
  std::uint64_t told = 0;
  const auto progress = [&](std::uint64_t some) { told += some; };
  for (const HashKind kind : {HashKind::kSha256, HashKind::kGitBlob}) {
    EXPECT_EQ(hash_of_file(path, kind, progress), hash_of(kind, bytes, 1000));
  }
  EXPECT_EQ(told, 2 * bytes.size());
  std::remove(path.c_str());
  EXPECT_THROW(hash_of_file(path, HashKind::kSha256), Error);
  EXPECT_THROW(hash_of_file(testing::TempDir(), HashKind::kSha256), Error);  // a folder
}

}  // namespace
}  // namespace aira
