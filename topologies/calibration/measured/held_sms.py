"""A kernel that holds whole SMs of the GPU, with or without memory traffic, beside others."""
import torch

HOLD = r"""
extern "C" __global__ void hold(const float4* source, float4* target, unsigned long long elements, long long cycles,
                                unsigned long long* moved) {
  extern __shared__ float shared[];
  if (cycles < 0) shared[threadIdx.x] = 0;
  const long long start = clock64();
  const unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;
  unsigned long long done = 0;
  unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
  while (clock64() - start < cycles) {
    if (elements == 0) { __nanosleep(200); continue; }
    for (int step = 0; step < 16; ++step) {
      target[i] = source[i];
      i += stride;
      if (i >= elements) i -= elements;
      ++done;
    }
  }
  if (threadIdx.x == 0) atomicAdd(moved, done * blockDim.x * 32);
}
"""
held = {}


def holder():
    if not held:
        import cupy
        kernel = cupy.RawKernel(HOLD, "hold")
        kernel.max_dynamic_shared_size_bytes = 220 * 1024
        held["kernel"] = kernel
        held["source"], held["target"] = (torch.zeros(2**28, device="cuda", dtype=torch.float32) for _ in range(2))
        held["moved"] = torch.zeros(1, device="cuda", dtype=torch.int64)
        held["side"] = torch.cuda.Stream()
    return held


def beside(graph, count, sms, traffic, alone_us, rounds):
    """Time of one of the graph's launches in us while `sms` SMs are held whole (0: none), and the other kernel's reads and
    writes in GB/s. The graph runs again and again, each time beside a holder that lasts about as long: clocks settle as
    they do under load. Of `rounds` rounds the median of the last third counts. Third: how long the holder lasted from the
    graph's start on, of its time; up to four tries bring that to 0.97 to 1.1."""
    import cupy
    own = holder()
    side, moved, main = own["side"], own["moved"], torch.cuda.current_stream()
    hertz, length_us = 1.98e9, alone_us * 1.1
    for attempt in range(4):
        torch.cuda.synchronize()
        marks = []
        moved.zero_()
        for _ in range(rounds):
            events = [torch.cuda.Event(enable_timing=True) for _ in range(4)]
            if sms:
                side.wait_stream(main)
                with cupy.cuda.ExternalStream(side.cuda_stream):
                    events[2].record(side)
                    own["kernel"]((sms,), (1024,), (own["source"].data_ptr(), own["target"].data_ptr(),
                                  0 if traffic == "none" else 2**26, int(length_us * 1e-6 * hertz), moved.data_ptr()),
                                  shared_mem=220 * 1024)
                    events[3].record(side)
            torch.cuda._sleep(int(20e-6 * hertz))  # the holder takes its SMs first
            events[0].record()
            graph.replay()
            events[1].record()
            if sms:
                main.wait_stream(side)
            marks.append(events)
        torch.cuda.synchronize()
        late = marks[2 * rounds // 3:]
        times = sorted(e[0].elapsed_time(e[1]) * 1e3 for e in late)
        median = times[len(times) // 2]
        if not sms:
            return median / count, 0.0, 0.0
        covers = sorted(e[0].elapsed_time(e[3]) * 1e3 / median for e in late)
        cover = covers[len(covers) // 2]
        rate = moved.item() / sum(e[2].elapsed_time(e[3]) for e in marks) / 1e6
        length_us *= median * 1.03 / (cover * median)
        if 0.97 < cover < 1.1:
            break
    return median / count, round(rate, 1), round(cover, 3)
