// config.json through the readers of every architecture, and through the simulator's own.
#include "sim/io/json_reader.h"
#include "tests/fuzz/fuzz.h"
#include "workloads/forward/architecture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read([&] {
    moesim::ConfigReader config(moesim::read_json_text(moesim::fuzz::text_of(data, size), "fuzz"));
    const auto* architecture =
        moesim::Catalog<moesim::Architecture>::instance().find(config.model_type());
    if (architecture == nullptr) return;
    architecture->read(config);
    config.refuse_unread();
  });
}
