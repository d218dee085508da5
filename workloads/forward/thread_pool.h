// Worker threads for the forward pass. The work is cut into tiles that do not depend on the number
// of threads and each tile runs on one thread, so results are bit-identical over thread counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
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
  // One call of run. A worker that wakes late finds all indices taken and keeps nobody waiting.
  struct Job {
    const Task* task = nullptr;  // valid while an index is left
    std::size_t count = 0;
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> left{0};  // tasks not finished
    std::mutex failure_mutex;
    std::exception_ptr failure;
    std::size_t failed_index = 0;

    void work(Scratch& scratch);
    void keep_failure(std::size_t index);
  };
  void wait_for_work(Scratch& scratch);

  std::vector<Scratch> scratch_;  // by thread, the caller's first
  std::vector<std::thread> workers_;
  std::mutex job_mutex_;
  std::shared_ptr<Job> job_;
  std::atomic<unsigned> generation_{0};  // counts calls of run; workers wait for it to change
  std::atomic<bool> stop_{false};
};

}  // namespace moesim
