// What kernels lose to another one that holds some of a GPU's SMs beside them.
#pragma once

namespace moesim {

// What limits the kernels beside it: FLOPs (prefill, training), or some of them memory (decode).
enum class KernelMix { compute, mixed };

// Share of their speed that they lose while `held` of `sms` SMs are taken: 1 - ((sms - held) /
// sms)^exponent, at most 0.95, 0 where the number of SMs is not known. The exponents are
// "held_sms_exponent" of topologies/calibration/kernels.json, with their measurement: below 1,
// since a GPU at its power limit clocks the SMs that are left higher, and kernels bound by memory
// need not all of them.
double speed_taken(int held, double sms, KernelMix mix);

}  // namespace moesim
