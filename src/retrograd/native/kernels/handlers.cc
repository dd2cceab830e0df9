// What XLA calls: unpack the arguments, and hand them to the kernels compiled for this processor.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "kernels.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace retrograd {

// ------------------------------------------------------------------------------------------------------------ variants

struct Kernels {
  const char *name;
  decltype(&KERNELS_BASELINE::convolve) convolve;
  decltype(&KERNELS_BASELINE::data_gradient) data_gradient;
  decltype(&KERNELS_BASELINE::weight_gradient) weight_gradient;
  decltype(&KERNELS_BASELINE::transposed_product) transposed_product;
  decltype(&KERNELS_BASELINE::recurrent_gradients) recurrent_gradients;
  decltype(&KERNELS_BASELINE::lstm) lstm;
  decltype(&KERNELS_BASELINE::lstm_back) lstm_back;
  decltype(&KERNELS_BASELINE::gru) gru;
  decltype(&KERNELS_BASELINE::gru_back) gru_back;
  decltype(&KERNELS_BASELINE::attend) attend;
  decltype(&KERNELS_BASELINE::attend_back) attend_back;
};

#define KERNELS(v)                                                                                                     \
  {#v,          v::convolve, v::data_gradient, v::weight_gradient, v::transposed_product, v::recurrent_gradients,       \
   v::lstm,     v::lstm_back, v::gru,          v::gru_back,        v::attend,             v::attend_back}

static const Kernels compiled[] = {
#if defined(__x86_64__)
    KERNELS(x86_64_v2), KERNELS(x86_64_v3), KERNELS(x86_64_v4),
#else
    KERNELS(arm64),
#endif
};
constexpr int VARIANTS = sizeof compiled / sizeof compiled[0];

static bool runs_here(int variant) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v2 = __builtin_cpu_supports("sse4.2");
  bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512cd");
  return variant == 0 ? v2 : variant == 1 ? v3 : v4;
#else
  return variant == 0;
#endif
}

static const Kernels *chosen = nullptr;

// ---------------------------------------------------------------------------------------------------- memory and threads

float *scratch(Slot slot, Index floats) {
  struct Blocks {
    void *at[SLOTS] = {};
    size_t bytes[SLOTS] = {};
    ~Blocks() {
      for (void *block : at) std::free(block);
    }
  };
  static thread_local Blocks blocks;
  size_t wanted = (size_t(floats) * sizeof(float) + 64) / 64 * 64;
  if (blocks.bytes[slot] < wanted) {
    std::free(blocks.at[slot]);
    blocks.at[slot] = std::aligned_alloc(64, wanted);
    blocks.bytes[slot] = blocks.at[slot] ? wanted : 0;
  }
  return static_cast<float *>(blocks.at[slot]);
}

// The caller works too and waits only for tasks that somebody has begun, so nothing hangs however busy the pool is. What
// a late thread still looks at lives as long as that thread needs it.
struct Counters {
  std::atomic<Index> next{0}, done{0};
};

static void run_on_pool(const Pool &pool, Index count, void (*task)(const void *, Index), const void *context) {
  auto counters = std::make_shared<Counters>();
  auto work = [counters, count, task, context] {
    Index mine = 0;
    for (Index i; (i = counters->next.fetch_add(1, std::memory_order_relaxed)) < count; mine++) task(context, i);
    if (mine) counters->done.fetch_add(mine, std::memory_order_release);
  };
  auto *threads = static_cast<ffi::ThreadPool *>(pool.pool);
  for (Index t = 1; t < pool.threads && t < count; t++) threads->Schedule(std::function<void()>(work));
  work();
  for (int spins = 0; counters->done.load(std::memory_order_acquire) < count; spins++)
    if (spins > 1000) std::this_thread::yield();
}

static Pool pool_of(ffi::ThreadPool &threads) { return {Index(threads.num_threads()), &threads, run_on_pool}; }

static ffi::Error result(bool enough) {
  if (enough) return ffi::Error::Success();
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no memory left for a native kernel's scratch");
}

static ffi::Error wrong(const char *what) { return ffi::Error(ffi::ErrorCode::kInvalidArgument, what); }

// --------------------------------------------------------------------------------------------------------- convolution

typedef ffi::Buffer<ffi::F32> Array;
typedef ffi::Result<Array> Output;
typedef ffi::Span<const int64_t> Numbers;

static bool holds(const Array &array, Index count) { return Index(array.element_count()) == count; }

