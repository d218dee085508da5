#include "sim/replay/fair_shares.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace moesim {
namespace {

// Relative: rates this close are one level; a rate this close to the one before has not changed.
constexpr double kOneLevel = 1e-9, kSameRate = 1e-12;

constexpr double kFresh = 0, kEnded = -1;  // in place of a rate

}  // namespace

FairShares::FairShares(const std::vector<double>& bandwidth) : links_(bandwidth.size()) {
  for (std::size_t link = 0; link < links_.size(); ++link) links_[link].bandwidth = bandwidth[link];
}

void FairShares::touch(LinkId link) {
  SharedLink& shared = links_[index(link)];
  if (shared.touched) return;
  shared.touched = true;
  touched_.push_back(static_cast<std::uint32_t>(index(link)));
}

// A new transfer gets at least the smallest even share among its links.
void FairShares::start(double now,
                       std::span<const LinkId> path,
                       double bytes,
                       TransferEnd& end,
                       std::uint32_t transfer) {
  assert(!path.empty());
  if (free_.empty()) {
    free_.push_back(static_cast<Slot>(transfers_.size()));
    transfers_.emplace_back();
    rate_.push_back(kFresh);
    is_open_.push_back(0);
  }
  const Slot slot = free_.back();
  free_.pop_back();
  transfers_[slot] = {path, bytes, now, kNever, &end, transfer};
  rate_[slot] = kFresh;
  for (const LinkId link : path) {
    touch(link);
    SharedLink& shared = links_[index(link)];
    shared.members.push_back(slot);
    lowest_change_ = std::min(lowest_change_, shared.bandwidth / ++shared.load);
  }
  now_ = now;
}

const FairShares::End* FairShares::first_end() {
  while (!ends_.empty()) {
    const End& first = ends_.front();
    if (holds(first)) return &first;
    std::pop_heap(ends_.begin(), ends_.end());
    ends_.pop_back();
  }
  return nullptr;
}

double FairShares::next_end() {
  if (!touched_.empty()) find_rates();
  const End* const first = first_end();
  if (first == nullptr) return kNever;
  return first->time;
}

void FairShares::advance(double now) {
  if (next_end() > now + kTogether) return;
  now_ = now;
  for (const End* end = first_end(); end != nullptr && end->time <= now + kTogether;
       end = first_end()) {
    const Slot slot = end->slot;
    lowest_change_ = std::min(lowest_change_, rate_[slot]);
    rate_[slot] = kEnded;
    transfers_[slot].end = kNever;
    for (const LinkId link : transfers_[slot].path) {
      touch(link);
      --links_[index(link)].load;
    }
    ended_.push_back(slot);
  }
  for (const Slot slot : ended_) transfers_[slot].told->arrived(transfers_[slot].number);
}

// Opens what can change, link by link and from there on, and fills the links anew with it.
void FairShares::find_rates() {
  forget_old_ends();
  const double level = lowest_change_ * (1 - kOneLevel);
  std::size_t next = 0;  // more are touched on the way
  while (next < touched_.size()) reopen(links_[touched_[next++]], level);
  levels_.clear();
  for (const std::uint32_t link : touched_)
    if (links_[link].open_members > 0)
      levels_.push_back({links_[link].rate_left / links_[link].open_members, link});
  std::make_heap(levels_.begin(), levels_.end());
  while (!levels_.empty()) {
    std::pop_heap(levels_.begin(), levels_.end());
    SharedLink& link = links_[levels_.back().link];
    if (link.open_members == 0) {
      levels_.pop_back();
      continue;
    }
    // Others have filled since: what they leave to each is more, never less.
    const double rate = link.rate_left / link.open_members;
    if (rate > levels_.back().rate * (1 + kSameRate)) {
      levels_.back().rate = rate;
      std::push_heap(levels_.begin(), levels_.end());
      continue;
    }
    levels_.pop_back();
    fill(link, rate);
  }
  for (const std::uint32_t link : touched_) links_[link].touched = false;
  touched_.clear();
  lowest_change_ = kNever;
  free_.insert(free_.end(), ended_.begin(), ended_.end());  // all their links were looked through
  ended_.clear();
}

// What the link has left for transfers at `level` and above, and which those are. Their other links
// are touched.
void FairShares::reopen(SharedLink& link, double level) {
  double left = link.bandwidth;
  std::uint32_t open = 0;
  std::size_t kept = 0;
  for (const Slot slot : link.members) {
    const double rate = rate_[slot];
    if (rate == kEnded) continue;
    link.members[kept++] = slot;
    if (rate != kFresh && rate < level) {
      left -= rate;
      continue;
    }
    ++open;
    if (std::exchange(is_open_[slot], 1) != 0) continue;
    for (const LinkId other : transfers_[slot].path) touch(other);
  }
  link.members.resize(kept);
  link.rate_left = left;
  link.open_members = open;
}

void FairShares::fill(SharedLink& link, double rate) {
  for (const Slot slot : link.members) {
    if (std::exchange(is_open_[slot], 0) == 0) continue;
    set_rate(slot, rate);
    for (const LinkId other : transfers_[slot].path) {
      links_[index(other)].rate_left -= rate_[slot];
      --links_[index(other)].open_members;
    }
  }
}

void FairShares::forget_old_ends() {
  const std::size_t moving = transfers_.size() - free_.size();
  if (ends_.size() <= 4 * moving + 64) return;
  std::erase_if(ends_, [&](const End& end) { return !holds(end); });
  std::make_heap(ends_.begin(), ends_.end());
}

void FairShares::set_rate(Slot slot, double rate) {
  const double before = rate_[slot];
  if (std::abs(rate - before) <= kSameRate * before) return;
  Transfer& transfer = transfers_[slot];
  transfer.bytes_left = std::max(0.0, transfer.bytes_left - before * (now_ - transfer.since));
  transfer.since = now_;
  transfer.end = now_ + transfer.bytes_left / rate;
  rate_[slot] = rate;
  ends_.push_back({transfer.end, slot});
  std::push_heap(ends_.begin(), ends_.end());
}

}  // namespace moesim
