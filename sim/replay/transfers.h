// Bytes on their way in the engine. A transfer takes any path of links; completion is told by a
// call, so that nobody needs to wait for each.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "sim/replay/simgrid.h"

namespace moesim {

// Told, at the engine's present time, of each transfer that is through.
class TransferEnd {
 public:
  virtual ~TransferEnd() = default;
  virtual void arrived(std::uint32_t transfer) = 0;
};

class Transfers {
 public:
  Transfers(const Fabric& fabric, std::size_t ranks);

  // Adds links and one host a rank to the engine and seals its platform.
  const std::vector<engine::s4u::Host*>& build_platform(engine::s4u::Engine& engine);

  void clear();  // of the engine's own: before it goes

  // Called by the actor on rank's host: `bytes`, as if at the links' full rate, begin to move. The
  // path must live until the transfer has arrived. A transfer of no bytes or no links is not one.
  void start(std::size_t rank,
             std::span<const LinkId> path,
             double bytes,
             TransferEnd& end,
             std::uint32_t transfer);

 private:
  struct Moving {
    TransferEnd* end = nullptr;
    std::uint32_t transfer = 0;
    std::size_t rank = 0;
    engine::s4u::CommPtr sent, received;
  };
  static void on_arrival(Transfers& transfers, void* moving);

  const Fabric& fabric_;
  engine::PathZone* zone_ = nullptr;  // the engine's
  std::vector<engine::s4u::Host*> hosts_;
  std::vector<engine::s4u::Mailbox*> mailboxes_;
  std::vector<std::deque<Moving>> moving_;  // by rank; slots are used again
  std::vector<std::vector<Moving*>> idle_;  // by rank: slots whose transfer has arrived
  void* received_ = nullptr;                // the engine wants an address; nothing reads it
};

}  // namespace moesim
