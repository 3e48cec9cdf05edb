// The file of packed weights that lies in a cache: any bytes, a true file that is changed in
// places, cut off or longer, or one of any numbers with right digests. A model comes of it in any
// case, and computes.
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

/// Writes numbers out of `choices` into the parameters of `model`, which are its own.
void spoil(const Model& model, const Packing& packing, fuzz::Choices& choices) {
  Model copy = model;  // shares the parameters
  for (const Parameter& one : list_parameters(copy, false)) {
    const void* data = one.matrix != nullptr ? one.matrix->data.get() : one.vector->data.get();
    const std::size_t at = choices.byte() % packed_bytes(one, packing, DType::kI8);
    auto* to = static_cast<char*>(const_cast<void*>(data)) + at;
    choices.text(packed_bytes(one, packing, DType::kI8) - at).copy(to, 255);
  }
}

/// Takes what is in the cache, if it can be used, and computes.
void use(Cache& world, bool is_whole) {
  WeightCache cache(world.folder.path(), world.files, *world.backend, DType::kI8);
  const Model model = cache.load();
  if (is_whole) FUZZ_CHECK(cache.hit() && cache.holds(model));
  Session session(model, *world.backend, {.slots = 1, .rows = 4, .output_rows = 1});
  const std::vector<Row> rows = {{.token = 3, .slot = 0, .position = 0, .prompt = true},
                                 {.token = 4, .slot = 0, .position = 1, .prompt = true}};
  const std::vector<std::int32_t> last = {1};
  FUZZ_CHECK(std::ssize(session.forward(rows, last)) == fuzz::kTinyVocab);
}

void write_to(const std::string& path, const std::string& content) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  FUZZ_CHECK(::write(fd.get(), content.data(), content.size()) == std::ssize(content));
}

}  // namespace

FUZZ_TARGET(packed) {
  static Cache world;
  fuzz::Choices choices(input);
  const int kind = choices.byte() % 3;
  if (kind == 2) {
    ::unlink(world.path.c_str());
    WeightCache cache(world.folder.path(), world.files, *world.backend, DType::kI8);
    const Model model = cache.load();
    spoil(model, *world.backend->packing(), choices);
    FUZZ_CHECK(cache.keep(model, [] { return true; }).empty() && cache.is_current());
  } else {
    write_to(world.path, kind == 1 ? changed(world.whole, choices) : std::string(choices.rest()));
  }
  FUZZ_CHECK(packed_files(world.folder.path()).size() == 1);
  fuzz::accepts([&] { use(world, kind == 2); });
}
