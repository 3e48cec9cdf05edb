// A safetensors file: any bytes, or a header with the right length before data.
#include "fuzz.h"
#include "model/checkpoint.h"
#include "model_fixtures.h"

using namespace aira;

FUZZ_TARGET(safetensors) {
  if (input.empty()) return;
  std::string file(input.substr(1));
  if ((input.front() & 1) != 0) file = safetensors(file, std::string(64, '\1'));
  fuzz::accepts([&] {
    std::size_t bytes = 0;
    const File whole = memory_file("model.safetensors", file);
    const char* const end = whole.text().data() + whole.size;
    for (const HostTensor& tensor : read_safetensors(whole, [](const auto&) { return false; })) {
      const auto size = static_cast<std::int64_t>(tensor.bytes);
      FUZZ_CHECK(size >= 0 && size == tensor.size() * size_of(tensor.dtype));
      FUZZ_CHECK(reinterpret_cast<const char*>(tensor.data.get()) + tensor.bytes <= end);
      FUZZ_CHECK(tensor.data.get() >= whole.data.get());
      bytes += tensor.bytes;
    }
    std::uint64_t header = 0;
    std::memcpy(&header, whole.data.get(), sizeof header);
    FUZZ_CHECK(sizeof header + header + bytes == whole.size);
  });
}
