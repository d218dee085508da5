// Picked rows, column by column, through a small buffer.
#include "sim/trace/picked_rows.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/trace/streamed_trace.h"

namespace moesim {
namespace {

void check_choice(const PickedSource& source, std::size_t row, std::size_t moe_layer) {
  for (const std::uint16_t expert : source.trace.choice(row, moe_layer))
    if (expert >= source.trace.header.experts && expert != kNotRouted)
      throw InputError(fmt::format(
          "{}: tensor experts, token row {}: expert {} in layer {}, allowed: 0 to {}, and {} for "
          "not routed",
          source.name, row, expert, source.trace.header.layer_ids[moe_layer],
          source.trace.header.experts - 1, kNotRouted));
}

class PickedColumn {
 public:
  PickedColumn(const PickedRows& picked, const Sink& sink) : picked_(picked), buffer_(sink) {}

  void fill(TraceColumn column) {
    for (const RowRun& run : picked_.runs) {
      const PickedSource& source = picked_.sources[run.source];
      for (std::size_t row = run.first; row < run.first + run.count; ++row)
        add(column, source, row);
    }
    buffer_.flush();
  }

 private:
  void add(TraceColumn column, const PickedSource& source, std::size_t row) {
    const RoutingTrace& trace = source.trace;
    switch (column) {
      case TraceColumn::request:
        buffer_.add(source.requests.empty() ? trace.request[row]
                                            : source.requests.at(trace.request[row]));
        return;
      case TraceColumn::position:
        buffer_.add(trace.position[row]);
        return;
      case TraceColumn::step:
        buffer_.add(static_cast<std::int32_t>(trace.step[row] + source.step_shift));
        return;
      case TraceColumn::source_rank:
        buffer_.add(trace.source_rank[row]);
        return;
      case TraceColumn::experts:
        for (const std::size_t layer : source.moe_layers) {
          check_choice(source, row, layer);
          buffer_.add(trace.choice(row, layer));
        }
        return;
      case TraceColumn::weights:
        add_weights(source, row);
        return;
      case TraceColumn::domain:
        buffer_.add(source.domains[trace.domain[row]]);
        return;
      case TraceColumn::phase:
        buffer_.add(trace.phase[row]);
        return;
    }
  }

  void add_weights(const PickedSource& source, std::size_t row) {
    const auto k = static_cast<std::size_t>(source.trace.header.top_k);
    for (const std::size_t layer : source.moe_layers)
      buffer_.add(source.trace.weights.subspan((row * source.trace.moe_layers() + layer) * k, k));
  }

  const PickedRows& picked_;
  PieceBuffer buffer_;
};

}  // namespace

std::size_t PickedRows::tokens() const {
  std::size_t count = 0;
  for (const RowRun& run : runs) count += run.count;
  return count;
}

void append_row(std::vector<RowRun>& runs, std::size_t source, std::size_t row) {
  if (!runs.empty() && runs.back().source == source &&
      runs.back().first + runs.back().count == row) {
    ++runs.back().count;
    return;
  }
  runs.push_back({source, row, 1});
}

void write_picked(const std::string& path, const PickedRows& picked) {
  StreamedTrace trace;
  trace.header = picked.header;
  trace.tokens = picked.tokens();
  trace.has_weights = picked.keep_weights;
  trace.has_source_rank = picked.keep_source_rank;
  trace.fill = [&picked](TraceColumn column, const Sink& sink) {
    PickedColumn(picked, sink).fill(column);
  };
  write_trace(path, trace);
}

}  // namespace moesim
