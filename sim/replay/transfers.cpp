// A transfer is a message that its rank's actor sends to itself. Sent and received by an actor of
// few others it costs 6 us in SimGrid 3.32; a detached one, or one between hosts, is entered in a
// list of all that are on their way, which each completion searches from end to end.
#include "sim/replay/transfers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

namespace s4u = engine::s4u;

// SimGrid counts whole bytes; transfers are counted in units of 2^-20 B, so that rounding one
// changes no time by a billionth.
constexpr double kUnitsPerByte = 1048576;

}  // namespace

Transfers::Transfers(const Fabric& fabric, std::size_t ranks)
    : fabric_(fabric), moving_(ranks), idle_(ranks) {}

const std::vector<s4u::Host*>& Transfers::build_platform(s4u::Engine& engine) {
  zone_ = engine::make_zone(engine, moving_.size());
  for (std::size_t link = 0; link < fabric_.links.size(); ++link)
    zone_->add_link_named(fmt::format("link {}", link),
                          fabric_.links[link].bandwidth.value * kUnitsPerByte);
  for (std::size_t rank = 0; rank < moving_.size(); ++rank) {
    const std::string name = fmt::format("rank {}", rank);
    hosts_.push_back(zone_->add_host_named(name));
    mailboxes_.push_back(s4u::Mailbox::by_name(name));
  }
  zone_->get_iface()->seal();
  return hosts_;
}

void Transfers::start(std::size_t rank,
                      std::span<const LinkId> path,
                      double bytes,
                      TransferEnd& end,
                      std::uint32_t transfer) {
  Moving* moving = nullptr;
  if (idle_[rank].empty()) {
    moving = &moving_[rank].emplace_back();
  } else {
    moving = idle_[rank].back();
    idle_[rank].pop_back();
  }
  moving->end = &end;
  moving->transfer = transfer;
  moving->rank = rank;
  zone_->set_path(rank, path);
  const auto copy = [this](simgrid::kernel::activity::CommImpl*, void* sent, std::size_t) {
    on_arrival(*this, sent);
  };
  moving->sent = mailboxes_[rank]->put_init();
  moving->sent->set_src_data(moving, sizeof(void*));
  moving->sent->set_payload_size(
      static_cast<std::uint64_t>(std::max(1LL, std::llround(bytes * kUnitsPerByte))));
  moving->sent->set_copy_data_callback(copy);
  moving->sent->start();
  moving->received = mailboxes_[rank]->get_init();
  moving->received->set_dst_data(&received_, sizeof(void*));
  moving->received->set_copy_data_callback(copy);
  moving->received->start();
}

void Transfers::clear() {
  moving_.clear();
  idle_.clear();
}

// Runs within the engine, between two actors' turns.
void Transfers::on_arrival(Transfers& transfers, void* moving) {
  auto* const arrived = static_cast<Moving*>(moving);
  transfers.idle_[arrived->rank].push_back(arrived);
  arrived->end->arrived(arrived->transfer);
}

}  // namespace moesim
