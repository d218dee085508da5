// Catalog: parts register before main and are found by name.
#include "sim/core/catalog.h"

#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace moesim;  // NOLINT(google-build-using-namespace)

namespace {

using Scale = std::function<int(int)>;  // a kind of part that only this test has

const Registered<Scale> registered_double{"double", "twice", [](int x) { return 2 * x; }};
const Registered<Scale> registered_add{"add_one", "one more", [](int x) { return x + 1; }};

}  // namespace

TEST_CASE("Parts are in their catalog before main, sorted by name") {
  CHECK(Catalog<Scale>::instance().names() == std::vector<std::string>{"add_one", "double"});
  CHECK(Catalog<Scale>::instance().entries().at("double").description == "twice");
}

TEST_CASE("A part is found by its name and works") {
  CHECK(Catalog<Scale>::instance().at("double", "scale")(21) == 42);
  CHECK((*Catalog<Scale>::instance().find("add_one"))(21) == 22);
}

TEST_CASE("Catalogs of different kinds do not mix") {
  using Other = std::function<double(double)>;
  CHECK(Catalog<Other>::instance().find("double") == nullptr);
  CHECK(Catalog<Other>::instance().names().empty());
}

TEST_CASE("An unknown name is refused with its kind, the nearest name and all names") {
  CHECK(Catalog<Scale>::instance().find("doubel") == nullptr);
  CHECK_THROWS_WITH_AS(Catalog<Scale>::instance().at("doubel", "scale"),
                       "unknown scale \"doubel\"; did you mean \"double\"? Valid: add_one, double",
                       InputError);
}

TEST_CASE("Two parts of one name are a mistake of ours, not the second silently lost") {
  Catalog<Scale> catalog;
  catalog.add("same", {"first", [](int) { return 1; }});
  CHECK_THROWS_WITH_AS(catalog.add("same", {"second", [](int) { return 2; }}),
                       "two parts are registered as \"same\"", std::logic_error);
}
