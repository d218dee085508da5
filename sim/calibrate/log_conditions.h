// How a reader completes the conditions it is given: by what the log states, by the benchmark's
// defaults, and by asking for the rest.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/calibrate/log_reader.h"

namespace moesim {

// The log states a count. InputError when another was given by `option`.
void state(int& condition, int stated, const std::string& option, const Location& where);

// Sets a condition that nobody stated to the benchmark's default and says so in `assumed`.
void assume(int& condition,
            int value,
            const std::string& what,
            const std::string& option,
            std::vector<std::string>& assumed);

// "assumed, as the benchmark does by default: 128 tokens a rank (--tokens-per-rank), ..."; nothing
// for nothing.
void note_assumed(const std::vector<std::string>& assumed, std::vector<std::string>& notes);

// InputError naming the option, unless the condition is there.
void need(bool there, const std::string& what, const std::string& option, const std::string& path);

// `seen` ranks stand in the log. More than were given: InputError. Fewer: the given count holds,
// with a note. None given: `seen`.
void count_ranks(LogConditions& conditions,
                 int seen,
                 const Location& where,
                 std::vector<std::string>& notes);

// What DeepEP's tests run on `ranks` ranks when nothing is said: the largest multiple of the ranks
// up to 256. 0 where there is none.
int default_experts(int ranks);

// The name records use for a device such as "NVIDIA H100 80GB HBM3": "H100". Empty: none known.
std::string accelerator_of(const std::string& device);

double mean_of(const std::vector<double>& values);  // of one value at least

// What each of several ranks printed, a list a rank, as one figure: by_rank, and value as its mean.
void set_by_rank(LoggedFigure& figure, const std::map<int, std::vector<double>>& printed);

}  // namespace moesim
