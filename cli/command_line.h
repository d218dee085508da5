// The line that made a report, to be typed again.
#pragma once

#include <string>
#include <vector>

namespace moesim {

// "./moesim run scenarios/a.json --set 'vary={...}'": a word with more in it than names and paths
// have is quoted for a shell. Options that change no result (--out, --jobs) are not for it.
std::string command_line(const std::string& command, const std::vector<std::string>& words);

// Two words for each of them.
void add_overrides(std::vector<std::string>& words, const std::vector<std::string>& overrides);

}  // namespace moesim
