/* The selective scan of Mamba, forward and backward, float32. Equations and symbols: scan.py.
 *
 * Layout: x, delta, y (B, L, D); B, C (B, L, N); A (N, D); states (N, D): the D channels lie side by side, so a vector
 * holds W channels and no sum across a vector is needed except for the gradients of B and C.
 * The forward pass stores the state before every chunk of T positions; the backward pass computes the states of one
 * chunk again from it, so memory grows with L / T.
 * Work is split over rows and blocks of W channels; a task never reads what another writes.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* W floats are one register of the processor: compilers split wider vectors badly. */
#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX__)
#define W 8
#else
#define W 4
#endif
typedef float vec __attribute__((vector_size(4 * W)));
typedef int32_t ivec __attribute__((vector_size(4 * W)));
#define INLINE static inline __attribute__((always_inline))

INLINE vec splat(float a) { return a - (vec){0}; }

INLINE vec load(const float *p, int n) {
    vec v = {0};
    if (n == W) memcpy(&v, p, sizeof v);
    else memcpy(&v, p, sizeof(float) * n);
    return v;
}

INLINE void store(float *p, vec v, int n) {
    if (n == W) memcpy(p, &v, sizeof v);
    else memcpy(p, &v, sizeof(float) * n);
}

/* e^x for x <= 0 within 2 units in the last place: x = k log 2 + r, a polynomial for e^r (Cephes), 2^k by its bits.
 * Below -80 the answer is 0, which also keeps the recurrence out of slow subnormal numbers. */
INLINE vec exp_negative(vec x) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    ivec tiny = x < splat(-80.0f);
    vec shifted = x * 1.44269504088896341f + magic;
    vec k = shifted - magic;
    vec r = x - k * 0.693359375f;
    r = r + k * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    ivec bits = (ivec)p + ((ivec)shifted << 23);
    return (vec)(bits & ~tiny);
}

typedef struct {
    const float *gy, *gh, *x, *delta, *A, *B, *C, *D, *starts_in;
    float *y, *h, *starts;
    float *gx, *gdelta, *gA, *gB, *gC, *gD;
    int64_t rows, L, channels, N, T, groups, blocks, chunks;
} problem;

/* ---- forward: one row, one block of channels ---- */

INLINE void forward_block(const problem *p, int64_t row, int64_t block, int64_t N, vec *h, vec *A) {
    const int64_t d = block * W, Dn = p->channels;
    const int n = Dn - d < W ? (int)(Dn - d) : W;
    const vec skip = load(p->D + d, n);
    for (int64_t i = 0; i < N; i++) {
        A[i] = load(p->A + i * Dn + d, n);
        h[i] = splat(0);
    }
    for (int64_t t = 0; t < p->L; t++) {
        const int64_t at = (row * p->L + t) * Dn + d;
        const float *B = p->B + (row * p->L + t) * N, *C = p->C + (row * p->L + t) * N;
        if (t % p->T == 0)
            for (int64_t i = 0; i < N; i++)
                store(p->starts + ((row * p->chunks + t / p->T) * N + i) * Dn + d, h[i], n);
        const vec x = load(p->x + at, n), delta = load(p->delta + at, n), step = x * delta;
        vec y = skip * x;
        for (int64_t i = 0; i < N; i++) {
            h[i] = exp_negative(delta * A[i]) * h[i] + step * B[i];
            y += h[i] * C[i];
        }
        store(p->y + at, y, n);
    }
    for (int64_t i = 0; i < N; i++) store(p->h + (row * N + i) * Dn + d, h[i], n);
}

static int forward_task(const problem *p, int64_t task) {
    vec *work = aligned_alloc(64, sizeof(vec) * 2 * p->N);
    if (!work) return 1;
    if (p->N == 16) forward_block(p, task / p->blocks, task % p->blocks, 16, work, work + 16);
    else forward_block(p, task / p->blocks, task % p->blocks, p->N, work, work + p->N);
    free(work);
    return 0;
}

/* ---- backward: one row, one group of blocks, chunks from last to first ---- */

typedef struct {
    vec *decay, *states;  /* (T, N) and (T + 1, N): one chunk of one block, states[0] the one before the chunk */
    vec *gB, *gC;         /* (T, N): one chunk, not yet summed across the vector */
    vec *A, *carry, *gA;  /* (blocks, N): the gradient of the state after the positions done so far */
    vec *gD;              /* (blocks) */
} space;

