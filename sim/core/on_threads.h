// on_threads: one piece of work on several threads, this one among them.
#pragma once

#include <cstddef>
#include <future>
#include <vector>

namespace moesim {

// Calls work(i) for i < threads, each on a thread of its own and work(0) here, and waits for all.
// Throws what one of them threw.
template <class Work>
void on_threads(std::size_t threads, const Work& work) {
  std::vector<std::future<void>> helpers;
  helpers.reserve(threads);
  for (std::size_t i = 1; i < threads; ++i)
    helpers.push_back(std::async(std::launch::async, [&work, i] { work(i); }));
  work(0);
  for (std::future<void>& helper : helpers) helper.get();
}

}  // namespace moesim
