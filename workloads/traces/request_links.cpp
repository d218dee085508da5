// Linking tokens to requests by their positions.
#include "workloads/traces/request_links.h"

#include <algorithm>
#include <utility>

namespace moesim {

RequestLinks::Open& RequestLinks::open_new(std::int64_t next) {
  open_.push_back({next_request_++, next, false, true});
  return open_.back();
}

void RequestLinks::begin_pass(bool extends) {
  for (Open& open : open_) open.seen = false;
  hint_ = 0;
  if (!extends) return;
  earlier_chunks_ = std::move(chunks_);
  chunks_.clear();
}

std::int32_t RequestLinks::extend(std::int64_t position, std::int64_t tokens) {
  for (const std::size_t i : earlier_chunks_) {
    Open& open = open_[i];
    if (position == 0 || open.decoding || open.seen || open.next != position) continue;
    open.seen = true;
    open.next = position + tokens;
    chunks_.push_back(i);
    return open.request;
  }
  chunks_.push_back(open_.size());
  return open_new(position + tokens).request;
}

std::int32_t RequestLinks::decode(std::int64_t position) {
  for (std::size_t tried = 0; tried < open_.size(); ++tried) {
    const std::size_t i = (hint_ + tried) % open_.size();
    Open& open = open_[i];
    if (open.seen || open.next != position) continue;
    open.seen = open.decoding = true;
    ++open.next;
    hint_ = i + 1;
    return open.request;
  }
  return -1;
}

std::int32_t RequestLinks::decode_new(std::int64_t position) {
  Open& open = open_new(position + 1);
  open.decoding = true;
  hint_ = open_.size();
  return open.request;
}

void RequestLinks::end_pass(bool decodes) {
  if (!decodes) return;
  open_.erase(std::remove_if(open_.begin(), open_.end(),
                             [](const Open& open) { return open.decoding && !open.seen; }),
              open_.end());
  chunks_.clear();  // after a decode batch no prompt is half read
}

}  // namespace moesim
