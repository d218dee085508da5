// Scenario files through the loader that `run` and `check` use: axes, a point's every key, its
// plan's rules. Files that one names are read where a stranger's scenario may read.
#include "sim/io/json_path.h"
#include "sim/scenario/study_reader.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = "scenarios/fuzz.json";  // need not be there: relative names start there
  return moesim::fuzz::refuse_or_read([&] {
    const auto root = moesim::read_json_text(moesim::fuzz::text_of(data, size), path);
    const moesim::StudyReader study(path,
                                    moesim::guarded(root, moesim::readable_files(root, path)));
    study.point(0);
    study.point(study.size() - 1);
  });
}
