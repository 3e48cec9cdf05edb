// Mapped files, the lookup of a model's files by name, and untrusted text in messages.
#include "aira/model_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/mapped_file.h"
#include "base/printable.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(MappedFile, HoldsTheBytes) {
  const TemporaryFolder folder;
  folder.write("f", std::string("a\0b", 3));
  const auto file = map_file(folder.path("f"));
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->path, folder.path("f"));
  EXPECT_EQ(file->text(), std::string_view("a\0b", 3));
}

TEST(MappedFile, MissingIsNothing) {
  const TemporaryFolder folder;
  EXPECT_FALSE(map_file(folder.path("nothing")).has_value());
}

TEST(MappedFile, RefusesWhatIsNotARegularFile) {
  const TemporaryFolder folder;
  folder.write("empty", "");
  ASSERT_EQ(::mkfifo(folder.path("pipe").c_str(), 0600), 0);
  std::filesystem::create_directory(folder.path("sub"));
  std::filesystem::create_symlink("gone", folder.path("link"));
  std::filesystem::create_symlink("loop", folder.path("loop"));
  const std::pair<const char*, const char*> cases[] = {
      {"empty", "is empty"},        {"pipe", "is not a regular file"},
      {"sub", "is a folder"},       {"link", "is a link to a file that is not there"},
      {"loop", "cannot be opened"},
  };
  for (const auto& [name, cause] : cases) {
    EXPECT_THAT(error_of([&] { map_file(folder.path(name)); }),
                AllOf(HasSubstr(folder.path(name)), HasSubstr(cause), EndsWith(".")));
  }
}

TEST(ModelFiles, FindsFilesOfAFolder) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  const ModelFiles files = ModelFiles::from_folder(folder.path());
  EXPECT_EQ(files.require("config.json").text(), "{}");
  EXPECT_EQ(files.place(), folder.path());
  EXPECT_FALSE(files.find("other").has_value());
  EXPECT_THAT(error_of([&] { files.require("other"); }),
              AllOf(HasSubstr(folder.path()), HasSubstr("has no file \"other\"")));
}

TEST(ModelFiles, AFileOutlivesItsFinder) {
  const TemporaryFolder folder;
  folder.write("f", "bytes");
  const File file = ModelFiles::from_folder(folder.path()).require("f");
  EXPECT_EQ(file.text(), "bytes");
}

TEST(ModelFiles, OpenAFileOnce) {
  const TemporaryFolder folder;
  folder.write("f", "bytes");
  const ModelFiles files = ModelFiles::from_folder(folder.path());
  const File file = files.require("f");
  const ModelFiles copy = files;
  EXPECT_EQ(copy.require("f").data, file.data);
}

TEST(ModelFiles, RefusesNamesThatLeaveTheFolder) {
  const TemporaryFolder folder;
  const ModelFiles files = ModelFiles::from_folder(folder.path());
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../x"),
        std::string("/etc/passwd"), std::string("a/b"), std::string("a\\b"),
        std::string("a\0b", 3)}) {
    EXPECT_THAT(error_of([&] { files.find(name); }), HasSubstr("not the plain name of a file"));
  }
}

TEST(ModelFiles, TheFingerprintChangesWithTheFilesThatAreMeant) {
  const TemporaryFolder folder;
  const auto fingerprint = [&] {
    return ModelFiles::from_folder(folder.path()).fingerprint({".json", "merges.txt"});
  };
  EXPECT_EQ(fingerprint(), "");
  folder.write("config.json", "{}");
  const std::string one = fingerprint();
  EXPECT_THAT(one, HasSubstr("config.json 2 "));
  folder.write("notes.txt", "x");
  EXPECT_EQ(fingerprint(), one);
  folder.write("config.json", "[]");
  EXPECT_NE(fingerprint(), one);
}

