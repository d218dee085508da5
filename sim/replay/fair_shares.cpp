#include "sim/replay/fair_shares.h"

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

constexpr double kOneLevel = 1e-9;  // relative: rates this close are one level
constexpr double kSameRate =
    1e-12;  // relative: a rate this close to the one before has not changed

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

// Whoever it is, a transfer gets the even share of the fullest of its links at least.
void FairShares::start(double now,
                       std::span<const LinkId> path,
                       double bytes,
                       TransferEnd& end,
                       std::uint32_t transfer) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(transfers_.size()));
    transfers_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Transfer& moving = transfers_[slot];
  moving = {path, bytes, 0, now, kNever, &end, transfer, moving.life, false};
  for (const LinkId link : path) {
    touch(link);
    SharedLink& shared = links_[index(link)];
    // A link that never fills is never looked through: who has left it goes here.
    if (shared.members.size() > 2 * std::size_t{shared.load} + 16)
      std::erase_if(shared.members, [&](Place place) { return !lives(place); });
    shared.members.push_back({slot, moving.life});
    changed_ = std::min(changed_, shared.bandwidth / ++shared.load);
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
  return first == nullptr ? kNever : first->time;
}

void FairShares::advance(double now) {
  if (next_end() > now + kTogether) return;
  now_ = now;
  for (const End* end = first_end(); end != nullptr && end->time <= now + kTogether;
       end = first_end()) {
    const std::uint32_t slot = end->place.slot;
    Transfer& ended = transfers_[slot];
    changed_ = std::min(changed_, ended.rate);
    for (const LinkId link : ended.path) {
      touch(link);
      --links_[index(link)].load;
    }
    ended_.push_back(ended);
    ++ended.life;
    free_.push_back(slot);
  }
  for (const Transfer& ended : ended_) ended.told->arrived(ended.number);
  ended_.clear();
}

// Opens what can change, link by link and from there on, and fills the links anew with it.
void FairShares::find_rates() {
  forget_old_ends();
  const double level = changed_ * (1 - kOneLevel);
  for (std::size_t i = 0; i < touched_.size(); ++i) open_link(links_[touched_[i]], level);
  levels_.clear();
  for (const std::uint32_t link : touched_)
    if (links_[link].open > 0) levels_.push_back({links_[link].left / links_[link].open, link});
  std::make_heap(levels_.begin(), levels_.end());
  while (!levels_.empty()) {
    std::pop_heap(levels_.begin(), levels_.end());
    SharedLink& link = links_[levels_.back().link];
    if (link.open == 0) {
      levels_.pop_back();
      continue;
    }
    // Others have filled since: what they leave to each is more, never less.
    const double rate = link.left / link.open;
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
  changed_ = kNever;
}

// What the link has left for transfers at `level` and above, and which those are. Their other links
// are touched.
void FairShares::open_link(SharedLink& link, double level) {
  link.left = link.bandwidth;
  link.open = 0;
  std::erase_if(link.members, [&](Place place) { return !lives(place); });
  for (const Place& place : link.members) {
    Transfer& transfer = transfers_[place.slot];
    if (transfer.rate > 0 && transfer.rate < level) {
      link.left -= transfer.rate;
      continue;
    }
    ++link.open;
    if (transfer.open) continue;
    transfer.open = true;
    for (const LinkId other : transfer.path) touch(other);
  }
}

void FairShares::fill(SharedLink& link, double rate) {
  for (const Place& place : link.members) {
    Transfer& transfer = transfers_[place.slot];
    if (!transfer.open) continue;
    transfer.open = false;
    set_rate(place, rate);
    for (const LinkId other : transfer.path) {
      links_[index(other)].left -= transfer.rate;
      --links_[index(other)].open;
    }
  }
}

void FairShares::forget_old_ends() {
  const std::size_t moving = transfers_.size() - free_.size();
  if (ends_.size() <= 4 * moving + 64) return;
  std::erase_if(ends_, [&](const End& end) { return !holds(end); });
  std::make_heap(ends_.begin(), ends_.end());
}

void FairShares::set_rate(Place place, double rate) {
  Transfer& transfer = transfers_[place.slot];
  if (std::abs(rate - transfer.rate) <= kSameRate * transfer.rate) return;
  transfer.left = std::max(0.0, transfer.left - transfer.rate * (now_ - transfer.since));
  transfer.rate = rate;
  transfer.since = now_;
  transfer.end = now_ + transfer.left / rate;
  ends_.push_back({transfer.end, place});
  std::push_heap(ends_.begin(), ends_.end());
}

}  // namespace moesim
