// What a rank remembers of the contexts it has computed: the system prompt of every kind, and the
// conversation of every request that waits for its next turn.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace moesim {

// Tokens are found again in whole blocks. With a capacity, the entry least recently used leaves as
// a whole when there is no room; a system prompt counts as used whenever a request of its kind is,
// so it outlives the conversations that begin with it. What running requests hold is not counted.
class PrefixCache {
 public:
  PrefixCache(std::int64_t block, std::optional<std::int64_t> capacity, std::size_t kinds);

  struct Owner {
    std::int32_t request = 0;
    std::size_t kind = 0;
    std::int64_t system_prompt = 0;
  };

  // How many leading tokens of the request need not be computed; it runs from now on.
  std::int64_t take(const Owner& owner);
  // A running request has computed its first `tokens` tokens: others may share its system prompt.
  void computed(const Owner& owner, std::int64_t tokens);
  // The request has stopped after `tokens` tokens, and goes on later.
  void keep(const Owner& owner, std::int64_t tokens);

  std::int64_t tokens() const { return tokens_; }  // held now

 private:
  struct Entry {
    std::int64_t tokens = 0;  // a conversation's are those after the system prompt's blocks
    std::uint64_t used = 0;
  };
  std::int64_t whole(std::int64_t tokens) const { return tokens / block_ * block_; }
  void touch_system(const Owner& owner, std::int64_t tokens);
  void make_room();

  std::int64_t block_;
  std::optional<std::int64_t> capacity_;
  std::vector<Entry> systems_;                   // by kind
  std::map<std::int32_t, Entry> conversations_;  // by request
  std::int64_t tokens_ = 0;
  std::uint64_t clock_ = 0;
};

}  // namespace moesim
