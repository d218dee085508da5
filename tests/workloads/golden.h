// Golden vectors and checkpoints made from them: what the tests of the forward pass share.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/safetensors.h"
#include "tests/source_dir.h"
#include "tests/temporary_folder.h"
#include "workloads/forward/forward.h"

namespace moesim {

inline std::string golden_folder(const std::string& name) {
  return test::source_dir() + "/tests/data/golden/" + name;
}

inline std::vector<float> floats_of(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

// Largest absolute difference; infinite when sizes differ or a value is NaN.
inline double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

inline std::string input_error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

// A golden model taken apart, to be changed and written again.
struct LooseCheckpoint {
  struct Tensor {
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> data;
  };
  nlohmann::json config;
  std::map<std::string, Tensor> tensors;

  explicit LooseCheckpoint(const std::string& golden)
      : config(nlohmann::json::parse(read_text_file(golden_folder(golden) + "/config.json"))) {
    const SafetensorsFile file(golden_folder(golden) + "/model.safetensors");
    for (const auto& [name, view] : file.tensors())
      tensors[name] = {view.dtype, view.shape, {view.data.begin(), view.data.end()}};
  }

  void write_config(const std::string& folder) const {
    write_file(folder + "/config.json", config.dump(1));
  }

  void write_tensors(const std::string& path,
                     const std::function<bool(const std::string&)>& chosen) const {
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors)
      if (chosen(name)) views.push_back({name, tensor.dtype, tensor.shape, tensor.data});
    write_safetensors(path, views, {});
  }

  void write(const std::string& folder) const {
    write_config(folder);
    write_tensors(folder + "/model.safetensors", [](const std::string&) { return true; });
  }

  std::vector<float> values(const std::string& name) const {
    const Tensor& tensor = tensors.at(name);
    return floats_of({name, tensor.dtype, tensor.shape, tensor.data});
  }

  void set(const std::string& name,
           const std::vector<std::int64_t>& shape,
           const std::vector<float>& floats) {
    Tensor tensor{Dtype::f32, shape, std::vector<std::byte>(floats.size() * sizeof(float))};
    std::memcpy(tensor.data.data(), floats.data(), tensor.data.size());
    tensors[name] = std::move(tensor);
  }

  // Rounds every weight to BF16 (to nearest, ties to even): stored as BF16, or as the same values
  // in F32.
  void round_to_bf16(Dtype stored) {
    for (auto& entry : tensors) {
      Tensor& tensor = entry.second;
      const std::vector<float> floats = values(entry.first);
      std::vector<std::uint16_t> halves;
      std::vector<float> rounded;
      for (const float value : floats) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        halves.push_back(static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
        rounded.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(halves.back()) << 16));
      }
      const auto bytes = stored == Dtype::bf16 ? std::as_bytes(std::span<std::uint16_t>(halves))
                                               : std::as_bytes(std::span<float>(rounded));
      tensor.dtype = stored;
      tensor.data.assign(bytes.begin(), bytes.end());
    }
  }
};

inline ForwardOutput run_tokens(const ForwardModel& model,
                                const std::vector<std::int32_t>& tokens,
                                int threads = 1) {
  const auto cache = model.new_cache();
  return model.run(tokens, *cache,
                   {.threads = threads, .logits = KeepLogits::all, .keep_blocks = true});
}

// As run_tokens, but the last `decoded` tokens go one by one through the cache.
inline ForwardOutput run_decoding(const ForwardModel& model,
                                  const std::vector<std::int32_t>& tokens,
                                  std::size_t decoded) {
  const auto cache = model.new_cache();
  const ForwardOptions options{.threads = 1, .logits = KeepLogits::all, .keep_blocks = true};
  const std::span<const std::int32_t> all(tokens);
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  ForwardOutput output = model.run(all.first(all.size() - decoded), *cache, options);
  for (std::size_t i = all.size() - decoded; i < all.size(); ++i) {
    const ForwardOutput next = model.run(all.subspan(i, 1), *cache, options);
    append(output.logits, next.logits);
    for (std::size_t layer = 0; layer < output.routing.size(); ++layer) {
      append(output.routing[layer].router_logits, next.routing[layer].router_logits);
      append(output.routing[layer].experts, next.routing[layer].experts);
      append(output.routing[layer].weights, next.routing[layer].weights);
    }
  }
  return output;
}

inline bool same_bits(const ForwardOutput& a, const ForwardOutput& b) {
  if (a.logits != b.logits || a.routing.size() != b.routing.size()) return false;
  for (std::size_t i = 0; i < a.routing.size(); ++i)
    if (a.routing[i].router_logits != b.routing[i].router_logits ||
        a.routing[i].experts != b.routing[i].experts ||
        a.routing[i].weights != b.routing[i].weights || a.routing[i].output != b.routing[i].output)
      return false;
  return true;
}

}  // namespace moesim
