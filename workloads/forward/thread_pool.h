// Worker threads for the forward pass. The work is cut into tiles that do not depend on the number
// of threads and each tile runs on one thread, so results are bit-identical over thread counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "workloads/forward/floats.h"

namespace moesim {

// Buffers one thread reuses from tile to tile; contents are not kept between calls of a task.
struct Scratch {
  Floats weight, rows, inner;
};

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the caller is one of them; at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(scratch_.size()); }

  // Calls task(index, scratch) once for each index below `count`, in any order, and returns when
  // all are done. `flops` is the rough work of all of them: little work stays on the caller, since
  // waking a thread costs microseconds. Of several exceptions that of the lowest index is thrown.
  using Task = std::function<void(std::size_t index, Scratch& scratch)>;
  void run(std::size_t count, double flops, const Task& task);

 private:
  void work(Scratch& scratch);
  void wait_for_work(Scratch& scratch);
  void keep_failure(std::size_t index);

  std::vector<Scratch> scratch_;  // by thread, the caller's first
  std::vector<std::thread> workers_;
  const Task* task_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<unsigned> generation_{0};  // counts calls of run; workers wait for it to change
  std::atomic<unsigned> busy_{0};        // workers that have not finished this call
  std::atomic<bool> stop_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::size_t failed_index_ = 0;
};

}  // namespace moesim
