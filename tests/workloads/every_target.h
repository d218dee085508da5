// Runs a check on every instruction set that this CPU has.
#pragma once

#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <functional>

namespace moesim {

// Runs `check` once for each of them, and leaves the best one chosen.
inline void on_every_target(const std::function<void()>& check) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::GetChosenTarget().Update(target);
    CAPTURE(hwy::TargetName(target));
    check();
  }
  hwy::GetChosenTarget().DeInit();
}

}  // namespace moesim
