// Whose packed weights are taken, and who can reach them.
#include "model/packed_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "packed_fixtures.h"

namespace aira {
namespace {

class OwnPacked : public Packed {};

mode_t mode_of(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 07777U;
}

TEST_F(OwnPacked, NobodyElseCanReadOrWriteThem) {
  const mode_t mask = ::umask(0);
  EXPECT_EQ(write(), "");
  ::umask(mask);
  EXPECT_EQ(mode_of(folder_.path("cache")), 0700U);
  EXPECT_EQ(mode_of(path_), 0600U);
}

TEST_F(OwnPacked, NothingIsTakenThatOthersCanWrite) {
  const std::string place = folder_.path("cache");
  ASSERT_EQ(write(), "");
  for (const mode_t mode : {0620U, 0602U}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    EXPECT_FALSE(hits());
  }
  EXPECT_EQ(write(), "");
  EXPECT_TRUE(hits());  // a new file in its place
  for (const mode_t mode : {0720U, 0702U, 01777U}) {
    ASSERT_EQ(::chmod(place.c_str(), mode), 0);
    EXPECT_FALSE(hits());
    EXPECT_EQ(write(), "others can write to that folder; chmod go-w " + place + " ends that");
    EXPECT_EQ(mode_of(place), mode);
  }
  ASSERT_EQ(::chmod(place.c_str(), 0755), 0);
  EXPECT_TRUE(hits());
}

TEST_F(OwnPacked, NothingIsTakenThatBelongsToOthers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(write(), "");
  ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_FALSE(hits());
  EXPECT_EQ(write(), "");
  EXPECT_TRUE(hits());
  ASSERT_EQ(::chown(folder_.path("cache").c_str(), 65534, 65534), 0);
  EXPECT_FALSE(hits());
  EXPECT_EQ(write(), "that folder belongs to another user");
}

TEST_F(OwnPacked, AFolderOfOursIsClosedToOthers) {
  const char* const before = std::getenv("XDG_CACHE_HOME");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
  ::unsetenv("AIRA_CACHE");
  const std::string place = cache_folder();
  EXPECT_EQ(place, folder_.path("aira"));
  std::filesystem::create_directory(place);
  ASSERT_EQ(::chmod(place.c_str(), 0775), 0);
  EXPECT_EQ(PackedFolder(place + "/", PackedFolder::Missing::kIsMade).problem(), "");
  EXPECT_EQ(mode_of(place), 0700U);
  before == nullptr ? ::unsetenv("XDG_CACHE_HOME") : ::setenv("XDG_CACHE_HOME", saved.c_str(), 1);
}

TEST_F(OwnPacked, AnUnfinishedFileOfOthersIsNotContinued) {
  std::filesystem::create_directory(folder_.path("cache"));
  const std::string unfinished = path_ + ".unfinished";
  folder_.write("victim", "untouched");
  std::filesystem::create_symlink(folder_.path("victim"), unfinished);
  EXPECT_EQ(write(), "another process is writing it");
  EXPECT_EQ(read(folder_.path("victim")), "untouched");
  std::filesystem::remove(unfinished);
  std::ofstream(unfinished) << "x";
  ASSERT_EQ(::chmod(unfinished.c_str(), 0666), 0);
  const int fd = ::open(unfinished.c_str(), O_WRONLY);  // whoever made it may still write there
  EXPECT_EQ(write(), "");
  EXPECT_EQ(::pwrite(fd, "forged", 6, 0), 6);
  ::close(fd);
  EXPECT_EQ(mode_of(path_), 0600U);
  EXPECT_TRUE(hits());
}

}  // namespace
}  // namespace aira
