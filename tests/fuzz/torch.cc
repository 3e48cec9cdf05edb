// pytorch_model.bin: any bytes, or an archive of a pickle that the input says and some numbers.
#include "fuzz.h"
#include "model/checkpoint.h"
#include "model_fixtures.h"

using namespace aira;

namespace {

template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// The archive of these files, none of them packed.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  std::string directory;
  const auto put_entry = [](std::string& to, const std::string& name, const std::string& content) {
    put<std::uint64_t>(to, 0);  // flags, no packing, time, date
    put<std::uint32_t>(to, 0);  // checksum, which is not looked at
    put(to, static_cast<std::uint32_t>(content.size()));
    put(to, static_cast<std::uint32_t>(content.size()));
    put(to, static_cast<std::uint32_t>(name.size()));  // no extra fields
  };
  for (const auto& [name, content] : files) {
    const auto at = static_cast<std::uint32_t>(archive.size());
    put<std::uint32_t>(archive, 0x04034b50);
    put<std::uint16_t>(archive, 0);
    put_entry(archive, name, content);
    archive += name + content;
    put<std::uint32_t>(directory, 0x02014b50);
    put<std::uint32_t>(directory, 0);
    put_entry(directory, name, content);
    put<std::uint64_t>(directory, 0);
    put<std::uint16_t>(directory, 0);
    put(directory, at);
    directory += name;
  }
  const auto at = static_cast<std::uint32_t>(archive.size());
  archive += directory;
  put<std::uint32_t>(archive, 0x06054b50);
  put<std::uint32_t>(archive, 0);
  put<std::uint16_t>(archive, 0);
  put(archive, static_cast<std::uint16_t>(files.size()));
  put(archive, static_cast<std::uint32_t>(directory.size()));
  put(archive, at);
  put<std::uint16_t>(archive, 0);
  return archive;
}

}  // namespace

FUZZ_TARGET(torch) {
  if (input.empty()) return;
  std::string archive(input.substr(1));
  if ((input.front() & 1) != 0) {
    const std::string numbers(96, '\1');
    archive = zip_of({{"m/data.pkl", archive}, {"m/data/0", numbers}, {"m/data/1", numbers}});
  }
  fuzz::accepts([&] {
    const File file = memory_file("pytorch_model.bin", archive);
    for (const HostTensor& tensor : read_torch_file(file, [](const auto&) { return false; })) {
      const HostTensor wide = as_f32(tensor);
      FUZZ_CHECK(wide.bytes == 0 || wide.size() * 4 == static_cast<std::int64_t>(wide.bytes));
      for (std::int64_t i = 0; i < wide.size(); ++i) {
        [[maybe_unused]] const volatile float read = numbers(wide)[i];
      }
    }
  });
}
