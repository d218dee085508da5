// Counts the choices of a batch's tokens into copies from rank to rank and per physical expert.
#pragma once

#include "sim/plan/all_to_all.h"
#include "sim/plan/expert_choices.h"

namespace moesim {

// Fills `copies` for one of the layers of `choices`, counted from choices.first_layer().
void count_copies(const RoutingInputs& inputs,
                  const ExpertChoices& choices,
                  std::size_t layer,
                  RoutedCopies& copies);

}  // namespace moesim
