// A Hugging Face checkpoint folder: weights by tensor name, from one safetensors file or from
// shards with an index; stored F32 or BF16, used as float32.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/io/safetensors.h"
#include "workloads/forward/floats.h"

namespace moesim {

// A matrix [rows][columns] of one or more tensors stacked by rows (gate over up, q over k over v:
// one product instead of several). Resident weights are expanded to float32 at loading; others stay
// mapped and are expanded where used. Immutable, safe to share between threads.
class Weight {
 public:
  struct Part {
    const TensorView* tensor;
    const std::string* file;
    std::int64_t rows;
  };
  Weight(std::vector<Part> parts, std::int64_t columns, bool resident);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }

  // `count` rows from `first` as float32 [count][columns]: the resident copy, or the rows expanded
  // into `buffer`. InputError names tensor and element of a NaN or infinity.
  const float* expand(std::int64_t first, std::int64_t count, Floats& buffer) const;

 private:
  void expand_to(std::int64_t first, std::int64_t count, float* out) const;

  std::vector<Part> parts_;
  std::int64_t rows_ = 0, columns_ = 0;
  Floats resident_;  // empty unless resident
};

class Checkpoint {
 public:
  // Models whose weights take less than this as float32 are kept expanded in memory.
  static constexpr std::int64_t kResidentBytes = std::int64_t{512} << 20;

  explicit Checkpoint(const std::string& folder);
  // Random weights: any tensor asked for exists, drawn from the seed (LoadOptions::random_seed).
  explicit Checkpoint(std::uint64_t seed);
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;  // weights point into it
  Checkpoint& operator=(const Checkpoint&) = delete;

  // The tensors, each [rows of that one][columns], stacked. InputError: missing (name and file),
  // misshapen (found and expected), neither F32 nor BF16, not finite.
  struct Request {
    std::string name;
    std::int64_t rows = 0;
    // Of a tensor [n][rows][columns]: which of the n (experts fused in one tensor). -1: no such
    // axis.
    std::int64_t slice = -1, slices = 0;
    bool transposed = false;  // stored [columns][rows], as gpt-oss and Llama 4 do
  };
  std::shared_ptr<const Weight> stacked(const std::vector<Request>& tensors,
                                        std::int64_t columns) const;
  std::shared_ptr<const Weight> matrix(const std::string& name,
                                       std::int64_t rows,
                                       std::int64_t columns) const;
  Floats vector(const std::string& name, std::int64_t size) const;
  // All elements of a small tensor of any shape, row-major.
  Floats tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;
  bool has(const std::string& name) const { return places_.count(name) != 0; }

 private:
  struct Place {
    const TensorView* tensor;
    const std::string* file;
  };
  void add_file(const std::string& path);
  void read_index(const std::string& path, const std::string& folder);
  Place find(const std::string& name, const std::vector<std::int64_t>& shape) const;

  std::string description_;  // the file, or the index: where a missing tensor should have been
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
  bool resident_ = false;
};

}  // namespace moesim
