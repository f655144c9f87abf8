/* The selective scan of Mamba with its step sizes and its gate, forward and backward. Equations and symbols: scan.py.
 *
 * Layout: x, dt, z, y (B, L, D); B, C (B, L, N); A (N, D); states (N, D): the D channels lie side by side, so a vector holds
 * W channels and no sum across a vector is needed except for the gradients of B and C. Sums are floats; the tensors given
 * as void are floats or bfloat16.
 * A chunk of T positions is read row by row, as memory lies, into blocks of W channels, and each block goes through the
 * chunk with its state in registers. The forward pass stores the state before every chunk; the backward pass computes the
 * states of one chunk again from it. A task is a group of blocks of one row.
 */
#include "vectors.h"

enum { T = 16 };
#define LOG_2 0.69314718055994531f

typedef struct {
    const void *x, *dt, *B, *C, *z, *gout; /* z NULL: no gate */
    const float *bias, *A, *D, *gh;
    void *out, *gx, *gdt, *gz;
    float *h, *starts;                    /* (B, N, D); (B, chunks, blocks, N, W) */
    float *gB, *gC, *gA, *gsums;          /* (groups, B, L, N) twice; (B, N, D); (B, 2, D): of bias and D */
    int64_t rows, L, channels, N, groups, blocks, chunks;
    int narrowed;
} problem;

typedef struct {
    vec *x, *delta, *y, *gy, *gx, *gdelta; /* (blocks, T): a chunk */
    vec *h, *A;                            /* (blocks, N); A times log2(e) */
    vec *decay, *states;                   /* (T, N) and (T + 1, N): one block's, states[0] the one before the chunk */
    vec *gB, *gC, *gA;                     /* (T, N), not yet summed across the vector; (blocks, N) */
    float *B, *C;                          /* (T, N) */
} stores;

typedef struct { /* a chunk of a task: row, blocks first .. last, positions t .. t + n; at: t among those of all rows */
    int64_t row, group, first, last, t, n, at, chunk;
} place_in;

static stores lay_out(const problem *p, vec *next, size_t *bytes) {
    const int64_t blocks = (p->blocks + p->groups - 1) / p->groups, N = p->N;
    const vec *begin = next;
    stores s;
    vec **chunks[] = {&s.x, &s.delta, &s.y, &s.gy, &s.gx, &s.gdelta};
    for (int i = 0; i < 6; i++, next += blocks * T) *chunks[i] = next;
    vec **states[] = {&s.h, &s.A, &s.gA};
    for (int i = 0; i < 3; i++, next += blocks * N) *states[i] = next;
    vec **positions[] = {&s.decay, &s.gB, &s.gC, &s.states};
    for (int i = 0; i < 4; i++, next += T * N) *positions[i] = next;
    next += N;
    s.B = (float *)next;
    s.C = s.B + T * N + W;
    *bytes = (char *)(s.C + T * N + W) - (char *)begin;
    return s;
}

INLINE place_in chunk_of(const problem *p, int64_t task, int64_t chunk) {
    const int64_t each = (p->blocks + p->groups - 1) / p->groups, row = task / p->groups, group = task % p->groups;
    const int64_t first = least(group * each, p->blocks), t = chunk * T;
    return (place_in){row, group, first, least(first + each, p->blocks), t, least(T, p->L - t), row * p->L + t, chunk};
}

#define EACH_BLOCK(at)                                                                                  \
    for (int64_t b = at.first, c = b * W, o = 0, n = least(W, p->channels - c); b < at.last;           \
         b++, c += W, o++, n = least(W, p->channels - c))
#define EACH_PLACE(at)                              \
    for (int64_t t = 0; t < at.n; t++)              \
        EACH_BLOCK(at)

INLINE vec raw_step(const problem *p, int64_t i, int64_t c, int n, int narrowed) {
    return get(p->dt, i, n, narrowed) + load(p->bias + c, n);
}

INLINE void read_chunk(const problem *p, place_in at, const stores *s, int narrowed, int64_t N) {
    EACH_PLACE(at) {
        const int64_t i = (at.at + t) * p->channels + c;
        s->x[o * T + t] = get(p->x, i, (int)n, narrowed);
        s->delta[o * T + t] = softplus(raw_step(p, i, c, (int)n, narrowed));
    }
    for (int64_t i = 0; i < at.n * N; i += W) {
        const int n = (int)least(W, at.n * N - i);
        store(s->B + i, get(p->B, at.at * N + i, n, narrowed), n);
        store(s->C + i, get(p->C, at.at * N + i, n, narrowed), n);
    }
}

INLINE void read_rates(const problem *p, place_in at, const stores *s, int64_t N) {
    EACH_BLOCK(at)
        for (int64_t i = 0; i < N; i++) s->A[o * N + i] = load(p->A + i * p->channels + c, (int)n) * LOG2_E;
}

