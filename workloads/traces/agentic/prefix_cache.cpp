// Entries by last use; evicted whole.
#include "workloads/traces/agentic/prefix_cache.h"

#include <algorithm>

namespace moesim {

PrefixCache::PrefixCache(std::int64_t block,
                         std::optional<std::int64_t> capacity,
                         std::size_t kinds)
    : block_(block), capacity_(capacity), systems_(kinds) {}

std::int64_t PrefixCache::take(const Owner& owner) {
  const std::int64_t system = systems_[owner.kind].tokens;
  systems_[owner.kind].used = ++clock_;
  const auto found = conversations_.find(owner.request);
  if (found == conversations_.end()) return system;
  const std::int64_t after = found->second.tokens;
  tokens_ -= after;
  conversations_.erase(found);
  // Blocks are found from the first on: without the system prompt's the later ones are lost.
  return system == whole(owner.system_prompt) ? system + after : system;
}

void PrefixCache::computed(const Owner& owner, std::int64_t tokens) {
  const std::int64_t shared = whole(std::min(tokens, owner.system_prompt));
  if (shared <= systems_[owner.kind].tokens) return;
  touch_system(owner, shared);
  make_room();
}

void PrefixCache::keep(const Owner& owner, std::int64_t tokens) {
  const std::int64_t shared = whole(owner.system_prompt);
  Entry& entry = conversations_[owner.request];
  tokens_ -= entry.tokens;
  entry = {whole(tokens) - shared, ++clock_};
  tokens_ += entry.tokens;
  touch_system(owner, shared);
  make_room();
}

void PrefixCache::touch_system(const Owner& owner, std::int64_t tokens) {
  Entry& system = systems_[owner.kind];
  tokens_ += tokens - system.tokens;
  system = {tokens, ++clock_};
}

void PrefixCache::make_room() {
  while (capacity_ && tokens_ > *capacity_) {
    Entry* oldest = nullptr;
    for (Entry& system : systems_)
      if (system.tokens > 0 && (oldest == nullptr || system.used < oldest->used)) oldest = &system;
    auto conversation = std::min_element(
        conversations_.begin(), conversations_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    if (conversation != conversations_.end() &&
        (oldest == nullptr || conversation->second.used < oldest->used)) {
      tokens_ -= conversation->second.tokens;
      conversations_.erase(conversation);
      continue;
    }
    tokens_ -= oldest->tokens;  // tokens_ > 0, so something holds them
    oldest->tokens = 0;
  }
}

}  // namespace moesim
