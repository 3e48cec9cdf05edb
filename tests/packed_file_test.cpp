// Packed files: what is written comes back, and nothing that is damaged, foreign or out of date is
// taken. Then a model's weights through one, matrix by matrix.
#include "model/packed_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/huge_pages.h"
#include "cpu/cpu_backend.h"
#include "model/weight_cache.h"
#include "model_fixtures.h"

namespace aira {
namespace {

constexpr const char* kKey = "chave: ação";

bool always() { return true; }

std::string read(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

std::string text(const std::shared_ptr<const std::byte>& part, std::size_t bytes) {
  return part ? std::string(reinterpret_cast<const char*>(part.get()), bytes) : "(none)";
}

/// A packed file of three parts in a folder of its own.
class Packed : public ::testing::Test {
 protected:
  std::string write(std::string_view key = kKey) const {
    const std::vector<PackedFile::Part> parts = {{"um", big_}, {"vazio", ""}, {"três", "xyz"}};
    return PackedFile::write(path_, key, parts, always);
  }
  bool opens() const { return PackedFile::open(path_, kKey).has_value(); }
  /// Whether the file opens with these bytes at `at`; afterwards it is as it was.
  bool opens_with(std::size_t at, const std::string& bytes) const {
    const std::string before = exchange(at, bytes);
    const bool result = opens();
    exchange(at, before);
    return result;
  }
  /// What was there.
  std::string exchange(std::size_t at, const std::string& bytes) const {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    std::string before(bytes.size(), '\0');
    file.seekg(static_cast<std::streamoff>(at)).read(before.data(), std::ssize(before));
    file.seekp(static_cast<std::streamoff>(at)).write(bytes.data(), std::ssize(bytes));
    return before;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path("cache/a.packed");
  std::string big_ = std::string(9'000'001, 'g') + "fim";  // more than one piece of writing
};

TEST_F(Packed, PartsComeBack) {
  ASSERT_EQ(write(), "");
  const auto file = PackedFile::open(path_, kKey);
  ASSERT_TRUE(file);
  const auto size = static_cast<std::int64_t>(big_.size());
  EXPECT_EQ(text(file->find("um", size), big_.size()), big_);
  EXPECT_EQ(text(file->find("três", 3), 3), "xyz");
  EXPECT_EQ(text(file->find("vazio", 0), 0), "");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->find("três", 3).get()) % 64, 0U);
  EXPECT_EQ(file->find("um", size - 1), nullptr);
  EXPECT_EQ(file->find("quatro", 3), nullptr);
}

TEST_F(Packed, PartsOutliveTheFile) {
  ASSERT_EQ(write(), "");
  const auto part = PackedFile::open(path_, kKey)->find("três", 3);
  std::filesystem::remove(path_);
  EXPECT_EQ(text(part, 3), "xyz");
}

TEST_F(Packed, OnlyForItsKey) {
  EXPECT_FALSE(opens());  // not there yet
  ASSERT_EQ(write("other"), "");
  EXPECT_FALSE(opens());
  ASSERT_EQ(write(), "");  // replaces the other
  EXPECT_TRUE(opens());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path("cache")), {}), 1);
}

TEST_F(Packed, DamageIsNoticed) {
  ASSERT_EQ(write(), "");
  const std::string good = read(path_);
  EXPECT_FALSE(opens_with(0, "x")) << "magic";
  EXPECT_FALSE(opens_with(8, "\x02")) << "version";
  const std::size_t directory = 64;
  for (std::size_t at = 16; at < directory + 100; ++at) {
    if (at >= 40 && at < directory) continue;  // zeros for later use
    EXPECT_FALSE(opens_with(at, std::string(1, static_cast<char>(good[at] ^ 0x10)))) << at;
  }
  EXPECT_TRUE(opens());
  for (const std::size_t size :
       {good.size() - 1, good.size() / 2, std::size_t{100}, std::size_t{64}, std::size_t{63},
        std::size_t{1}, std::size_t{0}}) {
    folder_.write("cache/a.packed", good.substr(0, size));
    EXPECT_FALSE(opens()) << size;
  }
  folder_.write("cache/a.packed", good + "x");
  EXPECT_FALSE(opens());
  folder_.write("cache/a.packed", std::string(1000, 'x'));
  EXPECT_FALSE(opens());
}

TEST_F(Packed, OnlyRegularFilesAreOpened) {
  std::filesystem::create_directories(path_);
  EXPECT_FALSE(opens());
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(opens());
}

