// One reader a kind of file, chosen by the name's ending.
#include "workloads/tokens/token_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/io/npy.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;
using Requests = std::vector<std::vector<std::int32_t>>;

const std::vector<std::string>& endings() {
  static const std::vector<std::string> known{".json", ".npy", ".txt"};
  return known;
}

// Ids that a tokenizer, rather than a file, gave: an id beyond the model means the wrong tokenizer.
void check_encoded(const std::vector<std::int32_t>& ids,
                   const std::string& path,
                   const TokenReading& reading) {
  const auto beyond = std::find_if(ids.begin(), ids.end(),
                                   [&](std::int32_t id) { return id >= reading.vocabulary; });
  if (beyond != ids.end())
    throw InputError(fmt::format(
        "{}: token {} has the id {}, but the model's vocabulary ends at {}; is {} this model's "
        "tokenizer?",
        path, beyond - ids.begin(), *beyond, reading.vocabulary - 1, reading.tokenizer->name()));
}

std::vector<std::int32_t> read_text(const std::string& path, const TokenReading& reading) {
  constexpr int kByteVocabulary = 256;
  const std::string text = read_text_file(path);
  if (reading.tokenizer != nullptr) {
    std::vector<std::int32_t> ids = reading.tokenizer->encode(text, path, reading.special);
    check_encoded(ids, path, reading);
    return ids;
  }
  if (reading.vocabulary != kByteVocabulary)
    throw InputError(
        fmt::format("{}: without a tokenizer a text is read as bytes, which needs a model with a "
                    "vocabulary of {}, not {}; give the model's tokenizer.json, or ids as .json or "
                    ".npy",
                    path, kByteVocabulary, reading.vocabulary));
  std::vector<std::int32_t> ids;
  ids.reserve(text.size());
  for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  return ids;
}

// One line of a .txt that holds ids.
std::vector<std::int32_t> read_line(std::string_view line, Location place, int vocabulary) {
  constexpr std::string_view kSpace = " \t\r";
  std::vector<std::int32_t> ids;
  for (std::size_t at = line.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kSpace, at), line.size());
    const std::string_view word = line.substr(at, end - at);
    std::int32_t id = -1;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || stop != word.data() + word.size() || id < 0 || id >= vocabulary) {
      place.column = static_cast<int>(at) + 1;
      throw InputError(place, fmt::format("\"{}\" is no token id; allowed: 0 to {}",
                                          word.substr(0, 40), vocabulary - 1));
    }
    ids.push_back(id);
    at = line.find_first_not_of(kSpace, end);
  }
  return ids;
}

Requests read_id_lines(const std::string& path, int vocabulary) {
  const std::string text = read_text_file(path);
  const std::string_view left(text);
  Requests requests;
  int line = 0;
  for (std::size_t at = 0; at < left.size();) {
    const std::size_t end = std::min(left.find('\n', at), left.size());
    std::vector<std::int32_t> ids =
        read_line(left.substr(at, end - at), Location{path, ++line, 0, ""}, vocabulary);
    if (!ids.empty()) requests.push_back(std::move(ids));
    at = end + 1;
  }
  return requests;
}

std::vector<std::int32_t> read_ids(const std::vector<JsonNode>& nodes, int vocabulary) {
  std::vector<std::int32_t> ids;
  ids.reserve(nodes.size());
  for (const JsonNode& node : nodes)
    ids.push_back(static_cast<std::int32_t>(node.as_int(0, vocabulary - 1)));
  return ids;
}

Requests read_json_requests(const JsonNode& node, int vocabulary) {
  const std::vector<JsonNode> items = node.items();
  if (items.empty()) node.fail("holds no token ids");
  if (!items.front().is_array()) return {read_ids(items, vocabulary)};
  Requests requests;
  requests.reserve(items.size());
  for (const JsonNode& item : items) {
    requests.push_back(read_ids(item.items(), vocabulary));
    if (requests.back().empty()) item.fail("a request without tokens");
  }
  return requests;
}

