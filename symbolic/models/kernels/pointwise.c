/* Passes over rows of channels that PyTorch makes one at a time, each with its own reading and writing of memory.
 * Equations: pointwise.py. Tensors are (R, N): R positions of N channels side by side. A task is BLOCK positions; what is
 * summed over positions is summed in order within a task and stored for each, so no result depends on the threads.
 */
#include "vectors.h"

enum { BLOCK = 64 };

typedef struct {
    const void *in, *grad;
    void *out, *grad_in;
    const float *x, *gx, *weight, *shift;
    float *x_out, *gx_out, *stats, *sums;
    void *gate;
    const void *ggate;
    int64_t R, N, L, K; /* L positions a row, K taps: of the convolution */
    float eps;
    int narrowed;
} problem;

#define ROWS_OF(p, task) \
    for (int64_t r = (task) * BLOCK, to = least((p)->R, ((task) + 1) * BLOCK); r < to; r++)
#define CHANNELS_OF(p) for (int64_t c = 0, n = least(W, (p)->N); c < (p)->N; c += W, n = least(W, (p)->N - c))

/* ---- gelu, tanh form: u sigmoid(t), t = 2 sqrt(2 / pi) (u + 0.044715 u^3) ---- */

#define GELU_SLOPE 1.5957691216057308f
#define GELU_CUBIC 0.044715f

INLINE void gelu_forward_rows(const problem *p, int64_t task, int narrowed) {
    ROWS_OF(p, task)
        CHANNELS_OF(p) {
            const vec u = get(p->in, r * p->N + c, (int)n, narrowed);
            const vec t = u * (u * u * (GELU_SLOPE * GELU_CUBIC * LOG2_E) + GELU_SLOPE * LOG2_E);
            put(p->out, r * p->N + c, u * sigmoid(t, narrowed), (int)n, narrowed);
        }
}

INLINE void gelu_backward_rows(const problem *p, int64_t task, int narrowed) {
    ROWS_OF(p, task)
        CHANNELS_OF(p) {
            const int64_t i = r * p->N + c;
            const vec u = get(p->in, i, (int)n, narrowed), square = u * u;
            const vec s = sigmoid(u * (square * (GELU_SLOPE * GELU_CUBIC * LOG2_E) + GELU_SLOPE * LOG2_E), narrowed);
            const vec slope = square * (3 * GELU_SLOPE * GELU_CUBIC) + GELU_SLOPE;
            const vec derivative = s + u * slope * (s - s * s);
            put(p->grad_in, i, get(p->grad, i, (int)n, narrowed) * derivative, (int)n, narrowed);
        }
}

/* ---- x' = x + y, n = norm(x'): with a shift, layer norm; without, root-mean-square norm ---- */

INLINE void norm_forward_rows(const problem *p, int64_t task, int narrowed) {
    ROWS_OF(p, task) {
        float *x = p->x_out + r * p->N;
        vec total = splat(0), squares = splat(0);
        CHANNELS_OF(p) {
            const vec v = load(p->x + r * p->N + c, (int)n) + get(p->in, r * p->N + c, (int)n, narrowed);
            store(x + c, v, (int)n);
            total += v;
            squares += v * v;
        }
        const float mean = p->shift ? sum(total) / p->N : 0;
        if (p->shift) { /* anew, about the mean: the difference of two large sums would be wrong */
            squares = splat(0);
            CHANNELS_OF(p) {
                vec v = load(x + c, (int)n) - mean;
                if (n < W) v = load((const float *)&v, (int)n);
                squares += v * v;
            }
        }
        const float scale = 1 / sqrtf(sum(squares) / p->N + p->eps);
        p->stats[2 * r] = mean, p->stats[2 * r + 1] = scale;
        CHANNELS_OF(p) {
            vec v = (load(x + c, (int)n) - mean) * scale * load(p->weight + c, (int)n);
            if (p->shift) v += load(p->shift + c, (int)n);
            put(p->out, r * p->N + c, v, (int)n, narrowed);
        }
    }
}