INLINE float *start_of(const problem *p, place_in at, int64_t block, int64_t N) {
    return p->starts + (((at.row * p->chunks + at.chunk) * p->blocks + block) * N) * W;
}

/* ---- forward ---- */

INLINE void forward_block(const stores *s, int64_t o, int64_t n, vec skip, int rough, int64_t N) {
    vec *h = s->h + o * N;
    const vec *A = s->A + o * N;
    for (int64_t t = 0; t < n; t++) {
        const float *B = s->B + t * N, *C = s->C + t * N;
        const vec x = s->x[o * T + t], delta = s->delta[o * T + t], step = x * delta;
        vec y = skip * x;
        for (int64_t i = 0; i < N; i++) {
            h[i] = power_of_two(delta * A[i], rough) * h[i] + step * B[i];
            y += h[i] * C[i];
        }
        s->y[o * T + t] = y;
    }
}

INLINE void forward_group(const problem *p, int64_t task, void *space, int narrowed, int64_t N) {
    size_t bytes;
    const stores s = lay_out(p, space, &bytes);
    place_in at = chunk_of(p, task, 0);
    read_rates(p, at, &s, N);
    memset(s.h, 0, sizeof(vec) * (at.last - at.first) * N);
    for (int64_t chunk = 0; chunk < p->chunks; chunk++) {
        at = chunk_of(p, task, chunk);
        read_chunk(p, at, &s, narrowed, N);
        EACH_BLOCK(at) {
            memcpy(start_of(p, at, b, N), s.h + o * N, sizeof(vec) * N);
            forward_block(&s, o, at.n, load(p->D + c, (int)n), narrowed, N);
        }
        EACH_PLACE(at) {
            const int64_t i = (at.at + t) * p->channels + c;
            vec y = s.y[o * T + t];
            if (p->z) {
                const vec z = get(p->z, i, (int)n, narrowed);
                y *= z * sigmoid(z * LOG2_E, narrowed);
            }
            put(p->out, i, y, (int)n, narrowed);
        }
    }
    EACH_BLOCK(at)
        for (int64_t i = 0; i < N; i++) store(p->h + (at.row * N + i) * p->channels + c, s.h[o * N + i], (int)n);
}

/* ---- backward ---- */

/* The chunk's decays and states from the state before it, and y anew. */
INLINE void restate(const stores *s, int64_t o, int64_t n, vec skip, int rough, int64_t N) {
    const vec *A = s->A + o * N;
    for (int64_t t = 0; t < n; t++) {
        const float *B = s->B + t * N, *C = s->C + t * N;
        const vec x = s->x[o * T + t], delta = s->delta[o * T + t], step = x * delta;
        vec *decay = s->decay + t * N, *h = s->states + t * N, y = skip * x;
        for (int64_t i = 0; i < N; i++) {
            decay[i] = power_of_two(delta * A[i], rough);
            h[N + i] = decay[i] * h[i] + step * B[i];
            y += h[N + i] * C[i];
        }
        s->y[o * T + t] = y;
    }
}

/* `carry`: the gradient of the state after the positions done so far. */
INLINE void backward_block(const stores *s, int64_t o, int64_t n, vec skip, vec *gskip, int64_t N) {
    vec *carry = s->h + o * N, *gA = s->gA + o * N;
    const vec *A = s->A + o * N;
    for (int64_t t = n - 1; t >= 0; t--) {
        const float *B = s->B + t * N, *C = s->C + t * N;
        const vec gy = s->gy[o * T + t], x = s->x[o * T + t], delta = s->delta[o * T + t], step = x * delta;
        const vec *decay = s->decay + t * N, *before = s->states + t * N, *after = before + N;
        vec *gB = s->gB + t * N, *gC = s->gC + t * N;
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
        s->gx[o * T + t] = through_B * delta + skip * gy;
        s->gdelta[o * T + t] = through_B * x + through_A * LOG_2;
        *gskip += gy * x;
    }
}

INLINE void read_gradients(const problem *p, place_in at, const stores *s, int narrowed) {
    EACH_PLACE(at) {
        const int64_t i = (at.at + t) * p->channels + c;
        vec g = get(p->gout, i, (int)n, narrowed);
        if (p->z) {
            const vec z = get(p->z, i, (int)n, narrowed);
            g *= z * sigmoid(z * LOG2_E, narrowed);
        }
        s->gy[o * T + t] = g;
    }
}

INLINE void write_gradients(const problem *p, place_in at, const stores *s, float *gbias, int narrowed) {
    EACH_PLACE(at) {
        const int64_t i = (at.at + t) * p->channels + c;
        const vec graw = s->gdelta[o * T + t] * sigmoid(raw_step(p, i, c, (int)n, narrowed) * LOG2_E, narrowed);
        put(p->gx, i, s->gx[o * T + t], (int)n, narrowed);
        put(p->gdt, i, graw, (int)n, narrowed);
        store(gbias + c, load(gbias + c, (int)n) + graw, (int)n);
        if (p->z) {
            const vec z = get(p->z, i, (int)n, narrowed), gate = sigmoid(z * LOG2_E, narrowed);
            const vec gz = get(p->gout, i, (int)n, narrowed) * s->y[o * T + t] * (gate + z * (gate - gate * gate));
            put(p->gz, i, gz, (int)n, narrowed);
        }
    }
}

