// The pool: workers sleep on a generation counter, tiles are handed out by one atomic index.
#include "workloads/forward/thread_pool.h"

#include <algorithm>

// From libgomp, which Debian's oneDNN threads with; declared here so that no -fopenmp is needed.
extern "C" void omp_set_num_threads(int threads);
extern "C" int omp_get_max_threads();

namespace moesim {
namespace {

constexpr double kWorthWaking = 1e6;  // FLOPs: some 10 microseconds of one core

// oneDNN threads a product as this thread's OpenMP setting says: one thread while a pool runs.
class OneOpenmpThread {
 public:
  OneOpenmpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenmpThread() { omp_set_num_threads(before_); }
  OneOpenmpThread(const OneOpenmpThread&) = delete;
  OneOpenmpThread& operator=(const OneOpenmpThread&) = delete;

 private:
  int before_;
};

}  // namespace

ThreadPool::ThreadPool(int threads) : scratch_(static_cast<std::size_t>(std::max(1, threads))) {
  for (std::size_t i = 1; i < scratch_.size(); ++i)
    workers_.emplace_back([this, i] { wait_for_work(scratch_[i]); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  ++generation_;
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t count, double flops, const Task& task) {
  const OneOpenmpThread one_thread;
  const auto job = std::make_shared<Job>();
  job->task = &task;
  job->count = count;
  job->left = count;
  if (!workers_.empty() && count > 1 && flops >= kWorthWaking) {
    {
      const std::lock_guard lock(job_mutex_);
      job_ = job;
    }
    ++generation_;
    generation_.notify_all();
  }
  job->work(scratch_.front());
  for (std::size_t left = job->left; left != 0; left = job->left) job->left.wait(left);
  if (job->failure) std::rethrow_exception(job->failure);
}

void ThreadPool::Job::work(Scratch& scratch) {
  for (std::size_t index = next++; index < count; index = next++) {
    try {
      (*task)(index, scratch);
    } catch (...) {
      keep_failure(index);
    }
    if (--left == 0) left.notify_all();
  }
}

void ThreadPool::Job::keep_failure(std::size_t index) {
  const std::lock_guard lock(failure_mutex);
  if (failure && failed_index < index) return;
  failure = std::current_exception();
  failed_index = index;
}

void ThreadPool::wait_for_work(Scratch& scratch) {
  const OneOpenmpThread one_thread;
  for (unsigned seen = 0;;) {
    generation_.wait(seen);
    seen = generation_;
    if (stop_) return;
    std::shared_ptr<Job> job;
    {
      const std::lock_guard lock(job_mutex_);
      job = job_;
    }
    job->work(scratch);
  }
}

}  // namespace moesim
