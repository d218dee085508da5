// A plan that cannot be laid out is refused by key, with the nearest one that can.
#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {
namespace {

MoeModel model_of(int experts) {
  MoeModel model;
  model.experts = experts;
  return model;
}

ShardingPlan plan_of(int ranks, int expert, int tensor, int redundant) {
  ShardingPlan plan;
  plan.parallelism = {ranks, expert, tensor};
  plan.redundant_experts = redundant;
  return plan;
}

}  // namespace

TEST_CASE("plans that fit pass") {
  CHECK_NOTHROW(check_plan(plan_of(16, 16, 1, 0), model_of(32)));
  CHECK_NOTHROW(check_plan(plan_of(16, 8, 4, 8), model_of(32)));
  CHECK_NOTHROW(check_plan(plan_of(320, 320, 1, 64), model_of(256)));
  CHECK_NOTHROW(check_plan(plan_of(4, 4, 4, 24), model_of(8)));  // every expert on every rank
  CHECK_NOTHROW(check_plan(plan_of(4, 1, 1, 0), model_of(8)));
}

TEST_CASE("an EP size beyond the ranks, or that does not divide them, names the nearest that do") {
  CHECK_THROWS_WITH_AS(check_plan(plan_of(16, 32, 1, 0), model_of(32)),
                       "plan.expert_parallel: 32 exceeds the 16 ranks; the nearest sizes that "
                       "divide ranks and slots: 16",
                       InputError);
  CHECK_THROWS_WITH_AS(check_plan(plan_of(16, 6, 1, 0), model_of(32)),
                       "plan.expert_parallel: 6 does not divide the 16 ranks; the nearest sizes "
                       "that divide ranks and slots: 4 and 8",
                       InputError);
  CHECK_THROWS_WITH_AS(check_plan(plan_of(16, 0, 1, 0), model_of(32)),
                       "plan.expert_parallel: 0 is below 1; the nearest sizes that divide ranks "
                       "and slots: 1",
                       InputError);
}

TEST_CASE("an EP size that does not divide the slots also names redundant experts that would do") {
  // 40 slots on 16 ranks; of the divisors of 16, 8 divides 40. The next multiple of 16 is 48.
  CHECK_THROWS_WITH_AS(
      check_plan(plan_of(16, 16, 1, 8), model_of(32)),
      "plan.expert_parallel: 16 does not divide the 40 slots (32 experts + 8 redundant; 16 "
      "redundant would make it); the nearest sizes that divide ranks and slots: 8",
      InputError);
}

TEST_CASE("experts are split over the tensor-parallel group or not at all") {
  MoeModel model = model_of(32);
  model.expert_width = 1024;
  ShardingPlan plan = plan_of(16, 1, 8, 0);
  plan.parallelism.expert_tensor = 8;
  CHECK_NOTHROW(check_plan(plan, model));
  plan.parallelism.expert_tensor = 4;
  CHECK_THROWS_WITH_AS(check_plan(plan, model),
                       "plan.expert_tensor_parallel: 4 with tensor_parallel 8 and expert_parallel "
                       "1: experts are split over the tensor-parallel group, which needs "
                       "tensor_parallel 4 and expert_parallel 1",
                       InputError);
  plan.parallelism.expert_tensor = 8;
  model.expert_width = 4;
  CHECK_THROWS_WITH_AS(check_plan(plan, model),
                       "plan.expert_tensor_parallel: 8 exceeds the width of an expert, 4",
                       InputError);
}

TEST_CASE("a TP size that does not divide the ranks is refused") {
  CHECK_THROWS_WITH_AS(check_plan(plan_of(16, 16, 3, 0), model_of(32)),
                       "plan.tensor_parallel: 3 does not divide the 16 ranks; the nearest that "
                       "do: 2 and 4",
                       InputError);
  CHECK_THROWS_AS(check_plan(plan_of(16, 16, 0, 0), model_of(32)), InputError);
  CHECK_THROWS_AS(check_plan(plan_of(16, 16, -4, 0), model_of(32)), InputError);
}

TEST_CASE("redundant experts run from none to every expert on every rank") {
  CHECK_THROWS_WITH_AS(check_plan(plan_of(4, 4, 1, 28), model_of(8)),
                       "plan.redundant_experts: 28 is too many: at 24 each of the 4 ranks of an EP "
                       "group holds all 8 experts",
                       InputError);
  CHECK_THROWS_WITH_AS(check_plan(plan_of(4, 4, 1, -4), model_of(8)),
                       "plan.redundant_experts: -4 is below 0, the least allowed", InputError);
}

TEST_CASE("a plan without ranks is refused") {
  CHECK_THROWS_AS(check_plan(plan_of(0, 1, 1, 0), model_of(8)), InputError);
}

TEST_CASE("a pipeline divides the ranks and has a layer a stage; groups lie within a stage") {
  MoeModel model = model_of(32);
  model.name = "four";
  model.layers.resize(4);
  const auto check = [&](const Parallelism& sizes) {
    ShardingPlan plan;
    plan.parallelism = sizes;
    check_plan(plan, model);
  };
  CHECK_NOTHROW(check({16, 8, 2, 2}));
  CHECK_NOTHROW(check({16, 4, 4, 4}));
  CHECK_THROWS_WITH_AS(check({16, 4, 1, 3}),
                       "plan.pipeline_parallel: 3 does not divide the 16 ranks; the nearest that "
                       "do: 2 and 4",
                       InputError);
  CHECK_THROWS_WITH_AS(check({16, 2, 1, 8}),
                       "plan.pipeline_parallel: 8 stages are more than the 4 layers of four",
                       InputError);
  CHECK_THROWS_WITH_AS(check({16, 16, 1, 2}),
                       "plan.expert_parallel: 16 exceeds the 8 ranks of a pipeline stage; the "
                       "nearest sizes that divide ranks and slots: 8",
                       InputError);
  CHECK_THROWS_WITH_AS(check({24, 8, 1, 2}),
                       "plan.expert_parallel: 8 does not divide the 12 ranks of a pipeline stage; "
                       "the nearest sizes that divide ranks and slots: 4",
                       InputError);
  CHECK_THROWS_WITH_AS(check({16, 4, 8, 4}),
                       "plan.tensor_parallel: 8 does not divide the 4 ranks of a pipeline stage; "
                       "the nearest that do: 4",
                       InputError);
}

}  // namespace moesim
