// One exchange on a cluster described by a few numbers, as benchmarks of exchanges are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/plan/all_to_all.h"
#include "sim/plan/draw_routing.h"
#include "sim/plan/fabric_paths.h"
#include "sim/plan/link_loads.h"

namespace moesim {

struct ExchangeCase {
  Cluster cluster;
  std::string algorithm;  // of the catalog
  RoutingDraw routing;
  ExchangeShape shape;
  std::string calibration;  // see TimingQuery
};

enum class ExchangeDirection { dispatch, combine };
std::string to_text(ExchangeDirection direction);

// Times of one exchange, of the average rank as benchmarks report them, averaged over draws of the
// routing until 1024 tokens a rank are drawn, 16 at most.
class ExchangeProbe {
 public:
  ExchangeProbe(ExchangeCase described, ExchangeDirection direction);
  const TimingQuery& query() const { return query_; }
  const ExchangeTiming& timing() const { return timing_; }
  Seconds time(const ExchangeTiming& timing) const;
  Seconds time() const { return time(timing_); }
  // Of the routing drawn: rows a token sends, by what a source may call a row; own ones included.
  double copies_per_token() const, ranks_per_token() const, nodes_per_token() const;
  Seconds at_line_rate() const;  // busiest port of the average draw
  Seconds uniform() const;       // token copies spread evenly over all ranks

 private:
  std::vector<Exchange> exchanges(const std::vector<ExchangeTraffic>& stages,
                                  const ExchangeTiming& timing) const;
  std::vector<Seconds> by_rank(const std::vector<ExchangeTraffic>& stages,
                               const ExchangeTiming& timing) const;

  ExchangeCase case_;
  ExchangeDirection direction_;
  FabricPaths paths_;
  TimingQuery query_;
  ExchangeTiming timing_;
  double sm_speed_ = 1;
  std::vector<std::shared_ptr<const RoutedCopies>> draws_;
  std::vector<std::vector<ExchangeTraffic>> traffic_;  // by draw: stages
};

}  // namespace moesim
