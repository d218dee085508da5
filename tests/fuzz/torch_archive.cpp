// torch.save archives: the pickle inside is parsed, never run.
#include "sim/io/torch_archive.h"

#include "tests/fuzz/fuzz.h"

namespace {

void walk(const moesim::TorchValue& value, int depth) {
  if (depth > 32) return;
  if (value.is_dictionary())
    for (const std::string& key : value.keys()) walk(value.at(key), depth + 1);
  else if (value.is_list())
    for (std::size_t i = 0; i < std::min<std::size_t>(value.size(), 64); ++i)
      walk(value.item(i), depth + 1);
  else if (value.is_tensor() && value.as_tensor().elements() < (1 << 20))
    value.tensor_integers();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read([&] {
    const moesim::TorchArchive archive(moesim::fuzz::bytes_of(data, size), "fuzz");
    walk(archive.root(), 0);
  });
}