// Same name, size and time of modification; what the time of change says is left out here.
TEST(ModelFiles, TheFingerprintSeesOtherContent) {
  const TemporaryFolder folder;
  const auto digest = [&](const std::string& content) {
    folder.write("x.safetensors", content);
    const std::string all = ModelFiles::from_folder(folder.path()).fingerprint({".safetensors"});
    return all.substr(all.rfind(' '));
  };
  const std::string content(100'003, 'x');
  const std::string first = digest(content);
  EXPECT_EQ(digest(content), first);
  for (const std::size_t at : {0, 16383, 50000, 100'002}) {
    std::string other = content;
    other[at] = 'y';
    EXPECT_NE(digest(other), first) << at;
  }
}

TEST(ModelFiles, TheFingerprintSeesThatATimeWasSetBack) {
  const TemporaryFolder folder;
  folder.write("x.safetensors", "x");
  const std::string path = folder.path("x.safetensors");
  const auto fingerprint = [&] {
    const timespec times[2] = {{1, 0}, {1, 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    return ModelFiles::from_folder(folder.path()).fingerprint({".safetensors"});
  };
  const std::string first = fingerprint();
  EXPECT_THAT(first, HasSubstr("x.safetensors 1 1000000000 "));
  while (fingerprint() == first) continue;  // until the clock ticks
}

TEST(ModelFiles, AFingerprintMindsNothingThatLiesBesideTheModel) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("empty.json", "");
  std::filesystem::create_directory(folder.path("runs.json"));
  std::filesystem::create_symlink("gone", folder.path("link.json"));
  ASSERT_EQ(::mkfifo(folder.path("pipe.json").c_str(), 0600), 0);
  const std::string fingerprint = ModelFiles::from_folder(folder.path()).fingerprint({".json"});
  EXPECT_THAT(fingerprint, AllOf(HasSubstr("config.json 2 "), HasSubstr("empty.json is no file"),
                                 HasSubstr("link.json is no file")));
}

TEST(ModelFiles, TheFingerprintSeesAnotherFile) {
  const TemporaryFolder folder;
  folder.write("x.bin", "x");
  struct stat info = {};
  ASSERT_EQ(::stat(folder.path("x.bin").c_str(), &info), 0);
  EXPECT_THAT(ModelFiles::from_folder(folder.path()).fingerprint({".bin"}),
              HasSubstr(" " + std::to_string(info.st_ino) + " " + std::to_string(info.st_dev)));
}

class OpenedFile : public ::testing::Test {
 protected:
  OpenedFile() {
    folder_.write("f", "old bytes");
    const timespec times[2] = {{1, 0}, {1, 0}};  // long before what comes
    EXPECT_EQ(::utimensat(AT_FDCWD, folder_.path("f").c_str(), times, 0), 0);
    file_ = files_.require("f");
  }
  std::string problem(const ModelFiles& files) {
    return error_of([&] { files.require_untouched(); });
  }

  TemporaryFolder folder_;
  ModelFiles files_ = ModelFiles::from_folder(folder_.path());
  std::optional<File> file_;
};

TEST_F(OpenedFile, WrittenToIsAnError) {
  EXPECT_EQ(problem(files_), "");
  folder_.write("f", "new bytes");
  const auto told = AllOf(HasSubstr(folder_.path("f")), HasSubstr("was written to while"));
  EXPECT_THAT(problem(files_), told);
  EXPECT_THAT(problem(memory_files({}).with_adapter(files_)), told);
}

TEST_F(OpenedFile, ReplacedGoesOn) {
  const std::string before = files_.fingerprint({"f"});
  folder_.write("new", "new bytes");
  std::filesystem::rename(folder_.path("new"), folder_.path("f"));
  EXPECT_EQ(files_.fingerprint({"f"}), before);  // of what was opened, not of its name
  EXPECT_EQ(problem(files_), "");
  EXPECT_EQ(file_->text(), "old bytes");
  std::filesystem::remove(folder_.path("f"));
  EXPECT_EQ(problem(files_), "");
}

TEST(ModelFiles, RefusesWhatIsNoFolder) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", "x");
  folder.write("notes", "x");
  EXPECT_THAT(error_of([&] { ModelFiles::from_folder(folder.path("model.safetensors")); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("give the folder that holds it")));
  EXPECT_THAT(error_of([&] { ModelFiles::from_folder(folder.path("notes")); }),
              HasSubstr("is not a folder"));
  EXPECT_THAT(error_of([&] { ModelFiles::from_folder(folder.path("gone")); }),
              AllOf(HasSubstr("gone"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([&] { ModelFiles::from_folder(""); }), HasSubstr("cannot be opened"));
}

TEST(Printable, KeepsTextAndEscapesTheRest) {
  const std::pair<std::string, std::string> cases[] = {
      {"plain ação \xE2\x82\xAC \xF0\x9F\x98\x80", "plain ação \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {std::string("a\0b\n\x1b[31m\x7f", 10), "a\\x00b\\x0a\\x1b[31m\\x7f"},
      {"\xC2\x9B", "\\xc2\\x9b"},                    // C1 control
      {"\xC0\xAF", "\\xc0\\xaf"},                    // overlong
      {"\xE0\x80\x80", "\\xe0\\x80\\x80"},           // overlong
      {"\xED\xA0\x80", "\\xed\\xa0\\x80"},           // surrogate
      {"\xF4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // above U+10FFFF
      {"\xE2\x82", "\\xe2\\x82"},                    // cut off
      {"\xFF", "\\xff"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(printable(text), expected);
  EXPECT_EQ(printable("aaaaaaaa", 3), "aaa...");
  EXPECT_EQ(printable("aaa", 3), "aaa");
  EXPECT_EQ(quote("x"), "\"x\"");
}

}  // namespace
}  // namespace aira