TEST_F(Packed, AReadOnlyPlaceIsTold) {
  EXPECT_EQ(PackedFile::write("/proc/nothing/a", kKey, {}, always), "No such file or directory");
  folder_.write("cache", "a file where the folder should be");
  EXPECT_EQ(write(), "Not a directory");
}

TEST_F(Packed, BreakingOffLeavesNothing) {
  int pieces = 0;
  const auto twice = [&] { return ++pieces <= 1; };
  const std::vector<PackedFile::Part> parts = {{"um", big_}};
  EXPECT_EQ(PackedFile::write(path_, kKey, parts, twice), "there was no time for it");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path("cache")));
}

TEST_F(Packed, AWriterAtWorkIsLeftAlone) {
  std::filesystem::create_directory(folder_.path("cache"));
  const std::string unfinished = path_ + ".unfinished";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_EQ(write(), "another process is writing it");
  EXPECT_FALSE(opens());
  ::close(fd);  // it died
  EXPECT_EQ(write(), "");
  EXPECT_TRUE(opens());
}

TEST_F(Packed, ManyWritersLeaveOneGoodFile) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&] {
      for (int round = 0; round < 3; ++round) write();
    });
  }
  bool torn = false;
  for (int i = 0; i < 200; ++i) {
    torn = torn || (std::filesystem::exists(path_) && !opens());
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_FALSE(torn);
  const auto file = PackedFile::open(path_, kKey);
  ASSERT_TRUE(file);
  EXPECT_EQ(text(file->find("um", static_cast<std::int64_t>(big_.size())), big_.size()), big_);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".unfinished"));
}

TEST(SettlingFile, StaysTheSameWhileItIsCopied) {
  TemporaryFolder folder;
  std::string content(20'000'003, 'a');
  for (std::size_t i = 0; i < content.size(); i += 4093) content[i] = static_cast<char>(i);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4097}, content.size()}) {
    folder.write("f", content);
    const int fd = ::open(folder.path("f").c_str(), O_RDONLY);
    const std::shared_ptr<SettlingFile> file = SettlingFile::map(fd, bytes);
    ::close(fd);
    ASSERT_TRUE(file);
    const auto same = [&] { return std::memcmp(file->data(), content.data(), bytes) == 0; };
    std::atomic<bool> settled = false;
    std::atomic<bool> differed = false;
    std::thread reader([&] {
      do {
        if (!same()) differed = true;
      } while (!settled);
    });
    file->settle([] { return true; });
    settled = true;
    reader.join();
    EXPECT_FALSE(differed) << bytes;
    // A copy: what becomes of the file does not matter any more.
    std::fstream(folder.path("f"), std::ios::in | std::ios::out) << std::string(bytes, 'b');
    EXPECT_TRUE(same()) << bytes;
  }
}

/// Every parameter's bytes, one after the other.
std::string all_bytes(const Model& model, const Backend& backend) {
  std::string bytes;
  const auto add_matrix = [&](const Matrix& m) {
    bytes.append(static_cast<const char*>(m.data.get()),
                 static_cast<std::size_t>(backend.packed_weights()->bytes(m.in, m.out, m.dtype)));
  };
  const auto add_vector = [&](const Vector& v) {
    bytes.append(reinterpret_cast<const char*>(v.data.get()), static_cast<std::size_t>(v.size) * 4);
  };
  for (const Matrix* m : {&model.token_embedding, &model.head}) add_matrix(*m);
  for (const Vector* v : {&model.position_embedding, &model.ln_f_gain, &model.ln_f_bias}) {
    add_vector(*v);
  }
  for (const LayerWeights& w : model.layers) {
    for (const Matrix* m : {&w.attn_qkv, &w.attn_out, &w.mlp_in, &w.mlp_out}) add_matrix(*m);
    for (const Vector* v : {&w.ln_1_gain, &w.ln_1_bias, &w.attn_qkv_bias, &w.attn_out_bias,
                            &w.ln_2_gain, &w.ln_2_bias, &w.mlp_in_bias, &w.mlp_out_bias}) {
      add_vector(*v);
    }
  }
  return bytes;
}

class KeptWeights : public ::testing::TestWithParam<std::tuple<const char*, DType>> {
 protected:
  KeptWeights() {
    const std::string source = std::string(AIRA_TEST_DATA "/models/") + std::get<0>(GetParam());
    std::filesystem::copy(source, model_, std::filesystem::copy_options::recursive);
  }
  WeightCache cache(DType dtype = std::get<1>(GetParam())) {
    return {folder_.path("cache"), files_(), *backend_, dtype};
  }
  const ModelFiles& files_() {
    files = ModelFiles::from_folder(model_);
    return *files;
  }

