// One recorded router block, and what its weights give.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/io/json_reader.h"
#include "workloads/routers/router.h"

namespace moesim {

// Numbers of nested arrays in order, with the lengths of their axes. InputError when ragged.
struct CaseArray {
  std::vector<std::int64_t> shape;
  std::vector<double> values;
  std::int64_t size(std::size_t axis) const { return axis < shape.size() ? shape[axis] : 1; }
};
CaseArray read_array(const JsonNode& node);

struct RouterCase {
  explicit RouterCase(const JsonNode& node);
  RouterCase(const RouterCase&) = delete;  // parameters point into it
  RouterCase& operator=(const RouterCase&) = delete;

  const CaseArray* param(const std::string& name) const;

  JsonNode node;
  std::string name, router_name;
  Router router;
  RouterParameters parameters;
  std::map<std::string, CaseArray> params;
  CaseArray x;                // [tokens][hidden]
  std::vector<float> logits;  // [tokens][columns]
  std::int64_t tokens = 0, hidden = 0, columns = 0, top_k = 0;
  std::vector<std::int32_t> token_ids;  // [tokens] or empty

 private:
  void read_parameters();
  std::vector<float> bias_;
  std::vector<std::uint16_t> table_;
};

// The block's output [tokens][hidden] for this choice, in double; empty when the case has no
// experts.
std::vector<double> block_output(const RouterCase& of,
                                 const std::vector<std::uint16_t>& experts,
                                 const std::vector<float>& weights);

}  // namespace moesim