INLINE void backward_group(const problem *p, int64_t task, void *space, int narrowed, int64_t N) {
    size_t bytes;
    const stores s = lay_out(p, space, &bytes);
    place_in at = chunk_of(p, task, 0);
    float *gbias = p->gsums + at.row * 2 * p->channels, *gD = gbias + p->channels;
    read_rates(p, at, &s, N);
    memset(s.gA, 0, sizeof(vec) * (at.last - at.first) * N);
    EACH_BLOCK(at)
        for (int64_t i = 0; i < N; i++)
            s.h[o * N + i] = p->gh ? load(p->gh + (at.row * N + i) * p->channels + c, (int)n) : splat(0);
    for (int64_t chunk = p->chunks - 1; chunk >= 0; chunk--) {
        at = chunk_of(p, task, chunk);
        read_chunk(p, at, &s, narrowed, N);
        read_gradients(p, at, &s, narrowed);
        memset(s.gB, 0, sizeof(vec) * 2 * T * N); /* and gC behind it */
        EACH_BLOCK(at) {
            const vec skip = load(p->D + c, (int)n);
            vec gskip = load(gD + c, (int)n);
            memcpy(s.states, start_of(p, at, b, N), sizeof(vec) * N);
            restate(&s, o, at.n, skip, narrowed, N);
            backward_block(&s, o, at.n, skip, &gskip, N);
            store(gD + c, gskip, (int)n);
        }
        write_gradients(p, at, &s, gbias, narrowed);
        float *gB = p->gB + (at.group * p->rows * p->L + at.at) * N, *gC = p->gC + (gB - p->gB);
        for (int64_t i = 0; i < at.n * N; i++) gB[i] = sum(s.gB[i]), gC[i] = sum(s.gC[i]);
    }
    EACH_BLOCK(at)
        for (int64_t i = 0; i < N; i++) store(p->gA + (at.row * N + i) * p->channels + c, s.gA[o * N + i], (int)n);
}

/* ---- what is called ---- */

#define TASK(name)                                                                  \
    static void name##_task(const void *argument, int64_t task, void *space) {     \
        const problem *p = argument;                                               \
        if (p->narrowed && p->N == 16) name(p, task, space, 1, 16);                \
        else if (p->narrowed) name(p, task, space, 1, p->N);                       \
        else if (p->N == 16) name(p, task, space, 0, 16);                          \
        else name(p, task, space, 0, p->N);                                        \
    }
TASK(forward_group)
TASK(backward_group)

static int each_group(problem p, void (*task)(const void *, int64_t, void *), int64_t threads) {
    size_t bytes;
    lay_out(&p, NULL, &bytes);
    return run(&p, task, p.rows * p.groups, threads, bytes, 0);
}

#define SIZES .rows = rows, .L = L, .channels = channels, .N = N, .groups = groups, .narrowed = (int)narrowed, \
              .blocks = (channels + W - 1) / W, .chunks = (L + T - 1) / T

/* Numbers that `starts` takes. */
int64_t starts_size(int64_t rows, int64_t L, int64_t channels, int64_t N) {
    return rows * ((L + T - 1) / T) * round_up(channels, W) * N;
}

int scan_forward(const void *x, const void *dt, const float *bias, const float *A, const void *B, const void *C,
                 const float *D, const void *z, void *out, float *h, float *starts, int64_t rows, int64_t L,
                 int64_t channels, int64_t N, int64_t groups, int64_t narrowed, int64_t threads) {
    const problem p = {.x = x, .dt = dt, .bias = bias, .A = A, .B = B, .C = C, .D = D, .z = z, .out = out, .h = h,
                       .starts = starts, SIZES};
    return each_group(p, forward_group_task, threads);
}

/* gsums: zeros on entry. gh NULL: 0. */
int scan_backward(const void *x, const void *dt, const float *bias, const float *A, const void *B, const void *C,
                  const float *D, const void *z, const float *starts, const void *gout, const float *gh, void *gx,
                  void *gdt, float *gA, float *gB, float *gC, float *gsums, void *gz, int64_t rows, int64_t L,
                  int64_t channels, int64_t N, int64_t groups, int64_t narrowed, int64_t threads) {
    const problem p = {.x = x, .dt = dt, .bias = bias, .A = A, .B = B, .C = C, .D = D, .z = z, .gout = gout, .gh = gh,
                       .gx = gx, .gdt = gdt, .gz = gz, .starts = (float *)starts, .gA = gA, .gB = gB, .gC = gC,
                       .gsums = gsums, SIZES};
    return each_group(p, backward_group_task, threads);
}
