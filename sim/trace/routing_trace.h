// RoutingTrace: which experts each token chose, layer by layer. Columnar, mapped straight from a
// safetensors file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moesim {

inline constexpr std::uint16_t kNotRouted =
    0xFFFF;  // dropped, fewer than top_k, or a zero-computation expert

enum class Phase : std::uint8_t { prefill = 0, decode = 1 };

struct TraceHeader {
  int format_version = 1;
  std::string model;
  int experts = 0;
  int top_k = 0;
  std::vector<int> layer_ids;  // the transformer layers the moe_layers axis stands for, ascending
  std::string origin;          // "forward", "imported" or "synthetic"
  std::uint64_t seed = 0;
  std::vector<std::string> domains;  // names by domain id
  std::string
      data_sha256;  // of the tensor data; made at write, the trace's identity in result keys
  std::vector<std::string> notes = {};  // what its maker says of it, a sentence each; may be none
};

// Columns have one row a token. experts and weights are [token][moe_layer][k], row-major; weights,
// source_rank may be empty. Spans point into `owner` (the mapped file or vectors).
struct RoutingTrace {
  TraceHeader header;
  std::span<const std::uint16_t> experts;
  std::span<const std::uint16_t> weights;  // IEEE half bits, may be empty
  std::span<const std::int32_t> request, position, step, source_rank;
  std::span<const std::uint8_t> domain, phase;
  std::shared_ptr<const void> owner;

  std::size_t tokens() const { return request.size(); }
  std::size_t moe_layers() const { return header.layer_ids.size(); }
  // The top_k choices of one token in one MoE layer.
  std::span<const std::uint16_t> choice(std::size_t token, std::size_t moe_layer) const {
    const auto k = static_cast<std::size_t>(header.top_k);
    return experts.subspan((token * moe_layers() + moe_layer) * k, k);
  }
};

// The same columns owned, for those who make a trace.
struct TraceColumns {
  TraceHeader header;
  std::vector<std::uint16_t> experts, weights;
  std::vector<std::int32_t> request, position, step, source_rank;
  std::vector<std::uint8_t> domain, phase;
};

// Makes a trace in memory from columns (checks the same laws as a file).
RoutingTrace make_trace(TraceColumns columns);

// Maps a trace file and checks header against shapes; expert ids are checked on `verify` (or when
// used), with the SHA-256. InputError names file, tensor and offset.
RoutingTrace open_trace(const std::string& path, bool verify = false);

// What is read of a file when it is opened: its header alone, whatever the file's size; also domain
// and phase of every token (open_trace without verify); or everything (with verify). Who opens by
// the header alone must not use domains or phases as indices before check_labels.
enum class TraceCheck { header, labels, all };
RoutingTrace open_trace(const std::string& path, TraceCheck check);
void write_trace(const std::string& path, const RoutingTrace& trace);  // fills data_sha256

// The __metadata__ of a trace file, with data_sha256 as the header says it.
std::map<std::string, std::string> trace_metadata(const TraceHeader& header);

}  // namespace moesim
