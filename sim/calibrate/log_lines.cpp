// Strips a log's lines, and scans them.
#include "sim/calibrate/log_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace moesim {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '.';
}

template <class Is>
std::size_t run_length(std::string_view text, Is is) {
  std::size_t length = 0;
  while (length < text.size() && is(text[length])) ++length;
  return length;
}

// Escape sequences end with a letter or another character from '@' to '~'.
std::string plain(std::string_view line) {
  std::string kept;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      if (++i < line.size() && line[i] == '[') {
        do ++i;
        while (i < line.size() && (line[i] < '@' || line[i] > '~'));
      }
    } else if (line[i] != '\r') {
      kept += line[i];
    }
  }
  return kept;
}

// "2026-01-31T12:00:00.123Z", "12:00:00", both with or without brackets; 0 = none.
std::size_t time_length(std::string_view text) {
  const bool bracket = !text.empty() && text[0] == '[';
  std::string_view inner = text.substr(bracket ? 1 : 0);
  if (inner.empty() || !is_digit(inner[0])) return 0;
  const auto of_time = [](char c) {
    return is_digit(c) || c == ':' || c == '-' || c == '.' || c == ',' || c == 'T' || c == 'Z' ||
           c == '+';
  };
  std::size_t length = run_length(inner, of_time);
  std::string_view stamp = inner.substr(0, length);
  const bool date = length == 10 && stamp[4] == '-' && stamp[7] == '-';
  if (date && inner.size() > 11 && inner[10] == ' ') {
    length = 11 + run_length(inner.substr(11), of_time);
    stamp = inner.substr(0, length);
  }
  const std::size_t colon = stamp.find(':');
  if (colon == std::string_view::npos || colon < 2 || stamp.size() < colon + 6 ||
      stamp[colon + 3] != ':' || !is_digit(stamp[colon - 1]) || !is_digit(stamp[colon + 1]))
    return 0;
  if (stamp.back() == ':') --length;
  if (!bracket) return length;
  return length < inner.size() && inner[length] == ']' ? length + 2 : 0;
}

// "[1,3]<stdout>", "[default3]", "[pod/name/container]"; 0 = none.
std::size_t bracket_length(std::string_view text) {
  const std::size_t close = text.find(']');
  if (text.empty() || text[0] != '[' || close == std::string_view::npos) return 0;
  const std::string_view inner = text.substr(1, close - 1);
  if (inner.starts_with("default") || inner.starts_with("pod/")) return close + 1;
  const bool pair = inner.find(',') != std::string_view::npos && run_length(inner, [](char c) {
                                                                   return is_digit(c) || c == ',';
                                                                 }) == inner.size();
  if (!pair || close + 1 >= text.size() || text[close + 1] != '<') return 0;
  const std::size_t end = text.find('>', close);
  return end == std::string_view::npos ? 0 : end + 1;
}

// The length of who printed the rest, without what parts it from the rest; 0 = not named.
std::size_t source_length(std::string_view text) {
  if (const std::size_t length = bracket_length(text)) return length;
  if (text.starts_with('(')) {
    const std::size_t close = text.find(')');
    const bool ray = close != std::string_view::npos && text.substr(0, close).find("pid=") < close;
    return ray ? close + 1 : 0;
  }
  const std::size_t name = run_length(text, is_name);
  if (name == 0 || name == text.size() || text.starts_with("EP:")) return 0;  // DeepEP V2's own
  if (text[name] == ':') return name + 1 == text.size() || is_blank(text[name + 1]) ? name : 0;
  const std::size_t blanks = run_length(text.substr(name), is_blank);
  return blanks > 0 && name + blanks < text.size() && text[name + blanks] == '|' ? name : 0;
}

LogLine stripped(int number, std::string_view raw) {
  LogLine line{number, "", ""};
  const std::string kept = plain(raw);
  std::string_view text = trimmed(kept);
  for (int prefix = 0; prefix < 4; ++prefix) {
    std::size_t length = time_length(text);
    if (length == 0) {
      length = source_length(text);
      if (length == 0) break;
      line.source += text.substr(0, length);
    }
    text = trimmed(text.substr(length));
    if (text.starts_with(':') || text.starts_with('|')) text = trimmed(text.substr(1));
  }
  line.text = text;
  return line;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<LogLine> log_lines(const std::string& text) {
  std::vector<LogLine> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(stripped(static_cast<int>(lines.size()) + 1,
                             std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

std::vector<LogLine> parts_at(const LogLine& line, std::string_view mark) {
  std::vector<LogLine> parts;
  std::size_t begin = line.text.find(mark);
  while (begin != std::string::npos) {
    const std::size_t next = line.text.find(mark, begin + mark.size());
    parts.push_back({line.number, line.source, line.text.substr(begin, next - begin)});
    begin = next;
  }
  return parts;
}

void LineScanner::pass_blanks() {
  while (at_ < line_.text.size() && is_blank(line_.text[at_])) ++at_;
}

bool LineScanner::skip(std::string_view words) {
  pass_blanks();
  if (!std::string_view(line_.text).substr(at_).starts_with(words)) return false;
  at_ += words.size();
  return true;
}

void LineScanner::expect(std::string_view words) {
  if (!skip(words))
    fail("\"" + std::string(words) + "\" should stand where " + next_word() + " does");
}

bool LineScanner::at_end() {
  pass_blanks();
  return at_ == line_.text.size();
}

std::string_view LineScanner::rest() { return trimmed(std::string_view(line_.text).substr(at_)); }

double LineScanner::number(const std::string& what) {
  pass_blanks();
  const char* end = line_.text.data() + line_.text.size();
  double value = 0;
  const auto [stop, status] = std::from_chars(line_.text.data() + at_, end, value);
  if (status != std::errc() || !std::isfinite(value) || value < 0)
    fail(what + " should be a number of 0 or more, not " + next_word());
  at_ = static_cast<std::size_t>(stop - line_.text.data());
  return value;
}

int LineScanner::count(const std::string& what) {
  pass_blanks();
  const char* end = line_.text.data() + line_.text.size();
  int value = 0;
  const auto [stop, status] = std::from_chars(line_.text.data() + at_, end, value);
  if (status != std::errc() || value < 0 || value > 1000000000)
    fail(what + " should be a whole number of 0 or more, not " + next_word());
  at_ = static_cast<std::size_t>(stop - line_.text.data());
  return value;
}

std::string LineScanner::next_word() const {
  const std::string_view left = trimmed(std::string_view(line_.text).substr(at_));
  if (left.empty()) return "the end of the line (cut off?)";
  return "\"" + std::string(left.substr(0, std::min<std::size_t>(left.find(' '), 40))) + "\"";
}

void LineScanner::fail(const std::string& message) const { throw InputError(where(), message); }

}  // namespace moesim
