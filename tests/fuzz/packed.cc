// The file of packed weights that lies in a cache: any bytes, or a true file that is changed in
// places, cut off or longer. A model comes of it in any case, and computes.
#include <fcntl.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "cpu/cpu_backend.h"
#include "fuzz.h"
#include "model/packed_files.h"
#include "model/weight_cache.h"
#include "model_fixtures.h"
#include "tiny_model.h"

using namespace aira;

namespace {

struct Cache {
  Cache() {
    WeightCache cache(folder.path(), files, *backend, DType::kI8);
    FUZZ_CHECK(cache.keep(cache.load(), [] { return true; }).empty());
    path = cache.path();
    std::ifstream file(path, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(file), {});
    FUZZ_CHECK(!whole.empty());
  }

  TemporaryFolder folder;
  ModelFiles files = ModelFiles::from_folder(fuzz::tiny_model_folder());
  ThreadPool threads{1};
  std::unique_ptr<Backend> backend = make_cpu_backend(threads);
  std::string path;
  std::string whole;
};

std::string changed(std::string file, fuzz::Choices& choices) {
  for (auto count = choices.number(0, 4); count > 0; --count) {
    const std::size_t at = choices.any<std::uint16_t>() % file.size();
    const std::string text = choices.text(16);
    file.replace(at, std::min(text.size(), file.size() - at), text);
  }
  const auto size = std::ssize(file);
  if (choices.rarely(3)) file.resize(static_cast<std::size_t>(size + choices.number(-64, 64)));
  if (choices.rarely(8)) file.resize(choices.any<std::uint16_t>() % file.size());
  return file;
}

}  // namespace

FUZZ_TARGET(packed) {
  static Cache world;
  fuzz::Choices choices(input);
  const std::string file =
      choices.flag() ? changed(world.whole, choices) : std::string(choices.rest());
  const Descriptor fd(::open(world.path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  FUZZ_CHECK(::write(fd.get(), file.data(), file.size()) == std::ssize(file));
  FUZZ_CHECK(packed_files(world.folder.path()).size() == 1);
  fuzz::accepts([&] {
    WeightCache cache(world.folder.path(), world.files, *world.backend, DType::kI8);
    const Model model = cache.load();
    if (file == world.whole) FUZZ_CHECK(cache.hit() && cache.holds(model));
    Session session(model, *world.backend, {.slots = 1, .rows = 4, .output_rows = 1});
    const std::vector<Row> rows = {{.token = 3, .slot = 0, .position = 0, .prompt = true},
                                   {.token = 4, .slot = 0, .position = 1, .prompt = true}};
    const std::vector<std::int32_t> last = {1};
    FUZZ_CHECK(std::ssize(session.forward(rows, last)) == fuzz::kTinyVocab);
  });
}
