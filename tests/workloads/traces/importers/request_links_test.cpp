// Requests found again by position: chunks, decode in batch order, ends and newcomers.
#include "workloads/traces/request_links.h"

#include <doctest/doctest.h>

using namespace moesim;

TEST_CASE("A chunk continues the chunk of the pass before that ended where it begins") {
  std::int32_t next = 0;
  RequestLinks links(next);
  links.begin_pass(true);
  CHECK(links.extend(0, 4) == 0);
  CHECK(links.extend(0, 8) == 1);
  links.end_pass(false);
  links.begin_pass(true);
  CHECK(links.extend(8, 8) == 1);
  CHECK(links.extend(8, 2) == 2);  // request 1 has its chunk: a cached prefix of the same length
  links.end_pass(false);
  links.begin_pass(true);
  CHECK(links.extend(4, 1) == 3);  // request 0 ended two passes before
  CHECK(links.extend(0, 1) == 4);  // position 0 begins a request, whatever ended there
}

TEST_CASE("Decode tokens at one position go to requests in the batch's order") {
  std::int32_t next = 0;
  RequestLinks links(next);
  links.begin_pass(true);
  for (int request = 0; request < 3; ++request) CHECK(links.extend(0, 5) == request);
  links.end_pass(false);
  for (int position = 5; position < 8; ++position) {
    links.begin_pass(false);
    for (int request = 0; request < 3; ++request) CHECK(links.decode(position) == request);
    CHECK(links.decode(position) == -1);  // all have their token of this pass
    links.end_pass(true);
  }
}

TEST_CASE("A request missing from a decode batch has ended; one that waits has not") {
  std::int32_t next = 0;
  RequestLinks links(next);
  links.begin_pass(true);
  links.extend(0, 5);
  links.extend(0, 9);
  links.end_pass(false);
  links.begin_pass(false);
  CHECK(links.decode(5) == 0);  // request 1 does not decode yet
  links.end_pass(true);
  links.begin_pass(false);
  CHECK(links.decode(9) == 1);  // request 0 is missing: it has ended
  links.end_pass(true);
  links.begin_pass(false);
  CHECK(links.decode(6) == -1);
  CHECK(links.decode_new(6) == 2);
  CHECK(links.decode(10) == 1);
  links.end_pass(true);
  links.begin_pass(false);
  CHECK(links.decode(7) == 2);
}

TEST_CASE("Ranks share the numbers of requests") {
  std::int32_t next = 0;
  RequestLinks first(next);
  RequestLinks second(next);
  first.begin_pass(true);
  second.begin_pass(true);
  CHECK(first.extend(0, 1) == 0);
  CHECK(second.extend(0, 1) == 1);
  CHECK(first.extend(0, 1) == 2);
}
