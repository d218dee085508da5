// The passes behind trace_forward: which requests run together, and the rows they leave.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "workloads/forward/trace_forward.h"

namespace moesim {

// A request before it runs; `tokens` outlive the run.
struct WaitingRequest {
  std::uint8_t domain = 0;
  std::span<const std::int32_t> tokens;
};

class TraceRun {
 public:
  // `columns` holds the header; `layers` are the indices, among the model's MoE layers, of those
  // that are recorded.
  TraceRun(const ForwardModel& model,
           const TraceRequest& request,
           std::vector<std::size_t> layers,
           TraceColumns& columns,
           BalanceLosses& losses);

  // Runs the requests, numbered from 0, and appends their rows in that order.
  void run(std::span<const WaitingRequest> waiting, const TraceProgress& progress);

 private:
  struct OpenRequest {
    std::int32_t number = 0;
    Random random = Random(0);
    std::uint8_t domain = 0;
    std::shared_ptr<ForwardModel::Cache> cache;  // gone when the request is done
    std::span<const std::int32_t> encoded;       // what an encoder still has to read
    std::vector<std::int32_t> tokens;            // fed to the decoder, and what it generated
    std::size_t fed = 0, prefilled = 0;          // the first `prefilled` are fed in pieces
    int to_generate = 0;
    std::int32_t step = 0;
    // What rows say, [row] or [row][layer][top_k].
    std::vector<std::uint16_t> experts, weights;
    std::vector<std::int32_t> steps;
    std::vector<std::uint8_t> phases;
  };
  // Rows first .. first + count of an output belong to a request.
  struct Fed {
    OpenRequest* request;
    std::size_t first, count;
    Phase phase;
  };

  OpenRequest open(std::int32_t number, const WaitingRequest& waiting) const;
  Fed next_piece(OpenRequest& request, std::size_t first_row) const;
  void encode();
  void pass();
  void record(const Fed& fed, const ForwardOutput& output);
  void record_token(const Fed& fed, std::size_t row, const ForwardOutput& output);
  void add_losses(const Fed& fed, const ForwardOutput& output);
  void go_on(OpenRequest& request, std::span<const float> logits);
  void write_done();

  const ForwardModel& model_;
  const TraceRequest& request_;
  std::vector<std::size_t> layers_;
  TraceColumns& columns_;
  BalanceLosses& losses_;
  std::size_t top_k_;
  std::deque<OpenRequest> open_;  // by number; done ones wait for those before them
  std::int64_t rows_ = 0;
};

}  // namespace moesim
