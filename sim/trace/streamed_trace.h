// Writing a trace that is never whole in memory: its columns are made piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/io/files.h"
#include "sim/trace/routing_trace.h"

namespace moesim {

enum class TraceColumn { request, position, step, source_rank, experts, weights, domain, phase };

struct StreamedTrace {
  TraceHeader header;  // data_sha256 is filled at write
  std::size_t tokens = 0;
  bool has_weights = false, has_source_rank = false;
  // Gives the sink one column's bytes (row-major, as in RoutingTrace), the same on every call: a
  // column is asked for twice, once for the hash that stands before the data in the file.
  std::function<void(TraceColumn, const Sink&)> fill;
};

// Writes the same bytes as write_trace would for the whole trace. InputError when the header breaks
// a law or there are no tokens. Expert ids are the filler's affair.
void write_trace(const std::string& path, const StreamedTrace& trace);

// Collects small pieces into large ones before they go to a sink; the last leave with flush().
class PieceBuffer {
 public:
  explicit PieceBuffer(const Sink& sink) : sink_(sink) { bytes_.reserve(kSize); }

  template <class T>
  void add(std::span<const T> values) {
    const std::span<const std::byte> bytes = std::as_bytes(values);
    if (bytes_.size() + bytes.size() > kSize) flush();
    if (bytes.size() > kSize) {
      sink_(bytes);
      return;
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  template <class T>
  void add(T value) {
    add(std::span<const T>(&value, 1));
  }
  void flush() {
    if (!bytes_.empty()) sink_(bytes_);
    bytes_.clear();
  }

 private:
  static constexpr std::size_t kSize = std::size_t{1} << 18;
  const Sink& sink_;
  std::vector<std::byte> bytes_;
};

}  // namespace moesim