// `window`: stride, dilation and zeros before the first, each for height and width, then the number of groups.
static bool geometry(const Array::Dimensions &x, const Array::Dimensions &weight, const Array::Dimensions &y,
                     Numbers window, Convolution &c) {
  if (x.size() != 4 || weight.size() != 4 || y.size() != 4 || window.size() != 7) return false;
  c = {x[0],      x[1],      x[2],      x[3],      y[1],      y[2],      y[3],     weight[0],
       weight[1], window[0], window[1], window[2], window[3], window[4], window[5], window[6]};
  return c.groups > 0 && x[0] == y[0] && weight[2] * c.groups == x[3] && weight[3] == y[3] && y[3] % c.groups == 0;
}

// `behind`: whether there is a bias, a residual, and relu; the arrays come in this order.
static bool unpack(const ffi::RemainingArgs &rest, Numbers behind, Index filters, Index outputs, Behind &to) {
  if (behind.size() != 3) return false;
  to = {nullptr, nullptr, behind[2] != 0};
  size_t used = 0;
  auto next = [&](Index count, const float *&at) {
    auto found = rest.get<Array>(used++);
    if (!found.has_value() || !holds(*found, count)) return false;
    at = found->typed_data();
    return true;
  };
  if (behind[0] && !next(filters, to.bias)) return false;
  if (behind[1] && !next(outputs, to.residual)) return false;
  return rest.size() == used;
}

static ffi::Error Convolve(ffi::ThreadPool threads, Array x, Array weight, ffi::RemainingArgs rest, Output y,
                           Numbers window, Numbers behind) {
  Convolution c;
  Behind after;
  if (!geometry(x.dimensions(), weight.dimensions(), y->dimensions(), window, c) ||
      !unpack(rest, behind, c.filters, Index(y->element_count()), after))
    return wrong("convolution: shapes");
  return result(chosen->convolve(pool_of(threads), c, x.typed_data(), weight.typed_data(), after, y->typed_data()));
}

static ffi::Error DataGradient(ffi::ThreadPool threads, Array dy, Array weight, Output dx, Numbers window) {
  Convolution c;
  if (!geometry(dx->dimensions(), weight.dimensions(), dy.dimensions(), window, c)) return wrong("convolution: shapes");
  return result(chosen->data_gradient(pool_of(threads), c, dy.typed_data(), weight.typed_data(), dx->typed_data()));
}

static ffi::Error WeightGradient(ffi::ThreadPool threads, Array x, Array dy, Output dweight, Numbers window) {
  Convolution c;
  if (!geometry(x.dimensions(), dweight->dimensions(), dy.dimensions(), window, c)) return wrong("convolution: shapes");
  return result(chosen->weight_gradient(pool_of(threads), c, x.typed_data(), dy.typed_data(), dweight->typed_data()));
}

// -------------------------------------------------------------------------------------------------------------- matrices

static ffi::Error TransposedProduct(ffi::ThreadPool threads, Array x, Array dy, Output product) {
  auto a = x.dimensions(), b = dy.dimensions(), c = product->dimensions();
  if (a.size() != 2 || b.size() != 2 || c.size() != 2 || a[0] != b[0] || c[0] != a[1] || c[1] != b[1])
    return wrong("product: shapes");
  return result(chosen->transposed_product(pool_of(threads), a[0], a[1], b[1], x.typed_data(), dy.typed_data(),
                                           product->typed_data()));
}

// ---------------------------------------------------------------------------------------------------------- recurrence

// `sequence` [time, batch, gates x units], its axes maybe joined: tell whether the others fit it.
static bool geometry(const Array &sequence, const Array &weight, const Array &mask, Index gates, int64_t reverse,
                     Recurrence &r) {
  auto w = weight.dimensions(), m = mask.dimensions();
  if (w.size() != 2 || m.size() != 2) return false;
  r = {m[0], m[1], w[0], reverse != 0};
  return holds(sequence, r.time * r.batch * gates * r.units);
}

static const float *given(const Array &array) { return array.element_count() ? array.typed_data() : nullptr; }

static float *started(const Array &from, Output &to) {
  std::memcpy(to->typed_data(), from.typed_data(), from.size_bytes());
  return to->typed_data();
}

// x [time, batch, features], maybe without features; dz [time, batch, width].
static ffi::Error RecurrentGradients(ffi::ThreadPool threads, Array x, Array first, Array states, Array dz,
                                     Output dinput, Output drecurrent, Output dbias, int64_t reverse) {
  auto s = states.dimensions(), in = dinput->dimensions(), out = drecurrent->dimensions();
  if (s.size() != 3 || in.size() != 2 || out.size() != 2) return wrong("recurrence: shapes");
  Recurrence r = {s[0], s[1], s[2], reverse != 0};
  Index rows = r.time * r.batch, features = in[0], width = in[1];
  if (!holds(x, rows * features) || !holds(first, r.batch * r.units) || !holds(dz, rows * width) ||
      out[0] != r.units || out[1] != width || Index(dbias->element_count()) != width)
    return wrong("recurrence: shapes");
  return result(chosen->recurrent_gradients(pool_of(threads), r, features, width, x.typed_data(), first.typed_data(),
                                            states.typed_data(), dz.typed_data(), dinput->typed_data(),
                                            drecurrent->typed_data(), dbias->typed_data()));
}

