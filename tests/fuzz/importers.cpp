// Every importer in turn, on the same bytes; the first byte chooses which.
#include "tests/fuzz/fuzz.h"
#include "workloads/traces/importer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto names = moesim::Catalog<moesim::TraceImporter>::instance().names();
  const auto& importer = moesim::Catalog<moesim::TraceImporter>::instance().at(
      names[data[0] % names.size()], "format");
  const moesim::ImportFile file{"fuzz", moesim::fuzz::bytes_of(data + 1, size - 1)};
  importer.probe(file);
  moesim::ImportOptions options;
  options.tokens = 4;  // count tables draw so many; their own counts may ask for billions
  options.top_k = data[0] % 4;
  return moesim::fuzz::refuse_or_read([&] {
    moesim::make_trace(importer.read({&file, 1}, options).columns);
  });
}
