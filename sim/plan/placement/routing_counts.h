// Which experts tokens of the planning window choose together.
#pragma once

#include <string>
#include <vector>

#include "sim/plan/placement.h"

namespace moesim {

// Tokens by two experts.
class ExpertPairs {
 public:
  explicit ExpertPairs(std::size_t experts) : experts_(experts), tokens_(experts * experts, 0) {}
  std::size_t experts() const { return experts_; }
  std::uint32_t& at(std::size_t a, std::size_t b) { return tokens_[a * experts_ + b]; }
  std::uint32_t at(std::size_t a, std::size_t b) const { return tokens_[a * experts_ + b]; }

 private:
  std::size_t experts_;
  std::vector<std::uint32_t> tokens_;
};

// InputError: the strategy was given loads alone.
void require_tokens(const PlacementInput& input, const std::string& strategy);

// Tokens that chose both experts in this layer; symmetric, nothing on the diagonal.
ExpertPairs co_activation(const PlanningTokens& tokens, std::size_t layer);

// Tokens that chose the first expert in this layer and the second in the next.
ExpertPairs transitions(const PlanningTokens& tokens, std::size_t layer);

}  // namespace moesim
