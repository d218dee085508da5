// Serving engines by name.
#include <algorithm>

#include "sim/core/error.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

const std::vector<std::string>& engine_names() {
  static const std::vector<std::string> names{"none", "vllm", "sglang", "tensorrt_llm"};
  return names;
}

ServingEngine engine_named(const std::string& name) {
  const auto& names = engine_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError("unknown engine \"" + name + "\"" + name_help(name, names));
  return static_cast<ServingEngine>(found - names.begin());
}

}  // namespace moesim