  TemporaryFolder folder_;
  std::string model_ = folder_.path("model");
  std::optional<ModelFiles> files;
  ThreadPool pool_{2};
  std::unique_ptr<Backend> backend_ = make_cpu_backend(pool_);
};

TEST_P(KeptWeights, AreTheSameBytes) {
  WeightCache first = cache();
  const Model converted = first.load();
  EXPECT_FALSE(first.hit());
  ASSERT_EQ(first.keep(converted, always), "");
  WeightCache second = cache();
  const Model mapped = second.load();
  EXPECT_TRUE(second.hit());
  EXPECT_EQ(all_bytes(mapped, *backend_), all_bytes(converted, *backend_));
  EXPECT_EQ(mapped.head.data == mapped.token_embedding.data,
            converted.head.data == converted.token_embedding.data);
  EXPECT_EQ(mapped.config.layers, converted.config.layers);
}

TEST_P(KeptWeights, AreNotTakenForOtherFiles) {
  WeightCache first = cache();
  ASSERT_EQ(first.keep(first.load(), always), "");
  const auto weights = std::filesystem::path(model_) / "config.json";
  const auto time = std::filesystem::last_write_time(weights);
  std::filesystem::last_write_time(weights, time + std::chrono::seconds(1));
  WeightCache touched = cache();
  const Model again = touched.load();
  EXPECT_FALSE(touched.hit());
  EXPECT_EQ(touched.path(), first.path());  // which will be replaced
  std::filesystem::last_write_time(weights, time);
  WeightCache same = cache();
  same.load();
  EXPECT_TRUE(same.hit());
  const DType other = std::get<1>(GetParam()) == DType::kF32 ? DType::kF16 : DType::kF32;
  WeightCache another = cache(other);
  another.load();
  EXPECT_FALSE(another.hit());
  EXPECT_NE(another.path(), first.path());
}

TEST_P(KeptWeights, AreConvertedWhenTheFileIsBad) {
  WeightCache first = cache();
  const Model converted = first.load();
  ASSERT_EQ(first.keep(converted, always), "");
  std::filesystem::resize_file(first.path(), std::filesystem::file_size(first.path()) - 1);
  WeightCache second = cache();
  const Model again = second.load();
  EXPECT_FALSE(second.hit());
  EXPECT_EQ(all_bytes(again, *backend_), all_bytes(converted, *backend_));
  EXPECT_EQ(second.keep(again, always), "");  // repaired
  WeightCache third = cache();
  third.load();
  EXPECT_TRUE(third.hit());
}

INSTANTIATE_TEST_SUITE_P(Models, KeptWeights,
                         ::testing::Combine(::testing::Values("a", "b", "c", "d", "e"),
                                            ::testing::Values(DType::kF32, DType::kF16)),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param)) + "_" +
                                  name_of(std::get<1>(param.param));
                         });

TEST(WeightCache, KeepsNothingWithoutAPlaceOrFiles) {
  const ModelFiles folder = ModelFiles::from_folder(AIRA_TEST_DATA "/models/a");
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  TemporaryFolder place;
  WeightCache nowhere("", folder, *backend, DType::kF16);
  EXPECT_EQ(nowhere.path(), "");
  EXPECT_EQ(nowhere.keep(nowhere.load(), always), "");
  const ModelFiles memory =
      ModelFiles::from_memory("mem", [&](const std::string& name) { return folder.find(name); });
  WeightCache built_in(place.path(), memory, *backend, DType::kF16);
  EXPECT_EQ(built_in.path(), "");
  EXPECT_EQ(built_in.keep(built_in.load(), always), "");
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST(WeightCache, SnapshotsOfOneRepositoryShareAName) {
  TemporaryFolder folder;
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  std::vector<std::string> paths;
  for (const char* revision : {"models--x--y/snapshots/1", "models--x--y/snapshots/2", "z"}) {
    const std::string model = folder.path(revision);
    std::filesystem::create_directories(model);
    std::ofstream(model + "/config.json") << "{}";
    paths.push_back(
        WeightCache("cache", ModelFiles::from_folder(model), *backend, DType::kF16).path());
  }
  EXPECT_EQ(paths[0], paths[1]);
  EXPECT_THAT(paths[0], ::testing::HasSubstr("models--x--y-"));
  EXPECT_NE(paths[0], paths[2]);
}

}  // namespace
}  // namespace aira