/* With v = (x' - mean) scale and h = gn w:  gx = gx' + scale (h - mean(h) - v mean(h v)); rms norm has no mean(h). */
INLINE void norm_backward_rows(const problem *p, int64_t task, int narrowed) {
    float *gw = p->sums + task * 2 * p->N, *gs = gw + p->N;
    memset(gw, 0, sizeof(float) * 2 * p->N);
    ROWS_OF(p, task) {
        const float mean = p->stats[2 * r], scale = p->stats[2 * r + 1];
        vec total = splat(0), along = splat(0);
        CHANNELS_OF(p) {
            const vec g = get(p->grad, r * p->N + c, (int)n, narrowed);
            const vec v = (load(p->x + r * p->N + c, (int)n) - mean) * scale, h = g * load(p->weight + c, (int)n);
            store(gw + c, load(gw + c, (int)n) + g * v, (int)n);
            store(gs + c, load(gs + c, (int)n) + g, (int)n);
            total += h;
            along += h * v;
        }
        const float level = p->shift ? sum(total) / p->N : 0, lean = sum(along) / p->N;
        CHANNELS_OF(p) {
            const int64_t i = r * p->N + c;
            const vec v = (load(p->x + i, (int)n) - mean) * scale;
            const vec h = get(p->grad, i, (int)n, narrowed) * load(p->weight + c, (int)n);
            vec gx = (h - level - v * lean) * scale;
            if (p->gx) gx += load(p->gx + i, (int)n);
            store(p->gx_out + i, gx, (int)n);
            put(p->grad_in, i, gx, (int)n, narrowed);
        }
    }
}

/* ---- Mamba's causal convolution and silu: in (R, 2 N) is x and z side by side; silu(conv(x)) and z apart ---- */

enum { MOST_TAPS = 8 };

INLINE vec filtered(const problem *p, int64_t r, int64_t c, int n, int narrowed, int64_t K, vec *x) {
    const int64_t t = r % p->L;
    vec u = load(p->shift + c, n);
    for (int64_t k = 0; k < K; k++) {
        const int64_t back = K - 1 - k;
        x[k] = t < back ? splat(0) : get(p->in, (r - back) * 2 * p->N + c, n, narrowed);
        u += load(p->weight + k * p->N + c, n) * x[k];
    }
    return u;
}

INLINE void convolve_forward_taps(const problem *p, int64_t task, int narrowed, int64_t K) {
    ROWS_OF(p, task)
        CHANNELS_OF(p) {
            vec x[MOST_TAPS];
            const vec u = filtered(p, r, c, (int)n, narrowed, K, x);
            put(p->out, r * p->N + c, u * sigmoid(u * LOG2_E, narrowed), (int)n, narrowed);
            put(p->gate, r * p->N + c, get(p->in, (2 * r + 1) * p->N + c, (int)n, narrowed), (int)n, narrowed);
        }
}

/* The gradient of u at a task's positions and the K - 1 behind them, which reach back into it; then that of the inputs. */
INLINE void convolve_backward_taps(const problem *p, int64_t task, float *gu, int narrowed, int64_t K) {
    const int64_t first = task * BLOCK, last = least(p->R, first + BLOCK);
    float *gw = p->sums + task * (K + 1) * p->N, *gb = gw + K * p->N;
    memset(gw, 0, sizeof(float) * (K + 1) * p->N);
    for (int64_t r = first; r < least(p->R, last + K - 1); r++)
        CHANNELS_OF(p) {
            vec x[MOST_TAPS];
            const vec u = filtered(p, r, c, (int)n, narrowed, K, x), s = sigmoid(u * LOG2_E, narrowed);
            const vec g = get(p->grad, r * p->N + c, (int)n, narrowed) * (s + u * (s - s * s));
            store(gu + (r - first) * p->N + c, g, (int)n);
            if (r >= last) continue;
            store(gb + c, load(gb + c, (int)n) + g, (int)n);
            for (int64_t k = 0; k < K; k++)
                store(gw + k * p->N + c, load(gw + k * p->N + c, (int)n) + g * x[k], (int)n);
        }
    for (int64_t r = first; r < last; r++) {
        const int64_t reach = least(K, p->L - r % p->L);
        CHANNELS_OF(p) {
            vec g = splat(0);
            for (int64_t k = 0; k < reach; k++)
                g += load(p->weight + (K - 1 - k) * p->N + c, (int)n) * load(gu + (r - first + k) * p->N + c, (int)n);
            put(p->grad_in, 2 * r * p->N + c, g, (int)n, narrowed);
            put(p->grad_in, (2 * r + 1) * p->N + c, get(p->ggate, r * p->N + c, (int)n, narrowed), (int)n, narrowed);
        }
    }
}

INLINE void convolve_forward_rows(const problem *p, int64_t task, int narrowed) {
    if (p->K == 4) convolve_forward_taps(p, task, narrowed, 4);
    else convolve_forward_taps(p, task, narrowed, p->K);
}

