// Training steps against closed forms and published figures.
#include "sim/train/training_step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/error.h"
#include "sim/train/group_cluster.h"
#include "sim/train/model_flops.h"

using namespace moesim;

namespace {

ClusterSpec rack() {
  ClusterSpec spec = load_cluster_preset("gb200-nvl72");
  spec.options.gpus_per_node = 64;
  spec.options.nodes = 4;
  return spec;
}

TrainingPlan qwen_plan() {
  TrainingPlan plan;
  plan.ranks = 8;
  plan.expert = 8;
  plan.micro_batch = 2;
  plan.global_batch = 64;
  plan.all_to_all = "hybridep";
  plan.captured = true;
  return plan;
}

TrainingPlan deepseek_plan() {
  TrainingPlan plan;
  plan.ranks = 256;
  plan.pipeline = plan.virtual_stages = 4;
  plan.expert = 64;
  plan.global_batch = 1024;
  plan.precision = "mxfp8";
  plan.all_to_all = "hybridep";
  plan.recompute = Recompute::selective;
  plan.captured = true;
  return plan;
}

std::string refusal(const TrainingPlan& plan, const MoeModel& model, const char* accelerator) {
  try {
    check_training(plan, model, load_accelerator(accelerator));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Model FLOPs are 6 a weight and three times causal attention") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  // 48 layers: q and o 2048 x 4096 each, k and v 2048 x 512 each, router 2048 x 128, 8 experts of
  // 3 x 2048 x 768, norms 2 x 2048 + 2 x 128; final norm, head 151936 x 2048.
  const double layer =
      2.0 * 2048 * 4096 + 2.0 * 2048 * 512 + 2048 * 128 + 8 * 3.0 * 2048 * 768 + 2 * 2048 + 2 * 128;
  const double weights = 48 * layer + 2048 + 151936.0 * 2048;
  const double pairs = (4096 + 1) / 2.0;  // of a token, on average
  const double attention = 48 * 2.0 * 32 * pairs * (128 + 128);
  CHECK(model_flops_per_token(model, 4096, false).value ==
        doctest::Approx(6 * weights + 3 * attention).epsilon(1e-9));
}

TEST_CASE("Published TFLOPS are model FLOPs times published tokens a second") {
  // Megatron-Bridge performance summary (records mbridge-* of split calibrate): tokens/s/GPU and
  // TFLOP/s/GPU of the same run.
  struct Published {
    const char* model;
    bool mtp;
    double tokens, tflops;
  };
  for (const Published& one : {Published{"deepseek-v3", true, 4912, 1276},
                               {"deepseek-v3", true, 4256, 1106},
                               {"deepseek-v3", false, 3139, 782},
                               {"deepseek-v3", false, 4018, 1003},
                               {"qwen3-30b-a3b", false, 40706, 936},
                               {"qwen3-30b-a3b", false, 23766, 547}}) {
    CAPTURE(one.tokens);
    const Flops flops = model_flops_per_token(load_model(one.model), 4096, one.mtp);
    CHECK(flops.value * one.tokens * 1e-12 == doctest::Approx(one.tflops).epsilon(0.012));
  }
}

TEST_CASE("A step's throughput, FLOPs and MFU are one figure") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  const TrainingPlan plan = qwen_plan();
  const TrainingStep step = train_step(model, rack(), plan);
  CHECK(step.tokens_per_second_gpu * step.step.count() * 8 == doctest::Approx(64 * 4096));
  CHECK(step.tflops_gpu ==
        doctest::Approx(step.tokens_per_second_gpu * step.flops_per_token.value * 1e-12));
  CHECK(step.mfu == doctest::Approx(step.tflops_gpu / 2500));  // GB200's bf16 peak
  CHECK(step.mfu < 1);
  CHECK(step.bubble_share == doctest::Approx(0));  // no pipeline
  CHECK(step.step.count() == doctest::Approx((step.pipeline + step.sync + step.optimizer).count()));
}

TEST_CASE("What costs time costs time: precision, recomputation, exchanges, skew") {
  const MoeModel model = load_model("deepseek-v3");
  const auto time = [&](const TrainingPlan& plan) { return train_step(model, rack(), plan).step; };
  const TrainingPlan base = deepseek_plan();
  const Seconds plain = time(base);
  TrainingPlan other = base;
  other.precision = "bf16";
  CHECK(time(other) > plain);
  other = base;
  other.recompute = Recompute::full;
  CHECK(time(other) > plain);
  other = base;
  other.recompute = Recompute::off;
  CHECK(time(other) < plain);
  other = base;
  other.overlap = true;
  CHECK(time(other) < plain);
  other = base;
  other.mtp = true;
  CHECK(time(other) > plain);
  other = base;
  other.skew_exponent = 0.5;
  CHECK(time(other) > plain);
}

TEST_CASE("More micro-batches fill the pipeline") {
  const MoeModel model = load_model("deepseek-v3");
  TrainingPlan plan = deepseek_plan();
  plan.global_batch = 256;  // 4 micro-batches
  const TrainingStep few = train_step(model, rack(), plan);
  plan.global_batch = 4096;
  const TrainingStep many = train_step(model, rack(), plan);
  CHECK(few.bubble_share > 3 * many.bubble_share);
  CHECK(many.tokens_per_second_gpu > few.tokens_per_second_gpu);
}

TEST_CASE("A capacity drops copies above it and computes all its places") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  TrainingPlan plan = qwen_plan();
  plan.balanced = true;
  const ClusterSpec spec = rack();
  const TrainingRouting even = route_micro_batch(model, spec, plan);
  plan.capacity_factor = 1;
  const TrainingRouting at_capacity = route_micro_batch(model, spec, plan);
  CHECK(at_capacity.dropped == doctest::Approx(0).epsilon(0.01));
  CHECK(at_capacity.rows == std::vector<std::uint32_t>(16, 2 * 4096 * 8 * 8 / 128));
  plan.capacity_factor = 0.5;
  const TrainingRouting half = route_micro_batch(model, spec, plan);
  CHECK(half.dropped == doctest::Approx(0.5));
  CHECK(half.dispatch.count() == doctest::Approx(0.5 * even.dispatch.count()));
}