INLINE void restate(const problem *p, int64_t row, int64_t d, int n, int64_t from, int64_t to, int64_t N,
                    const vec *A, const space *s) {
    const int64_t Dn = p->channels;
    for (int64_t i = 0; i < N; i++)
        s->states[i] = load(p->starts_in + ((row * p->chunks + from / p->T) * N + i) * Dn + d, n);
    for (int64_t t = from; t < to; t++) {
        const int64_t at = (row * p->L + t) * Dn + d;
        const float *B = p->B + (row * p->L + t) * N;
        const vec delta = load(p->delta + at, n), step = load(p->x + at, n) * delta;
        vec *decay = s->decay + (t - from) * N, *h = s->states + (t - from) * N;
        for (int64_t i = 0; i < N; i++) {
            decay[i] = exp_negative(delta * A[i]);
            h[N + i] = decay[i] * h[i] + step * B[i];
        }
    }
}

INLINE void backward_chunk(const problem *p, int64_t row, int64_t d, int n, int64_t from, int64_t to, int64_t N,
                           const vec *A, vec *carry, vec *gA, vec *gD, const space *s) {
    const vec skip = load(p->D + d, n);
    for (int64_t t = to - 1; t >= from; t--) {
        const int64_t at = (row * p->L + t) * p->channels + d;
        const float *B = p->B + (row * p->L + t) * N, *C = p->C + (row * p->L + t) * N;
        const vec gy = load(p->gy + at, n), x = load(p->x + at, n), delta = load(p->delta + at, n), step = x * delta;
        const vec *decay = s->decay + (t - from) * N, *before = s->states + (t - from) * N, *after = before + N;
        vec *gB = s->gB + (t - from) * N, *gC = s->gC + (t - from) * N;
        vec through_B = splat(0), through_A = splat(0);
        for (int64_t i = 0; i < N; i++) {
            const vec gh = gy * C[i] + carry[i];
            gC[i] += gy * after[i];
            gB[i] += gh * step;
            through_B += gh * B[i];
            carry[i] = gh * decay[i];
            const vec exponent = carry[i] * before[i]; /* gradient of delta A */
            through_A += exponent * A[i];
            gA[i] += exponent * delta;
        }
        store(p->gx + at, through_B * delta + skip * gy, n);
        store(p->gdelta + at, through_B * x + through_A, n);
        *gD += gy * x;
    }
}

INLINE float sum(vec v) {
    float total = 0;
    for (int i = 0; i < W; i++) total += v[i];
    return total;
}

INLINE void backward_group(const problem *p, int64_t row, int64_t group, int64_t N, const space *s) {
    const int64_t each = (p->blocks + p->groups - 1) / p->groups, first = group * each;
    const int64_t last = first + each < p->blocks ? first + each : p->blocks, Dn = p->channels;
    for (int64_t b = first; b < last; b++) {
        const int n = Dn - b * W < W ? (int)(Dn - b * W) : W;
        for (int64_t i = 0; i < N; i++) {
            s->A[(b - first) * N + i] = load(p->A + i * Dn + b * W, n);
            s->carry[(b - first) * N + i] = load(p->gh + (row * N + i) * Dn + b * W, n);
            s->gA[(b - first) * N + i] = splat(0);
        }
        s->gD[b - first] = splat(0);
    }
    for (int64_t chunk = p->chunks - 1; chunk >= 0 && first < last; chunk--) {
        const int64_t from = chunk * p->T, to = from + p->T < p->L ? from + p->T : p->L;
        memset(s->gB, 0, sizeof(vec) * (to - from) * N);
        memset(s->gC, 0, sizeof(vec) * (to - from) * N);
        for (int64_t b = first; b < last; b++) {
            const int n = Dn - b * W < W ? (int)(Dn - b * W) : W;
            const int64_t o = (b - first) * N;
            restate(p, row, b * W, n, from, to, N, s->A + o, s);
            backward_chunk(p, row, b * W, n, from, to, N, s->A + o, s->carry + o, s->gA + o, s->gD + b - first, s);
        }
        float *gB = p->gB + ((group * p->rows + row) * p->L + from) * N;
        float *gC = p->gC + ((group * p->rows + row) * p->L + from) * N;
        for (int64_t j = 0; j < (to - from) * N; j++) {
            gB[j] = sum(s->gB[j]);
            gC[j] = sum(s->gC[j]);
        }
    }
    for (int64_t b = first; b < last; b++) {
        const int n = Dn - b * W < W ? (int)(Dn - b * W) : W;
        for (int64_t i = 0; i < N; i++) store(p->gA + (row * N + i) * Dn + b * W, s->gA[(b - first) * N + i], n);
        store(p->gD + row * Dn + b * W, s->gD[b - first], n);
    }
}

