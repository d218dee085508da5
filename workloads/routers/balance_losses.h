// How unbalanced a router's choices are, in the terms that training adds to its loss. Every value
// names its convention, because the same words stand for different scales.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace moesim {

struct BalanceLoss {
  std::string name;  // the convention
  double value = 0;
  double balanced = 0;  // its value when all experts are alike; NaN where there is none
};

// Collects what the MoE layers of a forward pass decided; layers are weighed alike unless a
// convention says otherwise. With f_e the share of tokens (or choices) that expert e gets, P_e the
// mean over tokens of softmax(logits)_e, E experts and top-k:
//   hub          E sum f_e P_e over all layers' tokens together, f_e choices a token, so balanced =
//   k
//                (transformers load_balancing_loss_func; its choice is the top-k of the logits)
//   switch       E sum f_e P_e, f_e the share of first choices, a layer's mean (arXiv 2101.03961,
//                equation 4); GShard's l_aux x E (arXiv 2006.16668, algorithm 1) is the same number
//   megatron     E sum f_e P_e, f_e the share of all choices that are routed (Megatron-LM
//                switch_load_balancing_loss_func)
//   z            mean of logsumexp(logits)^2 over tokens and layers (ST-MoE, arXiv 2202.08906, eq.
//   5) importance   variance / mean^2 of the experts' summed routing weights (arXiv 1701.06538, eq.
//   7,
//                without its coefficient)
//   sequence     sum f_e P_e within each request, f_e = E / (k T) choices, P_e the mean of
//                sigmoid(logits)_e / sum of them (DeepSeek-V3, arXiv 2412.19437, equations 17-20)
class BalanceLosses {
 public:
  // Zero-computation experts (LongCat) are not counted: logits may be wider than `experts`.
  BalanceLosses(std::size_t layers, std::size_t experts, std::size_t top_k);

  // Tokens of one request in MoE layer `layer`: logits [tokens][columns >= experts], chosen experts
  // and weights [tokens][top_k].
  void add(std::size_t layer,
           std::int64_t request,
           std::span<const float> logits,
           std::span<const std::uint16_t> chosen,
           std::span<const float> weights);
  // No more tokens of this request will come.
  void end_request(std::int64_t request);

  std::vector<BalanceLoss> values() const;  // requests not yet ended are not in "sequence"

 private:
  struct Layer {
    std::uint64_t tokens = 0;
    double z = 0;
    std::vector<double> shares, first, chosen, weight, top_of_logits;  // [experts]
  };
  struct Sequence {
    std::uint64_t tokens = 0;
    std::vector<double> shares, chosen;  // [layers][experts]
  };
  void add_token(Layer& layer, std::span<const float> logits);

  std::size_t experts_, top_k_;
  std::vector<Layer> layers_;
  std::map<std::int64_t, Sequence> open_;
  double sequence_sum_ = 0;      // over ended requests and layers
  std::uint64_t sequences_ = 0;  // ended (request, layer) pairs
  std::vector<float> scratch_;
};

// One line a convention.
std::string balance_losses_text(const BalanceLosses& losses);

}  // namespace moesim