std::vector<DomainRequests> read_json(const fs::path& path, int vocabulary) {
  const JsonNode root = read_json_file(path.string());
  if (!root.is_object()) {
    if (!root.is_array())
      root.fail("must be a list of ids, a list of such lists, or an object of domains");
    return {{path.stem().string(), read_json_requests(root, vocabulary)}};
  }
  std::vector<DomainRequests> domains;
  for (const std::string& domain : root.keys())
    domains.push_back({domain, read_json_requests(root.at(domain), vocabulary)});
  if (domains.empty()) root.fail("holds no domain");
  return domains;
}

Requests read_npy_requests(const std::string& path, int vocabulary) {
  const NpyFile file(path);
  const std::vector<std::int64_t>& shape = file.array().shape;
  if (shape.size() != 1 && shape.size() != 2)
    throw InputError(fmt::format(
        "{}: an array of {} dimensions; token ids are [n] or [requests, n]", path, shape.size()));
  const std::vector<std::int64_t> ids = npy_integers(file.array(), path);
  if (ids.empty()) throw InputError(fmt::format("{}: holds no token ids", path));
  const auto width = static_cast<std::size_t>(shape.back());
  Requests requests(ids.size() / width, std::vector<std::int32_t>(width));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary)
      throw InputError(fmt::format("{}: element [{}{}] is {}, no token id; allowed: 0 to {}", path,
                                   shape.size() == 2 ? fmt::format("{}, ", i / width) : "",
                                   i % width, ids[i], vocabulary - 1));
    requests[i / width][i % width] = static_cast<std::int32_t>(ids[i]);
  }
  return requests;
}

std::vector<DomainRequests> read_file(const fs::path& path, const TokenReading& reading) {
  const std::string ending = path.extension().string(), name = path.string();
  const auto domain = [&](Requests requests) -> std::vector<DomainRequests> {
    if (requests.empty() || requests.front().empty())
      throw InputError(fmt::format("{}: the file holds no tokens", name));
    return {{path.stem().string(), std::move(requests)}};
  };
  if (ending == ".json") return read_json(path, reading.vocabulary);
  if (ending == ".npy") return domain(read_npy_requests(name, reading.vocabulary));
  if (ending != ".txt")
    throw InputError(fmt::format("{}: token ids or texts cannot be read from \"{}\"{}", name,
                                 ending, name_help(ending, endings())));
  if (reading.text_holds_ids) return domain(read_id_lines(name, reading.vocabulary));
  return domain({read_text(name, reading)});
}

std::vector<fs::path> files_of(const std::string& path) {
  if (!fs::exists(path)) throw InputError(fmt::format("{}: no such file or folder", path));
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string ending = entry.path().extension().string();
    const bool known = std::find(endings().begin(), endings().end(), ending) != endings().end();
    if (known && entry.is_regular_file()) files.push_back(entry.path());
  }
  if (files.empty())
    throw InputError(fmt::format("{}: holds no <domain>.txt, .json or .npy", path));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::int64_t DomainRequests::tokens() const {
  std::int64_t sum = 0;
  for (const std::vector<std::int32_t>& request : requests)
    sum += static_cast<std::int64_t>(request.size());
  return sum;
}

std::vector<DomainRequests> read_token_texts(const std::string& path, const TokenReading& reading) {
  if (reading.vocabulary < 1)
    throw InputError(fmt::format("{}: a vocabulary of {} tokens", path, reading.vocabulary));
  std::vector<DomainRequests> all;
  std::set<std::string> domains;
  for (const fs::path& file : files_of(path)) {
    for (DomainRequests& domain : read_file(file, reading)) {
      if (!domains.insert(domain.domain).second)
        throw InputError(fmt::format("{}: the domain \"{}\" comes from another file already",
                                     file.string(), domain.domain));
      all.push_back(std::move(domain));
    }
  }
  return all;
}

}  // namespace moesim
