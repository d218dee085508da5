// A Hugging Face checkpoint folder: weights by tensor name, from one safetensors file or from
// shards with an index, in any of the stored formats; or weights drawn from a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/io/safetensors.h"
#include "workloads/forward/floats.h"
#include "workloads/forward/random_weights.h"
#include "workloads/forward/stored_tensors.h"
#include "workloads/forward/weight.h"

namespace moesim {

class Checkpoint {
 public:
  // Models whose weights take less than this as float32 are kept expanded in memory.
  static constexpr std::int64_t kResidentBytes = std::int64_t{512} << 20;

  // Files larger than `memory` bytes (0: those this machine, or the limit of its control group,
  // has) give their pages back behind each use.
  explicit Checkpoint(const std::string& folder, std::int64_t memory = 0);
  // Random weights: any tensor asked for exists, drawn from the seed (random_weights.h).
  explicit Checkpoint(std::uint64_t seed);
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;  // weights point into it
  Checkpoint& operator=(const Checkpoint&) = delete;

  // The tensors, each [rows of that one][columns], stacked. InputError: missing (name and file),
  // misshapen (found and expected), in a type or with scales that are not implemented (the formats:
  // stored_tensors.h), not finite.
  using Request = MatrixRequest;
  std::shared_ptr<const Weight> stacked(const std::vector<Request>& tensors,
                                        std::int64_t columns) const;
  std::shared_ptr<const Weight> matrix(const std::string& name,
                                       std::int64_t rows,
                                       std::int64_t columns) const;
  Floats vector(const std::string& name, std::int64_t size) const;
  // All elements of a small tensor of any shape, row-major; F32, BF16 or F16.
  Floats tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;
  // An integer tensor (I64, I32, I16, I8, U8), all of 0 .. limit - 1, row-major.
  std::vector<std::int64_t> ids(const std::string& name,
                                const std::vector<std::int64_t>& shape,
                                std::int64_t limit) const;
  // Whether the file has a tensor of exactly this name. Random weights have every name: offer the
  // form that you prefer first, and nothing optional by this alone.
  bool has(const std::string& name) const { return random_ || stored_.find(name) != nullptr; }
  bool random() const { return random_ != nullptr; }

 private:
  void add_file(const std::string& path);
  void read_index(const std::string& path, const std::string& folder);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  StoredTensors stored_;
  std::unique_ptr<const RandomWeights> random_;  // null: from files
  Weight::Keep keep_ = Weight::Keep::stored;
};

}  // namespace moesim
