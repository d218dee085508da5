// Units: what is written with its unit is read exactly, and what has none is refused with a
// spelling to use.
#include "sim/core/units.h"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#include "sim/core/error.h"

using namespace moesim;            // NOLINT(google-build-using-namespace)
using namespace moesim::literals;  // NOLINT(google-build-using-namespace)

namespace {

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const UnitError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

}  // namespace

TEST_CASE("Eight bits are a byte: 400 Gb/s is 50 GB/s") {
  CHECK(400_Gbps == 50_GBps);
  CHECK(parse_bytes_per_second("400 Gb/s") == parse_bytes_per_second("50 GB/s"));
  CHECK(parse_bytes_per_second("400 Gb/s") == 400_Gbps);
}

TEST_CASE("GB is a thousand million bytes, GiB is 2^30") {
  CHECK(parse_bytes("80 GB").value == 80e9);
  CHECK(parse_bytes("80 GiB").value == 80.0 * 1024 * 1024 * 1024);
  CHECK(parse_bytes("80 GiB") == 80_GiB);
  CHECK(1_GiB / 1_MiB == 1024);
}

TEST_CASE("A text form may have any number of blanks between number and unit") {
  CHECK(parse_bytes("1.5MiB").value == 1.5 * 1024 * 1024);
  CHECK(parse_bytes("1.5  MiB") == parse_bytes("1.5MiB"));
  CHECK(parse_flops_per_second("989 TFLOP/s").value == 989e12);
  CHECK(parse_flops_per_second("1 PFLOP/s") == 1000_TFLOPS);
}

TEST_CASE("Times are read in every unit from nanoseconds to hours") {
  CHECK(parse_seconds("2 us") == 2_us);
  CHECK(parse_seconds("500 ns").count() == doctest::Approx(parse_seconds("0.5 us").count()));
  CHECK(parse_seconds("1.5 min").count() == 90);
  CHECK(parse_seconds("2 h").count() == 7200);
}

TEST_CASE("Bytes over a rate is a time, and only like adds to like") {
  CHECK((100_GB / 50_GBps).count() == 2);
  CHECK((100_GB / Seconds(2)).value == (50_GBps).value);
  CHECK(Addable<Bytes, Bytes>);
  CHECK_FALSE(Addable<Bytes, BytesPerSecond>);
  CHECK_FALSE(Addable<Bytes, double>);
  CHECK_FALSE(std::is_convertible_v<double, Bytes>);
}

TEST_CASE("A bare number is refused with the spelling to use") {
  const std::string message = message_of([] { parse_bytes_per_second("400"); });
  CHECK(contains(message, "\"400\" has no unit"));
  CHECK(contains(message, "400 Gb/s"));
}

TEST_CASE("An unknown unit is refused by name, with the units there are") {
  const std::string message = message_of([] { parse_bytes("80 gigs"); });
  CHECK(contains(message, "unknown unit \"gigs\""));
  CHECK(contains(message, "GiB"));
}

TEST_CASE("A unit of another kind is refused") {
  CHECK(contains(message_of([] { parse_seconds("2 GB"); }), "unknown unit \"GB\""));
  CHECK(contains(message_of([] { parse_bytes("2 GB/s"); }), "unknown unit \"GB/s\""));
  CHECK(contains(message_of([] { parse_bytes_per_second("2 GB"); }), "unknown unit \"GB\""));
}

TEST_CASE("What is no finite number is refused") {
  for (const char* text : {"", "GB", "nan GB", "inf GB", "1e999 GB", "- 3 GB"}) {
    CAPTURE(text);
    CHECK(contains(message_of([&] { parse_bytes(text); }), "does not start with a number"));
  }
}

TEST_CASE("Human forms show three significant digits in the unit that fits") {
  CHECK(to_text(Bytes(12.34 * 1024 * 1024 * 1024)) == "12.3 GiB");
  CHECK(to_text(Bytes(512)) == "512 B");
  CHECK(to_text(Seconds(48.1e-6)) == "48.1 us");
  CHECK(to_text(Seconds(0.001234)) == "1.23 ms");
  CHECK(to_text(400_Gbps) == "50.0 GB/s");
  CHECK(to_text(Bytes(-2.0 * 1024 * 1024)) == "-2.00 MiB");
}

TEST_CASE("Human forms move to the next unit when rounding reaches it") {
  CHECK(to_text(Seconds(999.4e-6)) == "999 us");
  CHECK(to_text(Seconds(999.7e-6)) == "1.00 ms");
  CHECK(to_text(Bytes(9.996 * 1024)) == "10.0 KiB");
}