TEST_CASE("Weights of all stages and ranks are the model's") {
  const MoeModel model = load_model("deepseek-v3");
  TrainingPlan plan = deepseek_plan();
  const LayerTimes times(model, rack(), plan);
  const std::vector<LayerSegment> segments = cut_segments(model, plan, times, 16);
  double dense = 0, experts = 0;
  for (const LayerSegment& segment : segments) {
    CHECK(segment.last >= segment.first);
    const RankParameters of = rank_parameters(model, plan, {segment});
    dense += of.dense;
    experts += of.experts * plan.expert;
  }
  CHECK(dense + experts == doctest::Approx(static_cast<double>(count_parameters(model).total)));
}

TEST_CASE("Optimizer states are shared out over the ranks that hold the same weights") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  TrainingPlan plan = qwen_plan();
  const TrainingStep step = train_step(model, rack(), plan);
  const auto total = static_cast<double>(count_parameters(model).total);
  const double experts = 48.0 * 128 * 3 * 2048 * 768, dense = total - experts;
  const TrainingMemory& memory = step.stages[0].memory;
  CHECK(memory.weights.value == doctest::Approx(2 * (dense + experts / 8)));
  CHECK(memory.gradients.value == doctest::Approx(4 * (dense + experts / 8)));
  CHECK(memory.optimizer.value == doctest::Approx(12 * (dense / 8 + experts / 8)));
  plan.recompute = Recompute::full;
  const TrainingMemory less = train_step(model, rack(), plan).stages[0].memory;
  CHECK(less.activations < memory.activations);
}

TEST_CASE("Strided groups send a share to each other domain over their own NIC") {
  ClusterSpec spec = load_cluster_preset("h100-ib");  // 8 GPUs a node
  spec.options.nodes = 8;
  const auto time = [&](int ranks, int stride, double bytes) {
    return strided_collective(spec, {ranks, stride}, Bytes(bytes), "all_gather").time.count();
  };
  // Stride 8: every rank of the group on a node of its own, 7 of 8 shares over the NIC.
  const double slope = (time(8, 8, 2e9) - time(8, 8, 1e9)) / 1e9;
  CHECK(slope >= 7.0 / 8 / spec.options.nic.value);
  CHECK(slope == doctest::Approx(7.0 / 8 / (spec.options.nic.value * 0.892)).epsilon(0.2));
  CHECK(time(8, 1, 1e9) < time(8, 8, 1e9));  // inside a node
  CHECK(strided_collective(spec, {1, 8}, Bytes(1e9), "all_gather").time.count() == 0);
}

TEST_CASE("Plans that cannot be are refused by their key") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  TrainingPlan plan = qwen_plan();
  plan.global_batch = 40;
  CHECK(refusal(plan, model, "gb200").find("global_batch") == 0);
  CHECK(refusal(plan, model, "gb200").find("nearest: 48") != std::string::npos);
  plan = qwen_plan();
  plan.precision = "nvfp4";
  CHECK(refusal(plan, model, "h100-sxm").find("precision") == 0);
  plan = qwen_plan();
  plan.expert = 3;
  CHECK(refusal(plan, model, "gb200").find("expert_parallel") == 0);
  plan = qwen_plan();
  plan.mtp = true;
  CHECK(refusal(plan, model, "gb200").find("mtp") == 0);
  plan = qwen_plan();
  plan.virtual_stages = 49;
  CHECK(refusal(plan, model, "gb200").find("virtual_stages") == 0);
  plan = qwen_plan();
  plan.global_batch = 16;
  plan.overlap = true;
  CHECK(refusal(plan, model, "gb200").find("overlap") == 0);
}

TEST_CASE("Segments follow each other and are as even as whole layers allow") {
  const MoeModel model = load_model("deepseek-v3");
  TrainingPlan plan = deepseek_plan();
  plan.mtp = true;
  const LayerTimes times(model, rack(), plan);
  const auto length = [](const LayerPasses& time) {
    return (time.forward.total() + time.backward().total()).count();
  };
  const double layer = length(times.layer(model.layers.back()));
  const double head = length(times.head()) + length(times.mtp());
  for (const std::size_t count : {1U, 4U, 16U, 32U}) {
    CAPTURE(count);
    const std::vector<LayerSegment> segments = cut_segments(model, plan, times, count);
    REQUIRE(segments.size() == count);
    CHECK(segments.front().first == 0);
    CHECK(segments.back().last == model.layers.size());
    double all = 0, longest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) CHECK(segments[i].first == segments[i - 1].last);
      all += length(segments[i].time);
      longest = std::max(longest, length(segments[i].time));
    }
    CHECK(longest <= std::max(head, all / static_cast<double>(count)) + layer);
  }
}
