// A weight matrix as the forward pass uses it: one or more stored tensors stacked by rows, read in
// their stored form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/forward/floats.h"
#include "workloads/forward/matrix_vector.h"

namespace moesim {

// A matrix [rows][columns] of one or more tensors stacked by rows (gate over up, q over k over v:
// one product instead of several). Resident weights are expanded to float32 at loading; others stay
// as they are stored and are expanded where used. Immutable, safe to share between threads.
class Weight {
 public:
  struct Part {
    StoredMatrix matrix;
    std::int64_t rows = 0;
    bool transposed = false;         // stored [columns][rows]
    std::string label;               // "<file>: tensor <name>", for messages
    std::int64_t first_element = 0;  // of the tensor: where this matrix (a slice of it) begins
  };
  // How the weights are kept: as stored; expanded; or as stored, and their pages of the file are
  // given back when used (the checkpoint is larger than the memory).
  enum class Keep { stored, resident, passing };
  Weight(std::vector<Part> parts, std::int64_t columns, Keep keep);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }

  // `count` rows from `first` as float32 [count][columns]: the resident copy, or the rows expanded
  // into `buffer`. InputError names tensor and element of a NaN or infinity.
  const float* expand(std::int64_t first, std::int64_t count, Floats& buffer) const;

  // operands.y = operands.x * (`count` rows from `first`) transposed, for few rows of x: reads the
  // stored form once. Bits do not depend on the number of x rows, nor on first and count. `buffer`
  // serves matrices stored transposed. InputError as above.
  void multiply(std::int64_t first,
                std::int64_t count,
                const FewRows& operands,
                Floats& buffer) const;

  // For weights that pass through memory, nothing otherwise: asks for the file's pages, all of
  // them, before a product; gives them back after it.
  void fetch() const;
  void release() const;

 private:
  struct Range {
    const Part& part;
    std::int64_t first, count;  // rows of the part
  };
  std::vector<Range> ranges(std::int64_t first, std::int64_t count) const;
  void expand_to(std::int64_t first, std::int64_t count, float* out) const;
  void expand_range(const Range& range, float* out) const;
  void advise(int advice) const;

  std::vector<Part> parts_;
  std::int64_t rows_ = 0, columns_ = 0;
  Keep keep_;
  Floats resident_;  // empty unless resident
};

}  // namespace moesim
