// Work of the kernels every part shares: matrix products, element-wise passes, attention's pairs.
#include "sim/cost/kernel_work.h"

#include <algorithm>

namespace moesim {

double activation_bytes(const std::string& precision) {
  if (precision == "fp4") return 0.5625;  // nvfp4: a scale of one byte for 16 values
  if (precision == "fp8") return 1;
  return precision == "f32" ? 4 : 2;
}

KernelWork gemm_work(std::int64_t tokens, const MatrixShape& matrix, std::int64_t count) {
  const auto m = static_cast<double>(tokens), k = static_cast<double>(matrix.inner),
             n = static_cast<double>(matrix.outer), products = static_cast<double>(count);
  const double output_bytes = matrix.precision == "f32" ? 4 : 2;
  const double bytes = k * n * bytes_per_weight(matrix.format) +
                       m * k * activation_bytes(matrix.precision) + m * n * output_bytes;
  KernelWork work{"dense_gemm", Flops(2 * m * k * n * products), Bytes(bytes * products),
                  matrix.precision, dense_tiles(m, products)};
  work.tiles.inner = k;
  work.tiles.outer = n;
  work.tiles.element_bytes = activation_bytes(matrix.precision);
  work.point = {{k, n, products}, {m, 0}};
  return work;
}

KernelWork elementwise_work(std::int64_t tokens, std::int64_t values_a_token) {
  return {"elementwise", Flops(0), Bytes(2.0 * static_cast<double>(tokens * values_a_token)),
          "bf16"};
}

double attention_pairs(const BatchEntry& entry, std::int64_t sliding_window) {
  const double n = entry.new_tokens, context = entry.context;
  const auto triangle = [](double first, double last) {  // sum of first .. last
    return last < first ? 0.0 : (first + last) * (last - first + 1) / 2;
  };
  if (sliding_window == 0) return triangle(context + 1, context + n);
  const auto window = static_cast<double>(sliding_window);
  const double growing = std::clamp(window - context, 0.0, n);  // tokens that see all before them
  return triangle(context + 1, context + growing) + (n - growing) * window;
}

double attention_pairs(const BatchEntry& entry, const AttentionShape& shape) {
  if (shape.encoder)
    return static_cast<double>(entry.new_tokens) * (entry.context + entry.new_tokens);
  if (!shape.chunked) return attention_pairs(entry, shape.sliding_window);
  // Up to the end of the first chunk, whole chunks, the rest.
  const std::int64_t chunk = shape.sliding_window, first = entry.context % chunk,
                     last = first + entry.new_tokens;
  const auto triangle = [](std::int64_t n) {
    return static_cast<double>(n) * static_cast<double>(n + 1) / 2;
  };
  const std::int64_t whole = last / chunk;
  return static_cast<double>(whole) * triangle(chunk) + triangle(last % chunk) - triangle(first);
}

}  // namespace moesim
