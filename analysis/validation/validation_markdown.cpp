// The validation as docs/validation.md.
#include <fmt/format.h>

#include "analysis/validation/validation_report.h"
#include "analysis/validation/validation_tables.h"

namespace moesim {
namespace {

std::string line_of(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (const char letter : cell)
      line += letter == '|' ? std::string("\\|") : std::string(1, letter);
    line += " |";
  }
  return line + "\n";
}

std::string table(std::vector<std::string> heads, const std::vector<Cells>& rows) {
  std::string text = line_of(heads);
  for (std::string& head : heads) head = "---";
  text += line_of(heads);
  for (const Cells& row : rows) text += line_of(row);
  return text + "\n";
}

std::string summary(const char* title, const std::vector<ErrorSummary>& summaries) {
  std::vector<std::string> heads = summary_heads();
  heads.front() = title;
  return table(heads, summary_rows(summaries));
}

// Of whatever records: limits of the model, not of a record.
constexpr const char* kUnknown =
    "## What the model does not know\n\n"
    "- Skewed exchanges: no published measurement of one was found; their times follow the busiest "
    "link and are unproven on hardware.\n"
    "- The network: transfers share links max-min; packet loss, PFC, incast, adaptive routing and "
    "other tenants are not there, and all of them only make exchanges longer.\n"
    "- Software releases: a training record names a container, not what changed in it. Qwen3-30B "
    "on "
    "8 GB200 ranges from 22,775 to 40,706 tokens/s/GPU over releases with nearly the same stated "
    "conditions; no model of hardware can tell them apart.\n"
    "- Engines: scheduler, sampling and CPU launch time count only where a scenario states them "
    "(`workload.host`); records of a whole service have them in.\n"
    "- Overlap: how much an exchange is slowed by kernels beside it is published for one algorithm "
    "(`deepep_normal`) at one size; elsewhere it is taken as none. What kernels lose to the SMs "
    "that an exchange holds was measured on one H200 (topologies/calibration/measured), not beside "
    "real exchanges.\n"
    "- Libraries: products in fp8 are DeepGEMM's here. Those of cuBLAS with scales by block took "
    "1.3 times the time predicted here on an H200 (median of 72 products), 1.8 times it up to 128 "
    "rows.\n"
    "- Clocks and power: a GPU that throttles under load is there only in constants measured under "
    "load, and in one of training steps.\n"
    "- Production averages have cache hits and quiet hours in them; they are shown only where the "
    "source states what to remove, and nothing is fitted on them.\n\n";

}  // namespace

std::string validation_markdown(const Validation& validation, const std::string& figure) {
  std::string text = "# Validation\n\n";
  text += fmt::format(
      "Output of `moesim validate --out FOLDER` (records of `{}`): {} records simulated, {} not. "
      "Errors are predicted over measured time - 1; median and mean of their size, worst with its "
      "sign. Records of split `calibrate` may have been fitted on; the others only score the "
      "model. Beside the model stand two others: the bytes of the busiest port at line rate plus "
      "one constant an exchange, fitted on the same records (of kernels: the datasheet's roofline "
      "plus one constant), and the model's own constants on uniform traffic (token copies spread "
      "evenly over all ranks, none de-duplicated).\n\n",
      validation.records_file.substr(validation.records_file.rfind('/') + 1),
      validation.records.size(), validation.unmapped.size());
  if (!validation.records.empty()) {
    text += fmt::format("![Predicted against measured time]({})\n\n", figure);
    text += "## By exchange\n\n" + summary("exchange", summarise(validation, SummaryBy::algorithm));
    text +=
        "## By test bed, the worst first\n\n" + summary("test bed", worst_beds_first(validation));
    text += "## By accelerator\n\n" +
            summary("accelerator", summarise(validation, SummaryBy::accelerator));
    text += "## By split\n\n" + summary("split", summarise(validation, SummaryBy::split)) +
            summary("", summarise(validation, SummaryBy::all));
    text += kUnknown;
    text += "## Every record\n\n" + table(record_heads(), record_rows(validation));
  }
  if (!validation.unmapped.empty())
    text += "## Records no simulation stands for\n\n" +
            table({"because", "records", "which"},
                  unmapped_rows(validation, validation.unmapped.size()));
  return text;
}

}  // namespace moesim
