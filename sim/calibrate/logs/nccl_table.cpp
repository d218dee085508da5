// Reads what nccl-tests prints, by the columns its header names.
#include "sim/calibrate/logs/nccl_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace moesim {
namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

bool all_digits(const std::string& word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
}

double number_in(const std::string& word, const std::string& column, const Location& where) {
  double value = 0;
  const auto [stop, status] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (status != std::errc() || stop != word.data() + word.size() || !std::isfinite(value) ||
      value < 0)
    throw InputError(where,
                     "column " + column + " should be a number of 0 or more, not \"" + word + "\"");
  return value;
}

// Reads line by line; a header begins a new table once the last one has devices or rows.
class TableReader {
 public:
  explicit TableReader(const std::string& path) : path_(path), tables_(1) {}

  void read(const LogLine& line) {
    const std::string& text = line.text;
    const Location where{path_, line.number};
    const std::string starting = "# Collective test starting:";
    if (text.starts_with(starting)) {
      begin_table();
      tables_.back().program = program_in(text.substr(starting.size()));
    } else if (text.starts_with("# nThread")) {
      begin_table();
    } else if (text.starts_with("#") && text.find(" Rank ") != std::string::npos) {
      read_device(line, where);
    } else if (text.find("algbw") != std::string::npos && text.find("busbw") != std::string::npos) {
      read_header(text, where);
    } else if (text.starts_with("# Avg bus bandwidth")) {
      tables_.back().ended = true;
      columns_.clear();
    } else if (!columns_.empty()) {
      read_row(text, where);
    } else if (!text.starts_with("#")) {
      const std::string program = program_in(text);
      if (!program.empty()) command_ = program;
    }
  }

  std::vector<NcclTable> take() {
    std::erase_if(tables_, [](const NcclTable& table) { return table.rows.empty(); });
    return std::move(tables_);
  }

 private:
  NcclTable& begin_table() {
    if (!tables_.back().rows.empty() || !tables_.back().ranks.empty()) tables_.emplace_back();
    if (tables_.back().program.empty()) tables_.back().program = command_;
    columns_.clear();
    command_.clear();
    return tables_.back();
  }

  // The last word that ends in "_perf", or in "_perf_mpi", without its folder.
  static std::string program_in(std::string_view text) {
    std::string program;
    for (std::string word : words_of(text)) {
      word = word.substr(word.find_last_of('/') + 1);
      if (word.ends_with("_mpi")) word.resize(word.size() - 4);
      if (word.ends_with("_perf") && word.size() > 5) program = word;
    }
    return program;
  }

  // "#  Rank  0 Group  0 Pid  123 on host device  0 [0x18] NVIDIA H100 80GB HBM3"
  void read_device(const LogLine& line, const Location& where) {
    LineScanner scanner(path_, line);
    scanner.expect("#");
    if (!scanner.skip("Rank")) return;
    const int rank = scanner.count("the rank");
    const std::vector<std::string> words = words_of(scanner.rest());
    const auto on = std::find(words.begin(), words.end(), "on");
    const std::size_t close = line.text.rfind(']');
    if (on == words.end() || on + 1 == words.end() || close == std::string::npos)
      scanner.fail("a device line should name a host after \"on\", and a device after \"]\"");
    NcclTable& table = tables_.back();
    if (!table.ranks.insert(rank).second)
      scanner.fail("a second line of rank " + std::to_string(rank));
    table.hosts.insert(*(on + 1));
    table.devices.insert(std::string(trimmed(std::string_view(line.text).substr(close + 1))));
    if (table.where.line == 0) table.where = where;
  }

  void read_header(const std::string& text, const Location& where) {
    if (!tables_.back().rows.empty()) begin_table();
    if (tables_.back().program.empty()) tables_.back().program = command_;
    columns_ = words_of(text.substr(text.find_first_not_of("# ")));
    for (const char* name : {"size", "count", "type"}) {
      if (column(name) == columns_.size())
        throw InputError(where, "the table has no column \"" + std::string(name) + "\"");
    }
    if (column("time") == columns_.size() && column("cputime") < columns_.size())
      throw InputError(where, "the table gives the time of the host (\"cputime\"); run without -C");
    if (column("time") == columns_.size())
      throw InputError(where, "the table has no column \"time\"");
    if (tables_.back().where.line == 0) tables_.back().where = where;
  }

  std::size_t column(const std::string& name) const {
    return static_cast<std::size_t>(std::find(columns_.begin(), columns_.end(), name) -
                                    columns_.begin());
  }

  void read_row(const std::string& text, const Location& where) {
    const std::vector<std::string> words = words_of(text);
    if (words.empty() || !all_digits(words[0]) || (words.size() > 1 && !all_digits(words[1])))
      return;  // another program's words between the rows
    if (words.size() < columns_.size())
      throw InputError(where, "the row has " + std::to_string(words.size()) + " of " +
                                  std::to_string(columns_.size()) + " columns (cut off?)");
    const auto number = [&](const std::string& name) {
      return number_in(words[column(name)], name, where);
    };
    NcclRow row{number("size"), number("count"), words[column("type")],
                "none",         number("time"),  false,
                where};
    if (column("redop") < columns_.size()) row.redop = words[column("redop")];
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i] != "#wrong" || words[i] == "N/A") continue;
      if (number_in(words[i], "#wrong", where) > 0)
        throw InputError(where, words[i] + " wrong values: the figures of this run mean nothing");
      row.checked = true;
    }
    tables_.back().rows.push_back(std::move(row));
  }

  const std::string& path_;
  std::vector<NcclTable> tables_;
  std::vector<std::string> columns_;  // of the table being read; empty: none
  std::string command_;               // named by the last command line
};

}  // namespace

std::vector<NcclTable> read_nccl_tables(const std::string& path, const std::string& text) {
  TableReader reader(path);
  for (const LogLine& line : log_lines(text)) reader.read(line);
  return reader.take();
}

}  // namespace moesim