static int backward_task(const problem *p, int64_t task) {
    const int64_t N = p->N, T = p->T, each = (p->blocks + p->groups - 1) / p->groups;
    vec *work = aligned_alloc(64, sizeof(vec) * (N * (4 * T + 1) + each * (3 * N + 1)));
    if (!work) return 1;
    space s = {.decay = work};
    s.states = s.decay + T * N;
    s.gB = s.states + (T + 1) * N;
    s.gC = s.gB + T * N;
    s.A = s.gC + T * N;
    s.carry = s.A + each * N;
    s.gA = s.carry + each * N;
    s.gD = s.gA + each * N;
    if (N == 16) backward_group(p, task / p->groups, task % p->groups, 16, &s);
    else backward_group(p, task / p->groups, task % p->groups, N, &s);
    free(work);
    return 0;
}

/* ---- threads: each takes a contiguous share of the tasks ---- */

typedef struct {
    const problem *p;
    int (*task)(const problem *, int64_t);
    int64_t from, to;
    int status;
} share;

static void *work_through(void *argument) {
    share *s = argument;
    for (int64_t task = s->from; task < s->to && !s->status; task++) s->status = s->task(s->p, task);
    return NULL;
}

static int run(const problem *p, int (*task)(const problem *, int64_t), int64_t tasks, int64_t threads) {
    enum { MOST = 256 };
    pthread_t ids[MOST];
    share shares[MOST];
    int started[MOST] = {0}, status = 0;
    if (threads > tasks) threads = tasks;
    if (threads > MOST) threads = MOST;
    for (int64_t i = 0; i < threads; i++) {
        shares[i] = (share){p, task, tasks * i / threads, tasks * (i + 1) / threads, 0};
        if (i + 1 < threads) started[i] = !pthread_create(&ids[i], NULL, work_through, &shares[i]);
        if (!started[i]) work_through(&shares[i]);
    }
    for (int64_t i = 0; i < threads; i++) {
        if (started[i]) pthread_join(ids[i], NULL);
        status |= shares[i].status;
    }
    return status;
}

int scan_forward(const float *x, const float *delta, const float *A, const float *B, const float *C, const float *D,
                 float *y, float *h, float *starts, int64_t rows, int64_t L, int64_t channels, int64_t N, int64_t T,
                 int64_t threads) {
    problem p = {.x = x, .delta = delta, .A = A, .B = B, .C = C, .D = D, .y = y, .h = h, .starts = starts,
                 .rows = rows, .L = L, .channels = channels, .N = N, .T = T,
                 .blocks = (channels + W - 1) / W, .chunks = (L + T - 1) / T};
    return run(&p, forward_task, rows * p.blocks, threads);
}

int scan_backward(const float *gy, const float *gh, const float *x, const float *delta, const float *A, const float *B,
                  const float *C, const float *D, const float *starts, float *gx, float *gdelta, float *gA, float *gB,
                  float *gC, float *gD, int64_t rows, int64_t L, int64_t channels, int64_t N, int64_t T,
                  int64_t groups, int64_t threads) {
    problem p = {.gy = gy, .gh = gh, .x = x, .delta = delta, .A = A, .B = B, .C = C, .D = D, .starts_in = starts,
                 .gx = gx, .gdelta = gdelta, .gA = gA, .gB = gB, .gC = gC, .gD = gD,
                 .rows = rows, .L = L, .channels = channels, .N = N, .T = T, .groups = groups,
                 .blocks = (channels + W - 1) / W, .chunks = (L + T - 1) / T};
    return run(&p, backward_task, rows * groups, threads);
}
