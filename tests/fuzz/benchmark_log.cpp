// Every reader of benchmark logs on the same text, whether or not it recognises it; the first byte
// says what is given beside.
#include "sim/calibrate/log_reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  moesim::LogConditions given;
  if ((data[0] & 1) != 0) given.accelerator = "H100";
  if ((data[0] & 2) != 0) given.ranks = 16;
  if ((data[0] & 4) != 0) given.scale_out = "ib";
  if ((data[0] & 8) != 0) given.tokens_per_rank = 4096;
  const std::string text(moesim::fuzz::text_of(data + 1, size - 1));
  for (const auto& [name, entry] : moesim::Catalog<moesim::LogReader>::instance().entries()) {
    entry.part.recognises(text);
    const auto& read = entry.part.read;
    moesim::fuzz::refuse_or_read([&] { read("fuzz", text, given); });
  }
  return 0;
}
