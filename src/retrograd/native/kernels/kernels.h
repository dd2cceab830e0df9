// The interface of the kernels. This header is plain C++ without the standard library: each kernel file is compiled
// once per instruction set, and of a standard template that several of these builds instantiate the linker keeps one
// copy, possibly one that an older processor cannot run.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace retrograd {

typedef int64_t Index;

// XLA's thread pool. `run` calls task(context, i) for each i < count, on any thread, and waits for all.
struct Pool {
  Index threads;
  void *pool;
  void (*run)(const Pool &, Index count, void (*task)(const void *context, Index i), const void *context);
};

template <class Task> void parallel(const Pool &pool, Index count, const Task &task) {
  if (pool.threads <= 1 || count <= 1) {
    for (Index i = 0; i < count; i++) task(i);
    return;
  }
  pool.run(pool, count, [](const void *context, Index i) { (*static_cast<const Task *>(context))(i); }, &task);
}

// Scratch memory of the calling thread, reused from call to call (a fresh block costs page faults every time). Each
// slot is a separate block: memory that a call shares among its tasks must not be in a slot that the tasks use.
enum Slot { SHARED, SHARED_2, TASK, TASK_2, SLOTS };
float *scratch(Slot slot, Index floats);  // aligned to 64 bytes; null if out of memory

// --------------------------------------------------------------------------------------------------------- convolution

// Geometry of a two-dimensional convolution: images [batch, height, width, channels], weights
// [kernel_height, kernel_width, channels / groups, filters]. A convolution over sequences has height 1.
struct Convolution {
  Index batch, height, width, channels;
  Index out_height, out_width, filters;
  Index kernel_height, kernel_width;
  Index stride_height, stride_width, dilation_height, dilation_width;
  Index pad_top, pad_left;  // padding before the first row and column; negative: rows that no window covers
  Index groups;
};

// Epilogue of a forward convolution, applied as its sums are stored: + bias, + residual (shaped like the result), relu.
struct Epilogue {
  const float *bias, *residual;  // null if absent
  bool relu;
  Epilogue at(Index filter, Index offset) const {
    return {bias ? bias + filter : nullptr, residual ? residual + offset : nullptr, relu};
  }
};

// Weights of a 3 x 3 kernel, and their strides: the backward pass reads the same weights in another order.
struct Taps {
  const float *at;
  Index tap_stride, channel_stride, filter_stride;
};

// ---------------------------------------------------------------------------------------------------------- recurrence

struct Recurrence {
  Index time, batch, units;
  bool reverse;  // steps are processed from last to first
};

// ----------------------------------------------------------------------------------------------------------- attention

struct Attention {
  Index batch, queries, keys, width;
  Index heads, kv_heads;   // of queries; of keys and values, each shared by heads / kv_heads query heads
  Index block;             // queries that XLA's formula multiplies by the same keys, future keys with weight 0
  bool causal;             // query i sees keys 0 .. i
};

// A range of columns in an array [batch, time, row], in which the heads are side by side.
template <class Float> struct Columns {
  Float *at;
  Index row;
};
typedef Columns<const float> Input;

// -------------------------------------------------------------------------------------------- one set for each variant

// Each function returns false if it ran out of scratch memory; the Winograd functions also if the shapes do not suit
// them or a result is not finite: the caller then computes the direct sums.
#define RETROGRAD_DECLARE(variant)                                                                                     \
  namespace variant {                                                                                                  \
  bool convolve(const Pool &, const Convolution &, const float *x, const float *weight, const Epilogue &, float *y);   \
  bool data_gradient(const Pool &, const Convolution &, const float *dy, const float *weight, float *dx);              \
  bool weight_gradient(const Pool &, const Convolution &, const float *x, const float *dy, float *dweight);            \
  bool winograd(const Pool &, const Convolution &, const float *x, const Taps &, const Epilogue &, float *y);          \
  bool winograd_weight_gradient(const Pool &, const Convolution &, const float *x, const float *dy, float *dweight);   \
  bool transposed_product(const Pool &, Index rows, Index left, Index right, const float *x, const float *dy,          \
                          float *product);                                                                             \
  bool recurrent_gradients(const Pool &, const Recurrence &, Index features, Index width, const float *x,              \
                           const float *initial, const float *states, const float *dz, float *dinput,                  \
                           float *drecurrent, float *dbias);                                                           \
  bool lstm(const Pool &, const Recurrence &, const float *z, const float *weight, const float *bias, const float *h,  \
            const float *c, const float *mask, float *hidden, float *cells, float *gates);                             \
  bool lstm_back(const Pool &, const Recurrence &, const float *gates, const float *cells, const float *c,             \
                 const float *weight, const float *mask, const float *dhidden, float *dz, float *dh, float *dc);       \
  bool gru(const Pool &, const Recurrence &, const float *z, const float *weight, const float *bias,                   \
           const float *recurrent_bias, const float *h, const float *mask, float *hidden, float *gates);               \
  bool gru_back(const Pool &, const Recurrence &, const float *gates, const float *hidden, const float *h,             \
                const float *weight, const float *mask, const float *dhidden, float *dz, float *dh);                   \
  bool attend(const Pool &, const Attention &, Input q, Input k, Input v, const float *mask, float *y,                 \
              float *statistics);                                                                                      \
  bool attend_back(const Pool &, const Attention &, Input q, Input k, Input v, const float *mask, const float *y,      \
                   const float *statistics, const float *dy, Columns<float> dq, Columns<float> dk,                     \
                   Columns<float> dv);                                                                                 \
  }

RETROGRAD_DECLARE(x86_64_v2)
RETROGRAD_DECLARE(x86_64_v3)
RETROGRAD_DECLARE(x86_64_v4)
RETROGRAD_DECLARE(arm64)

}  // namespace retrograd
