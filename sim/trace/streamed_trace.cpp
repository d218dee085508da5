// A trace written column by column, each column made twice: for the hash, then for the file.
#include "sim/trace/streamed_trace.h"

#include <utility>
#include <vector>

#include "sim/core/error.h"
#include "sim/io/safetensors.h"
#include "sim/trace/trace_laws.h"

namespace moesim {
namespace {

struct ColumnForm {
  TraceColumn column;
  const char* name;
  Dtype dtype;
  bool routed;  // [token][moe_layer][k] instead of [token]
};

// In file order: wide elements first, so that every column stays aligned.
std::vector<ColumnForm> forms_of(const StreamedTrace& trace) {
  std::vector<ColumnForm> forms{{TraceColumn::request, "request", Dtype::i32, false},
                                {TraceColumn::position, "position", Dtype::i32, false},
                                {TraceColumn::step, "step", Dtype::i32, false}};
  if (trace.has_source_rank)
    forms.push_back({TraceColumn::source_rank, "source_rank", Dtype::i32, false});
  forms.push_back({TraceColumn::experts, "experts", Dtype::u16, true});
  if (trace.has_weights) forms.push_back({TraceColumn::weights, "weights", Dtype::f16, true});
  forms.push_back({TraceColumn::domain, "domain", Dtype::u8, false});
  forms.push_back({TraceColumn::phase, "phase", Dtype::u8, false});
  return forms;
}

}  // namespace

void write_trace(const std::string& path, const StreamedTrace& trace) {
  check_header(trace.header, path);
  if (trace.tokens == 0) throw InputError(path + ": the trace to be written holds no tokens");
  const auto tokens = static_cast<std::int64_t>(trace.tokens);
  const std::vector<std::int64_t> routed{
      tokens, static_cast<std::int64_t>(trace.header.layer_ids.size()), trace.header.top_k};
  Sha256 hash;
  std::vector<TensorStream> tensors;
  for (const ColumnForm& form : forms_of(trace)) {
    trace.fill(form.column, [&](std::span<const std::byte> data) { hash.add(data); });
    tensors.push_back(
        {form.name, form.dtype, form.routed ? routed : std::vector<std::int64_t>{tokens},
         [&trace, column = form.column](const Sink& sink) { trace.fill(column, sink); }});
  }
  TraceHeader header = trace.header;
  header.data_sha256 = hash.hex();
  stream_safetensors(path, tensors, trace_metadata(header));
}

}  // namespace moesim