static void convolve_backward_task(const void *argument, int64_t task, void *space) {
    const problem *p = argument;
    if (p->narrowed && p->K == 4) convolve_backward_taps(p, task, space, 1, 4);
    else if (p->narrowed) convolve_backward_taps(p, task, space, 1, p->K);
    else convolve_backward_taps(p, task, space, 0, p->K);
}

/* ---- sums over positions ---- */

INLINE void column_sum_rows(const problem *p, int64_t task, int narrowed) {
    float *total = p->sums + task * p->N;
    memset(total, 0, sizeof(float) * p->N);
    ROWS_OF(p, task)
        CHANNELS_OF(p)
            store(total + c, load(total + c, (int)n) + get(p->in, r * p->N + c, (int)n, narrowed), (int)n);
}

/* ---- what is called: `narrowed` where the tensors given as void are bfloat16, else floats ---- */

#define BOTH(name)                                                                        \
    static void name##_task(const void *argument, int64_t task, void *space) {           \
        const problem *p = argument;                                                     \
        (void)space;                                                                     \
        if (p->narrowed) name##_rows(p, task, 1);                                        \
        else name##_rows(p, task, 0);                                                    \
    }
BOTH(gelu_forward)
BOTH(gelu_backward)
BOTH(norm_forward)
BOTH(norm_backward)
BOTH(column_sum)
BOTH(convolve_forward)

#define RUN_WITH(name, p, threads, bytes) run(&(p), name##_task, ((p).R + BLOCK - 1) / BLOCK, threads, bytes, 0)
#define RUN(name, p, threads) RUN_WITH(name, p, threads, 0)

int gelu_forward(const void *u, void *y, int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.in = u, .out = y, .R = R, .N = N, .narrowed = (int)narrowed};
    return RUN(gelu_forward, p, threads);
}

int gelu_backward(const void *u, const void *gy, void *gu, int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.in = u, .grad = gy, .grad_in = gu, .R = R, .N = N, .narrowed = (int)narrowed};
    return RUN(gelu_backward, p, threads);
}

/* x, x_out floats; y, normed of either type; stats (R, 2): mean and factor. shift NULL: root-mean-square norm. */
int add_norm_forward(const float *x, const void *y, const float *weight, const float *shift, float *x_out, void *normed,
                     float *stats, double eps, int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.x = x, .in = y, .weight = weight, .shift = shift, .x_out = x_out, .out = normed, .stats = stats,
                       .eps = (float)eps, .R = R, .N = N, .narrowed = (int)narrowed};
    return RUN(norm_forward, p, threads);
}

/* gx_out NULL: 0. sums (tasks, 2, N): parts of the gradients of weight and shift. */
int add_norm_backward(const float *x_out, const float *weight, const float *shift, const float *stats, const float *gx_out,
                      const void *gn, float *gx, void *gy, float *sums, int64_t R, int64_t N, int64_t narrowed,
                      int64_t threads) {
    const problem p = {.x = x_out, .weight = weight, .shift = shift, .stats = (float *)stats, .gx = gx_out, .grad = gn,
                       .gx_out = gx, .grad_in = gy, .sums = sums, .R = R, .N = N, .narrowed = (int)narrowed};
    return RUN(norm_backward, p, threads);
}

int column_sum(const void *x, float *sums, int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.in = x, .sums = sums, .R = R, .N = N, .narrowed = (int)narrowed};
    return RUN(column_sum, p, threads);
}

/* weight (K, N) and shift (N): the filter and its bias. */
int convolve_forward(const void *xz, const float *weight, const float *shift, void *x, void *z, int64_t L, int64_t K,
                     int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.in = xz, .weight = weight, .shift = shift, .out = x, .gate = z, .R = R, .N = N, .L = L, .K = K,
                       .narrowed = (int)narrowed};
    return RUN(convolve_forward, p, threads);
}

/* sums (tasks, K + 1, N): parts of the gradients of weight and shift. */
int convolve_backward(const void *xz, const float *weight, const float *shift, const void *gx, const void *gz, void *gxz,
                      float *sums, int64_t L, int64_t K, int64_t R, int64_t N, int64_t narrowed, int64_t threads) {
    const problem p = {.in = xz, .weight = weight, .shift = shift, .grad = gx, .ggate = gz, .grad_in = gxz, .sums = sums,
                       .R = R, .N = N, .L = L, .K = K, .narrowed = (int)narrowed};
    return RUN_WITH(convolve_backward, p, threads, sizeof(float) * (BLOCK + K) * N);
}

int64_t n_parts(int64_t R) { return (R + BLOCK - 1) / BLOCK; }