static ffi::Error Lstm(ffi::ThreadPool threads, Array z, Array weight, Array bias, Array h, Array c, Array mask,
                       Output hidden, Output cells, Output gates, int64_t reverse) {
  Recurrence r;
  if (!geometry(z, weight, mask, 4, reverse, r) || !holds(weight, 4 * r.units * r.units) || !holds(bias, 4 * r.units) ||
      !holds(h, r.batch * r.units) || !holds(c, r.batch * r.units))
    return wrong("lstm: shapes");
  return result(chosen->lstm(pool_of(threads), r, z.typed_data(), weight.typed_data(), bias.typed_data(),
                             h.typed_data(), c.typed_data(), mask.typed_data(), hidden->typed_data(),
                             cells->typed_data(), gates->typed_data()));
}

static ffi::Error LstmBack(ffi::ThreadPool threads, Array gates, Array cells, Array c, Array weight, Array mask,
                           Array dhidden, Array dh, Array dc, Output dz, Output dh0, Output dc0, int64_t reverse) {
  Recurrence r;
  if (!geometry(gates, weight, mask, 4, reverse, r) || !holds(weight, 4 * r.units * r.units) ||
      !holds(cells, r.time * r.batch * r.units) || !holds(dh, r.batch * r.units) || !holds(dc, r.batch * r.units))
    return wrong("lstm: shapes");
  return result(chosen->lstm_back(pool_of(threads), r, gates.typed_data(), cells.typed_data(), c.typed_data(),
                                  weight.typed_data(), mask.typed_data(), given(dhidden), dz->typed_data(),
                                  started(dh, dh0), started(dc, dc0)));
}

static ffi::Error Gru(ffi::ThreadPool threads, Array z, Array weight, Array bias, Array recurrent_bias, Array h,
                      Array mask, Output hidden, Output gates, int64_t reverse) {
  Recurrence r;
  if (!geometry(z, weight, mask, 3, reverse, r) || !holds(weight, 3 * r.units * r.units) || !holds(bias, 3 * r.units) ||
      !holds(recurrent_bias, r.units) || !holds(h, r.batch * r.units))
    return wrong("gru: shapes");
  return result(chosen->gru(pool_of(threads), r, z.typed_data(), weight.typed_data(), bias.typed_data(),
                            recurrent_bias.typed_data(), h.typed_data(), mask.typed_data(), hidden->typed_data(),
                            gates->typed_data()));
}

static ffi::Error GruBack(ffi::ThreadPool threads, Array gates, Array hidden, Array h, Array weight, Array mask,
                          Array dhidden, Array dh, Output dz, Output dh0, int64_t reverse) {
  Recurrence r;
  if (!geometry(gates, weight, mask, 4, reverse, r) || !holds(weight, 3 * r.units * r.units) ||
      !holds(hidden, r.time * r.batch * r.units) || !holds(dh, r.batch * r.units))
    return wrong("gru: shapes");
  return result(chosen->gru_back(pool_of(threads), r, gates.typed_data(), hidden.typed_data(), h.typed_data(),
                                 weight.typed_data(), mask.typed_data(), given(dhidden), dz->typed_data(),
                                 started(dh, dh0)));
}

// ----------------------------------------------------------------------------------------------------------- attention

// What one, two or three sources were projected to, [batch, time, columns] each: queries, keys and values side by side;
// queries | keys and values; or each alone.
struct Sides {
  struct Side {
    float *at;
    Index batch, time, columns;
  } sides[3];
  size_t count;
  const Side &of(int role) const { return sides[count == 1 ? 0 : count == 2 ? role > 0 : role]; }
  Index offset(int role, const Attention &a) const {  // the column at which the heads begin
    Index first = count == 1 ? a.heads * a.width : 0;
    return role == 0 || count == 3 ? 0 : role == 1 ? first : first + a.shared * a.width;
  }
  Columns<float> columns(int role, const Attention &a) const { return {of(role).at + offset(role, a), of(role).columns}; }
  Given given(int role, const Attention &a) const { return {of(role).at + offset(role, a), of(role).columns}; }
};

static Array array(Array a) { return a; }
static Array array(Output a) { return *a; }

