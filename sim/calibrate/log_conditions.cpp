// Conditions of a log: stated, assumed, asked for.
#include "sim/calibrate/log_conditions.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "sim/cluster/accelerator.h"

namespace moesim {
void state(int& condition, int stated, const std::string& option, const Location& where) {
  if (condition != 0 && condition != stated)
    throw InputError(where, "the log says " + std::to_string(stated) + ", but " + option +
                                " gives " + std::to_string(condition));
  condition = stated;
}

void assume(int& condition,
            int value,
            const std::string& what,
            const std::string& option,
            std::vector<std::string>& assumed) {
  if (condition != 0) return;
  condition = value;
  assumed.push_back(std::to_string(value) + " " + what + " (" + option + ")");
}

void note_assumed(const std::vector<std::string>& assumed, std::vector<std::string>& notes) {
  if (assumed.empty()) return;
  std::string note = "assumed, as the benchmark does by default: " + assumed[0];
  for (std::size_t i = 1; i < assumed.size(); ++i) note += ", " + assumed[i];
  notes.push_back(note + ".");
}

void need(bool there, const std::string& what, const std::string& option, const std::string& path) {
  if (!there) throw InputError(path + ": the log does not say " + what + "; give " + option);
}

void count_ranks(LogConditions& conditions,
                 int seen,
                 const Location& where,
                 std::vector<std::string>& notes) {
  if (conditions.ranks == 0) conditions.ranks = seen;
  if (conditions.ranks < seen) state(conditions.ranks, seen, "--ranks", where);
  if (conditions.ranks > seen)
    notes.push_back("the log shows " + std::to_string(seen) + " of the " +
                    std::to_string(conditions.ranks) + " ranks.");
}

int default_experts(int ranks) { return ranks > 0 ? 256 / ranks * ranks : 0; }

std::string accelerator_of(const std::string& device) {
  std::vector<std::string> known = accelerator_names();  // "h100-sxm"
  for (std::string& name : known) {
    name.resize(std::min(name.find('-'), name.size()));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  std::string word;
  for (std::size_t i = 0; i <= device.size(); ++i) {
    if (i < device.size() && std::isalnum(static_cast<unsigned char>(device[i])) != 0) {
      word += device[i];
      continue;
    }
    if (std::find(known.begin(), known.end(), word) != known.end()) return word;
    word.clear();
  }
  return "";
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void set_by_rank(LoggedFigure& figure, const std::map<int, std::vector<double>>& printed) {
  for (const auto& entry : printed) figure.by_rank.push_back(mean_of(entry.second));
  figure.value = mean_of(figure.by_rank);
}

}  // namespace moesim
