// Stack, marks and memo of a pickle; all that it asks for is checked against what there is.
#include "sim/io/pickle_machine.h"

#include <fmt/format.h>

#include "sim/core/error.h"

namespace moesim {

std::string PickleMachine::place() const {
  return fmt::format("{}: {}data.pkl, byte {}: ", tree_.name, tree_.folder, opcode_at_);
}

void PickleMachine::fail(const std::string& message) const { throw InputError(place() + message); }

int PickleMachine::next_opcode() {
  opcode_at_ = at_;
  return byte();
}

std::string_view PickleMachine::take(std::uint64_t count) {
  if (count > tree_.pickle.size() - at_)
    fail(fmt::format("the pickle ends inside it: {} bytes wanted, {} left", count,
                     tree_.pickle.size() - at_));
  const auto* from = reinterpret_cast<const char*>(tree_.pickle.data()) + at_;
  at_ += count;
  return {from, count};
}

int PickleMachine::byte() { return static_cast<unsigned char>(take(1)[0]); }

std::uint64_t PickleMachine::little_endian(std::size_t bytes) {
  std::uint64_t value = 0;
  const std::string_view text = take(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    value |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
  return value;
}

std::string_view PickleMachine::line() {
  const std::string_view rest(reinterpret_cast<const char*>(tree_.pickle.data()) + at_,
                              tree_.pickle.size() - at_);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) fail("the pickle ends inside a name");
  at_ += end + 1;
  return rest.substr(0, end);
}

PickleValue PickleMachine::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("the stack is empty");
  const PickleValue value = stack_.back();
  stack_.pop_back();
  return value;
}

std::vector<PickleValue> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("no mark on the stack");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleValue> values(from, stack_.end());
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return values;
}

std::vector<PickleValue> PickleMachine::pop_count(std::size_t count) {
  std::vector<PickleValue> values(count);
  for (std::size_t i = count; i > 0; --i) values[i - 1] = pop();
  return values;
}

PickleValue PickleMachine::last_value() {
  if (stack_.size() != 1 || !marks_.empty())
    fail(
        fmt::format("the pickle stops with {} values and {} marks on its stack, not with one value",
                    stack_.size(), marks_.size()));
  if (at_ != tree_.pickle.size())
    fail(fmt::format("{} bytes follow the pickle's end", tree_.pickle.size() - at_));
  return stack_.back();
}

void PickleMachine::remember(std::uint64_t number) {
  if (number >= tree_.pickle.size())  // each takes at least two bytes, and torch counts them up
    fail(fmt::format("memo {} in a pickle of {} bytes", number, tree_.pickle.size()));
  const PickleValue value = pop();
  push(value);
  if (number >= memo_.size()) {
    memo_.resize(number + 1);
    remembered_.resize(number + 1, false);
  }
  memo_[number] = value;
  remembered_[number] = true;
}

void PickleMachine::recall(std::uint64_t number) {
  if (number >= memo_.size() || !remembered_[number])
    fail(fmt::format("memo {} is read before it is written", number));
  push(memo_[number]);
}

}  // namespace moesim
