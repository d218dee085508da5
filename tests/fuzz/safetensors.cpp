// The safetensors container, read from a mapped file as checkpoints and traces are.
#include "sim/io/safetensors.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const moesim::fuzz::MemoryFile file(data, size);
  return moesim::fuzz::refuse_or_read([&] {
    const moesim::SafetensorsFile tensors(file.path());
    std::size_t touched = 0;  // every byte a tensor claims can be read
    for (const auto& entry : tensors.tensors())
      for (const std::byte byte : entry.second.data) touched += static_cast<std::size_t>(byte);
    if (touched == static_cast<std::size_t>(-1)) throw std::logic_error("unreachable");
  });
}
