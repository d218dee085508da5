// Fair shares against rates found anew at every event by the definition, and against SimGrid's own
// network.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "sim/replay/simgrid.h"

using namespace moesim;

namespace {

struct Sent {
  double start = 0, bytes = 0;
  std::vector<LinkId> path;
};

struct Case {
  std::vector<double> bandwidth;
  std::vector<Sent> sent;
};

// Sources and destinations with a port each and a few links between that some of the transfers
// share; some take one link only. `unlike`: bandwidths from 1e6 to 1e12 B/s, else close to each
// other.
Case random_case(std::uint64_t seed, std::size_t ranks, bool late, bool unlike) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Case all;
  for (std::size_t i = 0; i < 2 * ranks + ranks / 2; ++i)
    all.bandwidth.push_back(unlike ? std::pow(10, 6 + 6 * uniform(random))
                                   : (i < 2 * ranks ? (i % 3 == 0 ? 40e9 : 50e9) : 60e9));
  std::vector<double> start(ranks);
  if (late)
    for (double& one : start) one = 1e-4 * uniform(random);
  for (std::size_t from = 0; from < ranks; ++from) {
    for (std::size_t to = 0; to < ranks; ++to) {
      if (from == to || uniform(random) < 0.2) continue;
      Sent one{start[from], std::floor(20 * uniform(random)) * 7168, {}};
      one.path.push_back(id_of<LinkId>(from));
      if (uniform(random) < 0.6) one.path.push_back(id_of<LinkId>(2 * ranks + to % (ranks / 2)));
      if (uniform(random) < 0.9) one.path.push_back(id_of<LinkId>(ranks + to));
      all.sent.push_back(std::move(one));
    }
  }
  return all;
}

class Ends : public TransferEnd {
 public:
  explicit Ends(std::size_t transfers) : of(transfers, -1) {}
  void arrived(std::uint32_t transfer) override { of.at(transfer) = now; }
  double now = 0;
  std::vector<double> of;
};

std::vector<double> shared_ends(const Case& all) {
  FairShares shares(all.bandwidth);
  Ends ends(all.sent.size());
  std::vector<std::uint32_t> order(all.sent.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return all.sent[a].start < all.sent[b].start;
  });
  std::size_t next = 0;
  while (true) {
    double start = FairShares::kNever;
    if (next < order.size()) start = all.sent[order[next]].start;
    ends.now = std::min(start, shares.next_end());
    if (ends.now == FairShares::kNever) break;
    shares.advance(ends.now);
    for (; next < order.size() && all.sent[order[next]].start == ends.now; ++next) {
      const Sent& one = all.sent[order[next]];
      shares.start(ends.now, one.path, one.bytes, ends, order[next]);
    }
  }
  return ends.of;
}

// Rates of those with bytes left, by the definition: the fullest link holds its transfers, without
// those the next one does.
std::vector<double> max_min_rates(const Case& all, const std::vector<char>& moving) {
  std::vector<double> rates(all.sent.size());
  std::vector<char> open = moving;
  std::vector<double> left = all.bandwidth;
  while (std::find(open.begin(), open.end(), 1) != open.end()) {
    std::vector<int> count(left.size());
    for (std::size_t i = 0; i < open.size(); ++i)
      if (open[i] != 0)
        for (const LinkId link : all.sent[i].path) ++count[index(link)];
    std::size_t fullest = 0;
    double least = FairShares::kNever;
    for (std::size_t link = 0; link < left.size(); ++link)
      if (count[link] > 0 && left[link] / count[link] < least)
        least = left[link] / count[fullest = link];
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto& path = all.sent[i].path;
      if (open[i] == 0 || std::find(path.begin(), path.end(), id_of<LinkId>(fullest)) == path.end())
        continue;
      open[i] = 0;
      rates[i] = least;
      for (const LinkId link : path) left[index(link)] -= least;
    }
  }
  return rates;
}

std::vector<double> defined_ends(const Case& all) {
  std::vector<double> left, ends(all.sent.size(), -1);
  for (const Sent& one : all.sent) left.push_back(one.bytes);
  double now = 0;
  while (true) {
    std::vector<char> moving(left.size());
    double next = FairShares::kNever;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (ends[i] >= 0) continue;
      if (all.sent[i].start <= now)
        moving[i] = 1;
      else
        next = std::min(next, all.sent[i].start);
    }
    const std::vector<double> rates = max_min_rates(all, moving);
    for (std::size_t i = 0; i < left.size(); ++i)
      if (moving[i] != 0) next = std::min(next, now + left[i] / rates[i]);
    if (next == FairShares::kNever) return ends;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (moving[i] == 0) continue;
      const bool ended = now + left[i] / rates[i] <= next + FairShares::kTogether;
      left[i] -= rates[i] * (next - now);
      if (ended) ends[i] = next;
    }
    now = next;
  }
}

