// nccl-tests (all_reduce_perf, all_gather_perf, reduce_scatter_perf, alltoall_perf): the time of
// every size, out of place.
#include <algorithm>
#include <iterator>
#include <map>

#include "sim/calibrate/log_conditions.h"
#include "sim/calibrate/logs/nccl_table.h"

namespace moesim {
namespace {

const std::map<std::string, std::string>& algorithms() {
  static const std::map<std::string, std::string> of{{"all_reduce_perf", "nccl_allreduce"},
                                                     {"all_gather_perf", "nccl_allgather"},
                                                     {"reduce_scatter_perf", "nccl_reducescatter"},
                                                     {"alltoall_perf", "nccl_alltoall"}};
  return of;
}

struct ElementType {
  double bytes = 0;
  std::string dtype;  // as records name it; empty: they do not
};

ElementType element_type(const NcclRow& row) {
  static const std::map<std::string, ElementType> types{
      {"half", {2, "fp16"}},    {"bfloat16", {2, "bf16"}}, {"fp8_e4m3", {1, "fp8"}},
      {"fp8_e5m2", {1, "fp8"}}, {"f8e4m3", {1, "fp8"}},    {"f8e5m2", {1, "fp8"}},
      {"float", {4, ""}},       {"double", {8, ""}},       {"int8", {1, ""}},
      {"uint8", {1, ""}},       {"char", {1, ""}},         {"int32", {4, ""}},
      {"uint32", {4, ""}},      {"int", {4, ""}},          {"int64", {8, ""}},
      {"uint64", {8, ""}}};
  const auto found = types.find(row.type);
  if (found != types.end()) return found->second;
  std::vector<std::string> names;
  std::transform(types.begin(), types.end(), std::back_inserter(names),
                 [](const auto& entry) { return entry.first; });
  throw InputError(row.where,
                   "unknown element type \"" + row.type + "\"" + name_help(row.type, names));
}

std::string how_to_name_it() {
  std::string names;
  for (const auto& entry : algorithms()) names += (names.empty() ? "" : ", ") + entry.first;
  return "put the command that ran it above the table, such as \"./build/alltoall_perf -b 1M\" "
         "(read are: " +
         names + ")";
}

// Without a name: a table with a reduction is of the all-reduce where a rank's count of elements
// makes the size, of the reduce-scatter where that of all ranks does. All-gather and all-to-all
// print alike.
std::string algorithm_of(const NcclTable& table, int ranks) {
  if (!table.program.empty()) {
    const auto found = algorithms().find(table.program);
    if (found != algorithms().end()) return found->second;
    throw InputError(table.where, "no reader for " + table.program + "; " + how_to_name_it());
  }
  bool all_reduce = true, reduce_scatter = true;
  for (const NcclRow& row : table.rows) {
    const double bytes = row.count * element_type(row).bytes;
    all_reduce = all_reduce && row.redop != "none" && bytes == row.bytes;
    reduce_scatter = reduce_scatter && row.redop != "none" && bytes * ranks == row.bytes;
  }
  if (all_reduce == reduce_scatter)
    throw InputError(table.where,
                     "the log does not say which test of nccl-tests it is of; " + how_to_name_it());
  return all_reduce ? "nccl_allreduce" : "nccl_reducescatter";
}

void state_hosts(LogConditions& conditions, const NcclTable& table) {
  const std::set<std::string> names(table.hosts.begin(), table.hosts.end());
  const std::size_t each = table.hosts.count(*names.begin());
  for (const std::string& name : names) {
    if (table.hosts.count(name) != each)
      throw InputError(table.where, "host " + name + " has " +
                                        std::to_string(table.hosts.count(name)) +
                                        " ranks and host " + *names.begin() + " has " +
                                        std::to_string(each) + "; a record needs as many on each");
  }
  const int on_host = static_cast<int>(each);
  // A single host may run fewer ranks than it has GPUs.
  if (names.size() > 1 || on_host > conditions.gpus_per_node) conditions.gpus_per_node = on_host;
}

LogConditions complete(const LogConditions& given,
                       const NcclTable& table,
                       std::vector<std::string>& notes) {
  const std::string& path = table.where.file;
  LogConditions conditions = given;
  if (!table.ranks.empty()) {
    count_ranks(conditions, *table.ranks.rbegin() + 1, table.where, notes);
    if (static_cast<int>(table.ranks.size()) == conditions.ranks) state_hosts(conditions, table);
  }
  need(conditions.ranks > 0, "how many ranks ran (no device lines)", "--ranks", path);
  if (table.devices.size() > 1)
    throw InputError(table.where, "the ranks ran on different devices: \"" +
                                      *table.devices.begin() + "\", \"" + *table.devices.rbegin() +
                                      "\"");
  const std::string stated =
      table.devices.empty() ? std::string() : accelerator_of(*table.devices.begin());
  if (!stated.empty()) {
    if (!given.accelerator.empty() && given.accelerator != stated)
      throw InputError(table.where,
                       "the log says " + stated + ", but --accelerator gives " + given.accelerator);
    conditions.accelerator = stated;
  }
  need(!conditions.accelerator.empty(), "which known accelerator it ran on", "--accelerator", path);
  return conditions;
}

void add_table(BenchmarkLog& log, const NcclTable& table, const LogConditions& given) {
  const LogConditions conditions = complete(given, table, log.notes);
  const std::string algorithm = algorithm_of(table, conditions.ranks);
  const auto note = [&](bool there, const std::string& sentence) {
    if (there) log.notes.push_back(algorithm + ": " + sentence);
  };
  bool unchecked = false, unnamed = false, empty = false;
  for (const NcclRow& row : table.rows) {
    const ElementType type = element_type(row);
    unchecked = unchecked || !row.checked;
    unnamed = unnamed || type.dtype.empty();
    empty = empty || row.bytes == 0 || row.time_us == 0;
    if (row.bytes == 0 || row.time_us == 0) continue;
    LoggedFigure figure;
    figure.kind = "collective";
    figure.algorithm = algorithm;
    figure.quantity = "time";
    figure.value = row.time_us;
    figure.dtype = type.dtype;
    figure.message_bytes = row.bytes;
    figure.conditions = conditions;
    figure.where = row.where;
    log.figures.push_back(std::move(figure));
  }
  note(table.program.empty(), "found from the columns, for no line names the test.");
  note(unchecked, "the benchmark did not check all results (no #wrong).");
  note(unnamed,
       "left the element type open: records name none for " + table.rows.front().type + ".");
  note(empty, "left out the rows of 0 bytes or 0 us.");
  note(!table.ended, "the log ends before the benchmark does.");
}

bool recognises(const std::string& text) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  return has("# nThread ") || has("# Collective test starting:") ||
         (has("algbw") && has("busbw") && has("size") && has("count"));
}

BenchmarkLog read(const std::string& path, const std::string& text, const LogConditions& given) {
  BenchmarkLog log;
  log.benchmark = "nccl-tests";
  for (const NcclTable& table : read_nccl_tables(path, text)) add_table(log, table, given);
  if (log.figures.empty())
    throw InputError(path +
                     ": holds no row of a table of nccl-tests with bytes and a time; did "
                     "the test stop early?");
  return log;
}

const Registered<LogReader> registered{
    "nccl_tests",
    "nccl-tests all_reduce_perf, all_gather_perf, reduce_scatter_perf and alltoall_perf, with the "
    "columns algbw and busbw",
    {recognises, read}};

}  // namespace
}  // namespace moesim
