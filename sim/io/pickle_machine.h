// The machine a pickle runs on: its bytes, a stack with marks, a memo. It moves values about and
// makes none. Only torch_pickle.cpp uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/io/torch_tree.h"

namespace moesim {

// Every function throws InputError, with the file and the opcode's byte offset, where the pickle
// ends too soon or asks for what is not there.
class PickleMachine {
 public:
  explicit PickleMachine(const TorchTree& tree) : tree_(tree) {}

  int next_opcode();
  std::string_view take(std::uint64_t count);  // the next bytes
  int byte();
  std::uint64_t little_endian(std::size_t bytes);  // at most 8
  std::string_view line();                         // up to a newline, which is passed over

  void push(PickleValue value) { stack_.push_back(value); }
  void push(PickleValue::Kind kind, std::int64_t payload = 0) { push({kind, payload}); }
  PickleValue pop();
  void mark() { marks_.push_back(stack_.size()); }
  std::vector<PickleValue> pop_to_mark();  // the values since the last mark, which is dropped
  std::vector<PickleValue> pop_count(std::size_t count);
  PickleValue last_value();  // at the pickle's end: the only value there may be

  void remember(std::uint64_t number);  // the top of the stack
  void recall(std::uint64_t number);    // onto the stack

  std::string place() const;  // what messages begin with
  [[noreturn]] void fail(const std::string& message) const;

 private:
  const TorchTree& tree_;
  std::size_t at_ = 0, opcode_at_ = 0;
  std::vector<PickleValue> stack_, memo_;
  std::vector<std::size_t> marks_;
  std::vector<bool> remembered_;
};

}  // namespace moesim
