// A checkpoint larger than the memory it may use still routes: weights stay in the file, and only
// the pages of the experts that tokens choose are ever read.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <fstream>

#include "sim/core/random.h"
#include "tests/workloads/golden.h"
#include "workloads/forward/checkpoint.h"

namespace moesim {
namespace {

constexpr std::int64_t kLayers = 4, kExperts = 512, kHidden = 256, kVocabulary = 64;

// A Mixtral whose experts are zeros: a hole in the file, which takes no disk. The routing depends
// on everything else, and so not on the experts' width.
class SparseModel {
 public:
  explicit SparseModel(std::int64_t width) {
    const nlohmann::json config = {
        {"model_type", "mixtral"},    {"vocab_size", kVocabulary},     {"hidden_size", kHidden},
        {"intermediate_size", width}, {"num_hidden_layers", kLayers},  {"num_attention_heads", 4},
        {"num_key_value_heads", 2},   {"num_local_experts", kExperts}, {"num_experts_per_tok", 2}};
    write_file(folder_ / "config.json", config.dump());
    add("model.embed_tokens.weight", {kVocabulary, kHidden});
    add("lm_head.weight", {kVocabulary, kHidden});
    add("model.norm.weight", {kHidden});
    for (std::int64_t layer = 0; layer < kLayers; ++layer) add_layer(layer);
    for (std::int64_t layer = 0; layer < kLayers; ++layer)
      for (std::int64_t expert = 0; expert < kExperts; ++expert) add_expert(layer, expert, width);
    std::string text = header_.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    const std::string path = folder_ / "model.safetensors";
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    file.write(reinterpret_cast<const char*>(values_.data()),
               static_cast<std::streamsize>(values_.size() * sizeof(float)));
    file.close();
    std::filesystem::resize_file(path, sizeof length + length + static_cast<std::size_t>(end_));
  }

  const std::string& path() const { return folder_.path(); }
  std::int64_t bytes() const { return end_; }

 private:
  void place(const std::string& name,
             const char* type,
             std::vector<std::int64_t> shape,
             std::int64_t size) {
    header_[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {end_, end_ + size}}};
    end_ += size;
  }
  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) elements *= size;
    Random random = Random::named(1, name);
    for (std::int64_t i = 0; i < elements; ++i)
      values_.push_back(static_cast<float>(random.normal() / 16));  // 1 / sqrt(hidden)
    place(name, "F32", shape, 4 * elements);
  }
  void add_layer(std::int64_t layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    add(prefix + "input_layernorm.weight", {kHidden});
    add(prefix + "post_attention_layernorm.weight", {kHidden});
    add(prefix + "self_attn.q_proj.weight", {kHidden, kHidden});
    add(prefix + "self_attn.k_proj.weight", {kHidden / 2, kHidden});
    add(prefix + "self_attn.v_proj.weight", {kHidden / 2, kHidden});
    add(prefix + "self_attn.o_proj.weight", {kHidden, kHidden});
    add(prefix + "block_sparse_moe.gate.weight", {kExperts, kHidden});
  }
  void add_expert(std::int64_t layer, std::int64_t expert, std::int64_t width) {
    const std::string prefix = "model.layers." + std::to_string(layer) +
                               ".block_sparse_moe.experts." + std::to_string(expert) + ".";
    for (const char* name : {"w1", "w3"})
      place(prefix + name + ".weight", "BF16", {width, kHidden}, 2 * width * kHidden);
    place(prefix + "w2.weight", "BF16", {kHidden, width}, 2 * width * kHidden);
  }

  test::TemporaryFolder folder_;
  nlohmann::json header_;
  std::vector<float> values_;
  std::int64_t end_ = 0;
};

// Limits what this process may hold in anonymous memory (RLIMIT_DATA counts all private writable
// mappings, and no file that is mapped for reading), as a small machine would.
class DataLimit {
 public:
  explicit DataLimit(rlim_t bytes) {
    getrlimit(RLIMIT_DATA, &before_);
#if !defined(__SANITIZE_ADDRESS__)  // its own tables are larger
    const rlimit limit{bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
#endif
  }
  ~DataLimit() { setrlimit(RLIMIT_DATA, &before_); }
  DataLimit(const DataLimit&) = delete;
  DataLimit& operator=(const DataLimit&) = delete;

 private:
  rlimit before_{};
};

#ifndef MOESIM_SANITIZE  // the sanitizers' shadow memory alone is beyond the limit
TEST_CASE("a checkpoint of 26 GB routes within 4 GiB of memory, as a small one does") {
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  const std::vector<std::int32_t> tokens{1, 60, 7, 33};
  const SparseModel large(8192), small(8);
  REQUIRE(large.bytes() > 6 * 4 * kGiB);
  const ForwardOutput expected = run_tokens(ForwardModel(small.path()), tokens);
  const DataLimit limit(4 * kGiB);
  const ForwardOutput output = run_tokens(ForwardModel(large.path()), tokens, 2);
  REQUIRE(output.routing.size() == kLayers);
  for (std::size_t layer = 0; layer < output.routing.size(); ++layer) {
    CHECK(output.routing[layer].experts == expected.routing[layer].experts);
    CHECK(output.routing[layer].weights == expected.routing[layer].weights);
  }
  CHECK(output.logits == expected.logits);
}
#endif

TEST_CASE("weights that pass through memory are the same after their pages were given back") {
  const SparseModel model(2048);  // 6.4 GB
  const Checkpoint passing(model.path(), 1), kept(model.path(), std::int64_t{1} << 40);
  const std::string name = "model.layers.3.self_attn.q_proj.weight";
  const auto a = passing.matrix(name, kHidden, kHidden), b = kept.matrix(name, kHidden, kHidden);
  Floats first, again, other;
  a->fetch();
  a->expand(0, kHidden, first);
  a->release();
  a->expand(0, kHidden, again);
  b->expand(0, kHidden, other);
  CHECK(first == again);
  CHECK(first == other);
}

}  // namespace
}  // namespace moesim
