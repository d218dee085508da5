// Which request a recorded token belongs to, where the recorder kept positions but no request ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moesim {

// Follows one rank's forward passes in order. A prefill chunk that begins where a chunk of the
// pass before ended goes on with that request, if it is not at position 0; a decode token goes on
// with the request whose next position it has, taken in the batch's order; a decoding request that
// is missing from a decode pass has ended. All else is a new request. Two requests of the same
// length may be exchanged: the batch's order decides.
class RequestLinks {
 public:
  // `next_request` numbers requests over all ranks.
  explicit RequestLinks(std::int32_t& next_request) : next_request_(next_request) {}

  void begin_pass(bool extends);  // extends: it holds prefill chunks
  // The request of a chunk of `tokens` tokens from `position` on.
  std::int32_t extend(std::int64_t position, std::int64_t tokens);
  // The request that this decode token continues, -1 = none.
  std::int32_t decode(std::int64_t position);
  // A new request, in decode, that was begun before the recording.
  std::int32_t decode_new(std::int64_t position);
  void end_pass(bool decodes);  // decodes: it was a decode batch, of all running requests

 private:
  struct Open {
    std::int32_t request = 0;
    std::int64_t next = 0;  // position
    bool decoding = false, seen = false;
  };
  Open& open_new(std::int64_t next);

  std::int32_t& next_request_;
  std::vector<Open> open_;
  std::vector<std::size_t> chunks_,
      earlier_chunks_;    // into open_: of this extending pass, the last
  std::size_t hint_ = 0;  // where the batch's order leads next
};

}  // namespace moesim
