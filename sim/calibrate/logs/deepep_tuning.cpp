// Reads the lines of DeepEP's normal tests in all the forms its versions print.
#include "sim/calibrate/logs/deepep_tuning.h"

#include <algorithm>
#include <utility>

namespace moesim {
namespace {

TuningPart read_part(LineScanner& scanner) {
  if (!scanner.skip("Best")) return TuningPart::sweep;
  if (scanner.skip("combine:")) return TuningPart::combine;
  scanner.expect("dispatch (");
  const bool fp8 = scanner.skip("FP8");
  if (!fp8) scanner.expect("BF16");
  scanner.expect("):");
  return fp8 ? TuningPart::dispatch_fp8 : TuningPart::dispatch_bf16;
}

int read_chunk(LineScanner& scanner) {
  return scanner.skip("default") ? 0 : scanner.count("the chunk");
}

double read_us(LineScanner& scanner, const std::string& what) {
  const double us = scanner.number(what);
  scanner.expect("us");
  return us;
}

// "44.61 GB/s (RDMA)", "912 + 2357 us" (notify + transmit), "2357.00 us".
void read_bare_value(LineScanner& scanner, TuningLine& line) {
  const double value = scanner.number("a bandwidth or a time");
  if (scanner.skip("us")) {
    line.time_us = value;
  } else if (scanner.skip("+")) {
    line.notify_us = value;
    line.time_us = read_us(scanner, "the time");
  } else if (scanner.skip("GB/s (RDMA)")) {
    line.rdma_gbs = value;
  } else if (scanner.skip("GB/s (NVL)")) {
    line.nvl_gbs = value;
  } else {
    scanner.expect("GB/s (NVL)");
  }
}

TuningLine read_tuning(LineScanner& scanner, const std::string& source) {
  TuningLine line;
  line.source = source;
  line.where = scanner.where();
  scanner.expect("[tuning]");
  line.part = read_part(scanner);
  scanner.expect("SMs");
  line.sms = scanner.count("SMs");
  scanner.expect(",");
  scanner.expect("NVL chunk");
  line.nvl_chunk = read_chunk(scanner);
  if (scanner.skip(", RDMA chunk")) line.rdma_chunk = read_chunk(scanner);
  do {
    if (!scanner.skip(":")) scanner.expect(",");
    if (scanner.skip("transmit:") || scanner.skip("avg_t:") || scanner.skip("t:")) {
      line.time_us = read_us(scanner, "the time");
    } else if (scanner.skip("notify:")) {
      line.notify_us = read_us(scanner, "the notify time");
    } else {
      scanner.skip("BW:");
      read_bare_value(scanner, line);
    }
  } while (!scanner.at_end());
  if (line.time_us == 0 && line.nvl_gbs == 0 && line.rdma_gbs == 0)
    scanner.fail("neither a time nor a bandwidth above 0");
  return line;
}

// "num_tokens=4096, hidden=7168, ..."; other keys are passed over.
ConfigLine read_config(const std::string& path, const LogLine& line) {
  ConfigLine config;
  const std::vector<std::pair<std::string, int*>> keys{{"num_tokens=", &config.tokens_per_rank},
                                                       {"hidden=", &config.hidden},
                                                       {"num_topk_groups=", &config.groups_limit},
                                                       {"num_topk=", &config.top_k},
                                                       {"num_experts=", &config.experts}};
  for (std::size_t begin = line.text.find(']') + 1; begin < line.text.size();) {
    const std::size_t end = std::min(line.text.find(',', begin), line.text.size());
    const LogLine pair{line.number, line.source, line.text.substr(begin, end - begin)};
    LineScanner scanner(path, pair);
    for (const auto& [key, value] : keys) {
      if (scanner.skip(key)) *value = scanner.count(key.substr(0, key.size() - 1));
    }
    begin = end + 1;
  }
  const LineScanner whole(path, line);
  config.where = whole.where();
  for (const std::size_t key : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
    if (*keys[key].second == 0) whole.fail("lacks \"" + keys[key].first + "\" of 1 or more");
  }
  return config;
}

}  // namespace

bool ConfigLine::same_shape(const ConfigLine& other) const {
  return tokens_per_rank == other.tokens_per_rank && hidden == other.hidden &&
         top_k == other.top_k && groups_limit == other.groups_limit && experts == other.experts;
}

std::vector<TuningRun> read_tuning_runs(const std::string& path, const std::string& text) {
  std::vector<TuningRun> runs(1);
  for (const LogLine& line : log_lines(text)) {
    for (const LogLine& part : parts_at(line, "[config]")) {
      const ConfigLine config = read_config(path, part);
      const bool first = runs.back().config.tokens_per_rank == 0 && runs.back().lines.empty();
      if (!first && !config.same_shape(runs.back().config)) runs.emplace_back();
      if (runs.back().config.tokens_per_rank == 0) runs.back().config = config;
    }
    for (const LogLine& part : parts_at(line, "[layout] Kernel performance:")) {
      LineScanner scanner(path, part);
      scanner.expect("[layout] Kernel performance:");
      runs.back().layout_us.push_back(scanner.number("the layout time") * 1e3);
      scanner.expect("ms");
    }
    for (const LogLine& part : parts_at(line, "[tuning]")) {
      LineScanner scanner(path, part);
      runs.back().lines.push_back(read_tuning(scanner, part.source));
    }
  }
  return runs;
}

}  // namespace moesim
