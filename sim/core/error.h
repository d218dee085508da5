// The three ways a run can fail, one exception type and exit code each, and the help that goes with
// them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

// Where in a file a value stands. line and column count from 1; 0 = unknown. `key` is the dotted
// path
// ("plan.expert_parallel"), `pointer` the same as a JSON pointer (RFC 6901), of a value in JSON; of
// a key that is missing, where it should be.
struct Location {
  std::string file;
  int line = 0;
  int column = 0;
  std::string key = {};
  std::string pointer = {};
};

enum class ExitCode : int { done = 0, check_failed = 1, wrong_input = 2, machine_lacks = 3 };

// The input is wrong: the user can mend it. what() reads "file:line:column: key: message". Exit
// code 2.
class InputError : public std::runtime_error {
 public:
  explicit InputError(const std::string& message);
  InputError(const Location& where, const std::string& message);
  // Found in another file, at `origin`, which the value at `where` names.
  InputError(const Location& where, const std::string& message, const Location& origin);

  const Location& where() const { return places_->where; }    // all empty when unknown
  const Location& origin() const { return places_->origin; }  // `where` unless another was given
  const std::string& message() const { return places_->message; }  // what() without the place

 private:
  struct Places {
    Location where, origin;
    std::string message;
  };
  std::shared_ptr<const Places> places_;  // shared, because an exception's copy must not throw
};

// A text that should be a quantity is not; the reader that knows the place turns it into an
// InputError.
class UnitError : public InputError {
 public:
  using InputError::InputError;
};

// The run broke a conservation law, a physical bound or another check of its own. Exit code 1.
class CheckError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The machine lacks something: a package, disk space, permission to write. Exit code 3.
class MachineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The choice nearest to `name` by edit distance, if it is near enough to be what was meant.
std::optional<std::string> nearest_name(std::string_view name,
                                        std::span<const std::string> choices);

// `; did you mean "x"? Valid: a, b, c` - the tail of every message about an unknown name.
std::string name_help(std::string_view name, std::span<const std::string> choices);

}  // namespace moesim
