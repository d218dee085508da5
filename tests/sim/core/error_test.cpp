// Errors: where they point, and which name they offer instead.
#include "sim/core/error.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace moesim;  // NOLINT(google-build-using-namespace)

namespace {
const std::array<std::string, 4> kPlacements{"co_activation", "contiguous", "eplb", "round_robin"};
}

TEST_CASE("An input error reads file:line:column: key: message") {
  const InputError error({"a.json", 3, 14, "plan.expert_parallel"}, "must be at least 1");
  CHECK(std::string(error.what()) == "a.json:3:14: plan.expert_parallel: must be at least 1");
}

TEST_CASE("What is unknown about a place is left out of the message") {
  CHECK(std::string(InputError({"a.json", 0, 0, ""}, "is missing").what()) == "a.json: is missing");
  CHECK(std::string(InputError({"", 0, 0, "seed"}, "is missing").what()) == "seed: is missing");
  CHECK(std::string(InputError("is missing").what()) == "is missing");
}

TEST_CASE("The nearest name is the one with the fewest letters to change") {
  CHECK(nearest_name("epbl", kPlacements) == "eplb");
  CHECK(nearest_name("contigous", kPlacements) == "contiguous");
  CHECK(nearest_name("roundrobin", kPlacements) == "round_robin");
  CHECK(nearest_name("eplb", kPlacements) == "eplb");
}

TEST_CASE("A word that resembles none of the names has no nearest name") {
  CHECK_FALSE(nearest_name("simulated_annealing", kPlacements).has_value());
  CHECK_FALSE(nearest_name("eplb", std::array<std::string, 0>{}).has_value());
}

TEST_CASE("Help with a name offers the nearest one and lists all") {
  CHECK(name_help("epbl", kPlacements) ==
        "; did you mean \"eplb\"? Valid: co_activation, contiguous, eplb, round_robin");
  CHECK(name_help("simulated_annealing", kPlacements) ==
        "; valid: co_activation, contiguous, eplb, round_robin");
}

TEST_CASE("A unit error is an input error, a failed check and a lacking machine are not") {
  CHECK_THROWS_AS(throw UnitError("no unit"), InputError);
  CHECK_FALSE(std::is_base_of_v<InputError, CheckError>);
  CHECK_FALSE(std::is_base_of_v<InputError, MachineError>);
}