// SimGrid 3.32 creates what 4.x adds.
template <class Zone>
auto* add_link(Zone& zone, const std::string& name, double bandwidth) {
  if constexpr (requires { zone.add_link(name, bandwidth); })
    return zone.add_link(name, bandwidth);
  else
    return zone.create_link(name, bandwidth);
}
template <class Zone>
auto* add_host(Zone& zone, const std::string& name) {
  if constexpr (requires { zone.add_host(name, 1.0); })
    return zone.add_host(name, 1.0);
  else
    return zone.create_host(name, 1.0);
}
template <class Zone, class Host>
void add_route(Zone& zone,
               Host* from,
               Host* to,
               const std::vector<simgrid::s4u::LinkInRoute>& path) {
  if constexpr (requires { zone.add_route(from, to, path, false); })
    zone.add_route(from, to, path, false);
  else
    zone.add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, path, false);
}

// One host a transfer and end, a route of the links between them, latency 0.
std::vector<double> engine_ends(const Case& all) {
  namespace s4u = simgrid::s4u;
  std::vector<std::string> words{"test",
                                 "--log=root.thresh:warning",
                                 "--cfg=network/model:CM02",
                                 "--cfg=network/crosstraffic:0",
#ifdef MOESIM_SANITIZE
                                 "--cfg=contexts/factory:thread",
#endif
                                 "--cfg=surf/precision:1e-12"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  s4u::Engine one_engine(&count, arguments.data());
#if SIMGRID_VERSION_MAJOR >= 4
  s4u::NetZone* const zone = one_engine.get_netzone_root()->add_netzone_full("all");
#else
  s4u::NetZone* const zone = s4u::create_full_zone("all");
#endif
  constexpr double kUnits = 1048576;  // per byte: SimGrid counts whole ones
  std::vector<const s4u::Link*> links;
  for (std::size_t link = 0; link < all.bandwidth.size(); ++link)
    links.push_back(add_link(*zone, std::to_string(link), all.bandwidth[link] * kUnits)
                        ->set_latency(0)
                        ->seal());
  std::vector<double> ends(all.sent.size(), -1);
  const double origin = s4u::Engine::get_clock();
  for (std::size_t i = 0; i < all.sent.size(); ++i) {
    const Sent& one = all.sent[i];
    s4u::Host* const from = add_host(*zone, "from " + std::to_string(i))->seal();
    s4u::Host* const to = add_host(*zone, "to " + std::to_string(i))->seal();
    std::vector<s4u::LinkInRoute> path;
    for (const LinkId link : one.path) path.emplace_back(links[index(link)]);
    add_route(*zone, from, to, path);
    engine::add_actor(one_engine, "send", from, [&one, &ends, i, from, to, origin] {
      s4u::this_actor::sleep_until(origin + one.start);
      s4u::Comm::sendto(from, to, static_cast<std::uint64_t>(one.bytes * kUnits));
      ends[i] = s4u::Engine::get_clock() - origin;
    });
  }
  zone->seal();
  one_engine.run();
  return ends;
}

void check_same(const std::vector<double>& ends, const std::vector<double>& expected) {
  REQUIRE(ends.size() == expected.size());
  for (std::size_t i = 0; i < ends.size(); ++i)
    CHECK(ends[i] == doctest::Approx(expected[i]).epsilon(1e-9));
}

}  // namespace

TEST_CASE("transfers end when max-min shares by their definition say") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Case all = random_case(seed, 4 + seed % 9, seed % 2 == 0, seed % 3 == 0);
    CAPTURE(seed);
    check_same(shared_ends(all), defined_ends(all));
  }
}

TEST_CASE("transfers end when SimGrid's own network says") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const Case all = random_case(100 + seed, 6 + seed, seed % 2 == 0, false);
    CAPTURE(seed);
    check_same(shared_ends(all), engine_ends(all));
  }
}

TEST_CASE("a transfer alone takes its bytes over the slowest link; two halve what they share") {
  const std::vector<LinkId> first{id_of<LinkId>(0), id_of<LinkId>(1)};
  const std::vector<LinkId> second{id_of<LinkId>(0)};
  const Case all{{10, 4}, {{0, 40, first}, {5, 42, second}}};
  const std::vector<double> ends = shared_ends(all);
  CHECK(ends[0] == doctest::Approx(10));              // at 4 B/s all the way
  CHECK(ends[1] == doctest::Approx(10 + 12 / 10.0));  // 6 B/s until then, 10 from there on
}

TEST_CASE("slots of transfers that are through are used again, by other paths too") {
  const std::vector<LinkId> narrow{id_of<LinkId>(0)}, wide{id_of<LinkId>(1)};
  FairShares shares({1, 1000});
  Ends ends(3000);
  for (std::uint32_t i = 0; i < 3000; ++i) {
    shares.start(ends.now, i % 2 == 0 ? wide : narrow, i % 2 == 0 ? 1000 : 1, ends, i);
    ends.now = shares.next_end();
    shares.advance(ends.now);
  }
  CHECK(ends.of[0] == doctest::Approx(1));
  CHECK(ends.of[2999] == doctest::Approx(3000));
  CHECK(shares.next_end() == FairShares::kNever);
}
