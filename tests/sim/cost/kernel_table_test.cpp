// Users' tables of measured kernels: between points, outside them, and mistakes in them.
#include "sim/cost/kernel_table.h"

#include <doctest/doctest.h>

#include <string>

#include "sim/core/error.h"
#include "sim/cost/kernel_costs.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using test::TemporaryFolder;

namespace {

KernelTable table_of(const std::string& text) {
  const TemporaryFolder folder;
  write_file(folder / "kernels.csv", text);
  return load_kernel_table(folder / "kernels.csv");
}

double microseconds(const std::optional<Seconds>& time) { return time ? time->count() * 1e6 : -1; }

const char* const kProducts =
    "kernel,precision,inner,outer,rows,time_us\n"
    "dense_gemm,fp8,7168,2112,16,10\n"
    "dense_gemm,fp8,7168,2112,48,30\n"
    "dense_gemm,fp8,7168,2112,48,26\n";

const char* const kAic =
    "framework,version,device,op_name,kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,"
    "topk,num_experts,moe_tp_size,moe_ep_size,distribution,latency\n"
    "SGLang,0.5.10,NVIDIA H200,moe_generation,deepepmoe,fp8_block,512,7168,2048,8,256,1,32,"
    "uniform,0.2\n"
    "SGLang,0.5.10,NVIDIA H200,moe_generation,deepepmoe,fp8_block,1024,7168,2048,8,256,1,32,"
    "uniform,0.3\n"
    "SGLang,0.5.10,NVIDIA H200,moe_generation,deepepmoe,fp8_block,1024,7168,2048,8,256,1,32,"
    "power_law_1.2,9\n";

KernelCost experts_on(const std::string& gpu,
                      const std::vector<std::uint32_t>& copies,
                      bool with_table) {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator accelerator = load_accelerator(gpu);
  Precision precision;
  precision.experts = precision.dense = WeightFormat::fp8;
  const auto table = with_table ? std::make_shared<const KernelTable>(table_of(kAic)) : nullptr;
  return KernelCosts(model, accelerator, {}, precision, table).expert_ffn(copies);
}

void fails(const std::string& text, const std::string& place, const std::string& part) {
  const TemporaryFolder folder;
  write_file(folder / "kernels.csv", text);
  try {
    load_kernel_table(folder / "kernels.csv");
    FAIL("no error");
  } catch (const InputError& error) {
    const std::string said = error.what();
    INFO(said);
    CHECK(said.find("kernels.csv:" + place) != std::string::npos);
    CHECK(said.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("Between two measured points a time is on the line that joins them") {
  const KernelTable table = table_of(kProducts);
  const auto at = [&](double rows) {
    return microseconds(table.find("h800-sxm", "dense_gemm", "fp8", {{7168, 2112, 1}, {rows, 0}}));
  };
  CHECK(at(16) == doctest::Approx(10));
  CHECK(at(48) == doctest::Approx(26));  // the shorter of two runs
  CHECK(at(24) == doctest::Approx(14));  // a quarter of the way
  CHECK(at(15) == -1);
  CHECK(at(49) == -1);
  CHECK(microseconds(table.find("h800-sxm", "dense_gemm", "bf16", {{7168, 2112, 1}, {16, 0}})) ==
        -1);
  CHECK(microseconds(table.find("h800-sxm", "dense_gemm", "fp8", {{7168, 2113, 1}, {16, 0}})) ==
        -1);
}

TEST_CASE("Attention lies between requests and between tokens") {
  const KernelTable table = table_of(
      "accelerator,kernel,precision,heads,cached_bytes,requests,tokens,time_us\n"
      "h200-sxm,attention_layer_decode,fp8,128,576,1,1000,10\n"
      "h200-sxm,attention_layer_decode,fp8,128,576,1,3000,20\n"
      "h200-sxm,attention_layer_decode,fp8,128,576,9,1000,50\n"
      "h200-sxm,attention_layer_decode,fp8,128,576,9,3000,100\n");
  const auto at = [&](const char* gpu, double requests, double tokens) {
    return microseconds(
        table.find(gpu, "attention_layer_decode", "fp8", {{128, 576, 0}, {requests, tokens}}));
  };
  CHECK(at("h200-sxm", 5, 2000) == doctest::Approx((15 + 75) / 2.0));
  CHECK(at("h200-sxm", 5, 3001) == -1);
  CHECK(at("b200-sxm", 5, 2000) == -1);  // measured on another GPU
}

TEST_CASE("A measured time comes before the model inside the table, with its basis, not outside") {
  // 512 x 8 / 256 = 16 rows an expert took 200 us, 32 rows 300 us, 8 experts a rank.
  const KernelCost inside = experts_on("h200-sxm", std::vector<std::uint32_t>(8, 24), true);
  CHECK(inside.time.count() * 1e6 == doctest::Approx(250));
  CHECK(inside.basis == Basis::measured_table);
  for (const auto& [gpu, copies] : std::vector<std::pair<std::string, std::vector<std::uint32_t>>>{
           {"h200-sxm", std::vector<std::uint32_t>(8, 33)},     // more rows
           {"h200-sxm", std::vector<std::uint32_t>(4, 24)},     // other experts
           {"b200-sxm", std::vector<std::uint32_t>(8, 24)}}) {  // another GPU
    const KernelCost outside = experts_on(gpu, copies, true);
    CHECK(outside.time == experts_on(gpu, copies, false).time);
    CHECK(outside.basis == Basis::calibrated);
  }
}

TEST_CASE("Uneven copies scale a measured time by the model and lose its basis") {
  const std::vector<std::uint32_t> uneven{24 * 8, 0, 0, 0, 0, 0, 0, 0};
  const KernelCost cost = experts_on("h200-sxm", uneven, true);
  const double ratio = experts_on("h200-sxm", uneven, false).time /
                       experts_on("h200-sxm", std::vector<std::uint32_t>(8, 24), false).time;
  CHECK(ratio < 0.5);  // one expert's weights are read, not eight's
  CHECK(cost.time.count() * 1e6 == doctest::Approx(250 * ratio));
  CHECK(cost.basis == Basis::calibrated);
}

TEST_CASE("Mistakes in a table of kernels are named with file, line and column") {
  fails("kernel,precision,inner,outer,rows,time_us\ndense_gem,fp8,1,2,3,4\n", "2:1",
        "did you mean \"dense_gemm\"");
  fails("kernel,precision,inner,outer,rows,time_us\ndense_gemm,fp8,1,x,3,4\n", "2:18", "above 0");
  fails("kernel,precision,inner,outer,rows,time_us\ndense_gemm,fp8,1,,3,4\n", "2:", "is empty");
  fails("kernel,precision,inner,rows,time_us\ndense_gemm,fp8,1,3,4\n", "2:", "no such column");
  fails("kernel,precision,inner,outer,rows,time_us\ndense_gemm,fp8,1\n", "2:1", "3 cells");
  fails("a,b\n1,2\n", "1:1", "needs the columns");
  fails("accelerator,kernel,precision,inner,outer,rows,time_us\nh201,dense_gemm,fp8,1,2,3,4\n",
        "2:1", "h20");
}
