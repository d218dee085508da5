// What one rank does in one direction of a layer: computes, exchanges copies with its EP group, and
// talks to its tensor-parallel group.
#pragma once

#include "sim/core/units.h"

namespace moesim {

struct PassTime {
  Seconds compute{}, exchange{}, tensor{};

  PassTime& operator+=(const PassTime& other) {
    compute += other.compute;
    exchange += other.exchange;
    tensor += other.tensor;
    return *this;
  }
  Seconds total() const { return compute + exchange + tensor; }
};

struct LayerPasses {  // of one micro-batch
  PassTime forward;
  // Backward to the layer's inputs, with what is computed again, and to its weights.
  PassTime backward_input, backward_weight;

  LayerPasses& operator+=(const LayerPasses& other) {
    forward += other.forward;
    backward_input += other.backward_input;
    backward_weight += other.backward_weight;
    return *this;
  }
  PassTime backward() const {
    PassTime sum = backward_input;
    sum += backward_weight;
    return sum;
  }
};

}  // namespace moesim
