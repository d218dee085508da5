// The JSON reader behind every scenario, configuration and description.
#include "sim/io/json_reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read(
      [&] { moesim::read_json_text(moesim::fuzz::text_of(data, size), "fuzz"); });
}
