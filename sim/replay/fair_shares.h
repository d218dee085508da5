// Bytes on their way over links that all transfers share max-min fairly: rates rise together, and a
// link that is full holds its transfers at the rate it then has (progressive filling; Bertsekas and
// Gallager, Data Networks, section 6.5.2). No SimGrid here.
//
// When transfers end or start, only rates from the lowest of theirs on can change: below it every
// link fills as it did. So a change costs what lies above it and hangs together with it, not all
// that is on its way: decision 0023.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/core/ids.h"

namespace moesim {

// Told, at the present time, of each transfer that is through.
class TransferEnd {
 public:
  virtual ~TransferEnd() = default;
  virtual void arrived(std::uint32_t transfer) = 0;
};

class FairShares {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();
  static constexpr double kTogether = 1e-12;  // s: ends this close are one

  explicit FairShares(const std::vector<double>& bandwidth);  // B/s, by link

  // `bytes`, over the reached share of the line rate, begin to move at `now`, s. The path, of one
  // link at least and none of them twice, and `end` must live until the transfer has arrived.
  void start(double now,
             std::span<const LinkId> path,
             double bytes,
             TransferEnd& end,
             std::uint32_t transfer);

  double next_end();         // s; kNever where nothing is on its way
  void advance(double now);  // to next_end() at most; tells of transfers that end by then

 private:
  using Slot = std::uint32_t;  // of a transfer
  struct Transfer {
    std::span<const LinkId> path;
    double bytes_left = 0;  // at `since`
    double since = 0;       // s
    double end = 0;         // s
    TransferEnd* told = nullptr;
    std::uint32_t number = 0;
  };
  struct SharedLink {
    double bandwidth = 0, rate_left = 0;  // B/s; the latter while rates are being found
    std::uint32_t open_members = 0;       // whose rate is being found
    std::uint32_t load = 0;               // transfers on their way
    bool touched = false;
    std::vector<Slot> members;  // and those that ended since rates were found
  };
  struct End {
    double time = 0;  // s
    Slot slot = 0;
    bool operator<(const End& other) const { return time > other.time; }  // of the heap
  };
  struct Level {
    double rate = 0;  // B/s, were all open transfers of the link to get the same of what is left
    std::uint32_t link = 0;
    bool operator<(const Level& other) const { return rate > other.rate; }  // of the heap
  };

  bool holds(const End& end) const { return transfers_[end.slot].end == end.time; }
  const End* first_end();
  void touch(LinkId link);
  void find_rates();
  void reopen(SharedLink& link, double level);
  void fill(SharedLink& link, double rate);
  void set_rate(Slot slot, double rate);
  void forget_old_ends();

  std::vector<Transfer> transfers_;  // by slot
  // By slot, apart because whole links are looked through for them: B/s, kFresh before the first
  // and kEnded; whether the rate is being found.
  std::vector<double> rate_;
  std::vector<char> is_open_;
  std::vector<Slot> free_, ended_;  // ended: no link forgot them yet
  std::vector<SharedLink> links_;
  std::vector<std::uint32_t> touched_;  // links whose transfers' rates are to be found
  double lowest_change_ = kNever;       // B/s: no rate below it can have changed
  double now_ = 0;                      // s: of the last start or end
  std::vector<Level> levels_;           // a heap, the lowest first
  std::vector<End> ends_;               // a heap, the earliest first; some out of date
};

}  // namespace moesim