template <class Rest> static bool unpack(const Rest &rest, Sides &to) {
  to.count = rest.size();
  if (to.count < 1 || to.count > 3) return false;
  for (size_t i = 0; i < to.count; i++) {
    auto found = rest.template get<Array>(i);
    if (!found.has_value() || array(*found).dimensions().size() != 3) return false;
    auto d = array(*found).dimensions();
    to.sides[i] = {array(*found).typed_data(), d[0], d[1], d[2]};
  }
  return true;
}

// `cut`: heads, heads of keys and values, queries in a block, whether causal.
static bool geometry(const Sides &sides, const Array &mask, const Array::Dimensions &y,
                     const Array::Dimensions &statistics, Numbers cut, Attention &a) {
  if (y.size() != 3 || cut.size() != 4 || cut[0] < 1 || cut[1] < 1 || cut[2] < 1 || y[2] % cut[0] || cut[0] % cut[1])
    return false;
  a = {y[0], y[1], sides.of(1).time, y[2] / cut[0], cut[0], cut[1], cut[2], cut[3] != 0};
  for (int role = 0; role < 3; role++) {
    const Sides::Side &side = sides.of(role);
    Index heads = role ? a.shared : a.heads;
    if (side.batch != a.batch || side.time != (role ? a.keys : a.queries) ||
        side.columns < sides.offset(role, a) + heads * a.width)
      return false;
  }
  return statistics.size() == 4 && statistics[0] == a.batch && statistics[1] == a.heads &&
         statistics[2] == a.queries && statistics[3] == 2 && (holds(mask, 0) || holds(mask, a.batch * a.keys));
}

static ffi::Error Attend(ffi::ThreadPool threads, Array mask, ffi::RemainingArgs projections, Output y,
                         Output statistics, Numbers cut) {
  Sides sides;
  Attention a;
  if (!unpack(projections, sides) || !geometry(sides, mask, y->dimensions(), statistics->dimensions(), cut, a))
    return wrong("attention: shapes");
  return result(chosen->attend(pool_of(threads), a, sides.given(0, a), sides.given(1, a), sides.given(2, a),
                               given(mask), y->typed_data(), statistics->typed_data()));
}

static ffi::Error AttendBack(ffi::ThreadPool threads, Array mask, Array y, Array statistics, Array dy,
                             ffi::RemainingArgs projections, ffi::RemainingRets deltas, Numbers cut) {
  Sides sides, back;
  Attention a, same;
  if (!unpack(projections, sides) || !unpack(deltas, back) || sides.count != back.count ||
      !geometry(sides, mask, y.dimensions(), statistics.dimensions(), cut, a) ||
      !geometry(back, mask, dy.dimensions(), statistics.dimensions(), cut, same) || same.width != a.width ||
      same.keys != a.keys || same.queries != a.queries)
    return wrong("attention: shapes");
  return result(chosen->attend_back(pool_of(threads), a, sides.given(0, a), sides.given(1, a), sides.given(2, a),
                                    given(mask), y.typed_data(), statistics.typed_data(), dy.typed_data(),
                                    back.columns(0, a), back.columns(1, a), back.columns(2, a)));
}

// ------------------------------------------------------------------------------------------------------------ for XLA

#define POOL ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
#define IN .Arg<Array>()
#define OUT .Ret<Array>()
#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_convolve, Convolve,
                              POOL IN IN.RemainingArgs() OUT.Attr<Numbers>("window").Attr<Numbers>("behind"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_data_gradient, DataGradient, POOL IN IN OUT.Attr<Numbers>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_weight_gradient, WeightGradient, POOL IN IN OUT.Attr<Numbers>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_transposed_product, TransposedProduct, POOL IN IN OUT);
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_recurrent_gradients, RecurrentGradients,
                              POOL IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_lstm, Lstm,
                              POOL IN IN IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_lstm_back, LstmBack,
                              POOL IN IN IN IN IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_gru, Gru, POOL IN IN IN IN IN IN OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_gru_back, GruBack,
                              POOL IN IN IN IN IN IN IN OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_attend, Attend,
                              POOL IN.RemainingArgs() OUT OUT.Attr<Numbers>("cut"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_attend_back, AttendBack,
                              POOL IN IN IN IN.RemainingArgs().RemainingRets().Attr<Numbers>("cut"));
#pragma GCC visibility pop

}  // namespace retrograd

// ---------------------------------------------------------------------------------------------- what Python asks by ctypes

#pragma GCC visibility push(default)
extern "C" {
// From which sources this library was built.
const char *retrograd_digest() { return RETROGRAD_DIGEST; }
int retrograd_variants() { return retrograd::VARIANTS; }
const char *retrograd_variant(int i) { return retrograd::compiled[i].name; }
int retrograd_runs_here(int i) { return retrograd::runs_here(i); }
void retrograd_choose(int i) { retrograd::chosen = &retrograd::compiled[i]; }
}
#pragma GCC visibility pop
