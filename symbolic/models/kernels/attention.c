/* Causal attention, forward and backward, without a matrix of T x T numbers. Equations and symbols: attention.py.
 *
 * Layout: the projection's own output (B, T, 3, H, F) in, y (B, T, H, F) out: nothing is transposed outside. A task is
 * one head of one row; it copies what it multiplies into padded stores (multiples of 32, zeros beyond) of the type and
 * order that `product` reads. Blocks above the diagonal are skipped. The forward pass keeps for each query the
 * base-2 logarithm of its sum of powers; the backward pass computes the probabilities again from it, transposed
 * (keys x queries), so that the sums over queries read them as they lie (Dao et al. 2022, algorithm 4).
 */
#include "vectors.h"

enum { QUERIES = 32, KEYS = 64, CHUNK = 256 }; /* rows of a forward block; keys and queries of a backward block */
enum { PAD = 32 }; /* between rows whose distance would be a power of two, and which the cache would then drop */
#define MASKED (-1e30f)

typedef struct {
    const void *qkv, *y, *gy;
    void *out, *gqkv;
    float *logs;
    int64_t T, H, F, Tp, Fp; /* Tp, Fp: padded */
    float scale;
} problem;

typedef struct { /* one head's part of a tensor (T, stride): element (t, f) at first + t * stride + f */
    int64_t first, stride;
} part;

INLINE part part_of(const problem *p, int64_t task, int which, int of) { /* q, k, v = 0, 1, 2 of 3; y is 0 of 1 */
    const int64_t row = task / p->H, head = task % p->H, E = p->H * p->F;
    return (part){row * p->T * of * E + which * E + head * p->F, of * E};
}

/* W numbers of position t from channel f, zeros outside the tensor. */
INLINE vec fetch(const problem *p, const void *x, part at, int64_t t, int64_t f, int narrowed) {
    const int64_t n = least(W, p->F - f);
    if (t >= p->T || n <= 0) return splat(0);
    return get(x, at.first + t * at.stride + f, (int)n, narrowed);
}

INLINE void copy_rows(const problem *p, void *A, const void *x, part at, int narrowed, int tiles) {
    for (int64_t t = 0; t < p->Tp; t++)
        for (int64_t f = 0; f < p->Fp; f += W) put(A, t * p->Fp + f, fetch(p, x, at, t, f, narrowed), W, tiles);
}

/* x as the right factor (T, F) of a product over positions. */
INLINE void copy_right(const problem *p, void *B, const void *x, part at, int narrowed, int tiles) {
    for (int64_t t = 0; t < p->Tp; t += 2)
        for (int64_t f = 0; f < p->Fp; f += W)
            put_pair(B, t, f, p->Fp, fetch(p, x, at, t, f, narrowed), fetch(p, x, at, t + 1, f, narrowed), tiles);
}

/* ---- forward ---- */

/* One query's scores (n, a multiple of 32) into powers, of which the first `seen` count; their sum, and the largest. */
INLINE float powers_of(float *scores, void *P, int64_t n, int64_t seen, float scale, float *shift, int tiles) {
    vec most = splat(MASKED), total = splat(0);
    for (int64_t j = n - 32; j < n; j += W) {
        const ivec past = count_from(j) < (int32_t)seen;
        store(scores + j, (vec)(((ivec)load(scores + j, W) & past) | ((ivec)splat(MASKED) & ~past)), W);
    }
    for (int64_t j = 0; j < n; j += W) most = larger(most, load(scores + j, W));
    *shift = largest(most) * scale;
    for (int64_t j = 0; j < n; j += W) {
        vec power = power_of_two(load(scores + j, W) * scale - *shift, tiles);
        if (j >= n - 32) power = (vec)((ivec)power & (count_from(j) < (int32_t)seen));
        total += power;
        put(P, j, power, W, tiles);
    }
    return sum(total);
}

INLINE void forward_head(const problem *p, int64_t task, char *space, int narrowed, int tiles) {
    const int64_t size = tiles ? sizeof(half) : sizeof(float), T = p->Tp, F = p->Fp, wide = T + PAD;
    const part q = part_of(p, task, 0, 3), k = part_of(p, task, 1, 3), v = part_of(p, task, 2, 3);
    const part y = part_of(p, task, 0, 1);
    void *rows = space, *keys = space + size * T * F, *values = space + 2 * size * T * F;
    void *P = space + 3 * size * T * F;
    float *S = (float *)((char *)P + size * QUERIES * wide), *Y = S + QUERIES * wide;
    copy_rows(p, rows, p->qkv, k, narrowed, tiles);
    transposed_right(keys, T, rows, F, T, F, tiles);
    copy_right(p, values, p->qkv, v, narrowed, tiles);
    copy_rows(p, rows, p->qkv, q, narrowed, tiles);
    for (int64_t i = 0; i < p->T; i += QUERIES) {
        const int64_t n = i + QUERIES;
        float total[QUERIES];
        product(S, wide, at_const(rows, i * F, tiles), F, keys, T, QUERIES, n, F, 0, tiles);
        for (int64_t r = 0; r < QUERIES && i + r < p->T; r++) {
            float shift;
            total[r] = powers_of(S + r * wide, at(P, r * wide, tiles), n, i + r + 1, p->scale, &shift, tiles);
            p->logs[task * p->T + i + r] = shift + log2f(total[r]);
        }
        product(Y, F, P, wide, values, F, QUERIES, F, n, 0, tiles);
        for (int64_t r = 0; r < QUERIES && i + r < p->T; r++)
            for (int64_t f = 0; f < p->F; f += W)
                put(p->out, y.first + (i + r) * y.stride + f, load(Y + r * F + f, W) * (1 / total[r]),
                    (int)least(W, p->F - f), narrowed);
    }
}

/* ---- backward ---- */

typedef struct {
    void *K, *V, *Kt;      /* left factors: (T, F), (T, F), (F, T) */
    void *Q, *G, *Qt, *Gt; /* right factors of the queries and of y's gradient: (T, F) and (F, T) */
    void *P, *D, *right;   /* a block's probabilities and gradients of its scores: (KEYS, CHUNK), left; D right */
    float *S, *gP;         /* the same as they come out of products */
    float *gK, *gV, *gQ;   /* (KEYS, F), (KEYS, F), (F, T) */
    float *logs, *inner;   /* (T): of each query, the forward pass's logarithm, and y . gy */
    int64_t wide;          /* from row to row of Kt and gQ */
} stores;

enum { BLOCK = KEYS * (CHUNK + PAD) };

INLINE stores lay_out(const problem *p, char *space, int tiles, size_t *bytes) {
    const int64_t size = tiles ? sizeof(half) : sizeof(float), TF = p->Tp * p->Fp;
    stores s = {.wide = p->Tp + PAD};
    char *next = space;
    void **factors[] = {&s.K, &s.V, &s.Q, &s.G, &s.Qt, &s.Gt};
    for (int i = 0; i < 6; i++, next += size * TF) *factors[i] = next;
    void **blocks[] = {&s.P, &s.D, &s.right};
    for (int i = 0; i < 3; i++, next += size * BLOCK) *blocks[i] = next;
    s.Kt = next;
    float **floats[] = {&s.S, &s.gP, &s.gK, &s.gV, &s.gQ, &s.logs, &s.inner};
    const int64_t sizes[] = {BLOCK, BLOCK, KEYS * p->Fp, KEYS * p->Fp, p->Fp * s.wide, p->Tp, p->Tp};
    next += size * p->Fp * s.wide;
    for (int i = 0; i < 7; next += sizeof(float) * sizes[i++]) *floats[i] = (float *)next;
    *bytes = next - space;
    return s;
}

INLINE void prepare(const problem *p, int64_t task, const stores *s, int narrowed, int tiles) {
    const part q = part_of(p, task, 0, 3), k = part_of(p, task, 1, 3), v = part_of(p, task, 2, 3);
    const part y = part_of(p, task, 0, 1);
    copy_rows(p, s->K, p->qkv, q, narrowed, tiles); /* K's and V's room lends itself to what is transposed */
    transposed_right(s->Qt, p->Tp, s->K, p->Fp, p->Tp, p->Fp, tiles);
    copy_rows(p, s->V, p->gy, y, narrowed, tiles);
    transposed_right(s->Gt, p->Tp, s->V, p->Fp, p->Tp, p->Fp, tiles);
    copy_right(p, s->Q, p->qkv, q, narrowed, tiles);
    copy_right(p, s->G, p->gy, y, narrowed, tiles);
    copy_rows(p, s->K, p->qkv, k, narrowed, tiles);
    copy_rows(p, s->V, p->qkv, v, narrowed, tiles);
    transposed_left(s->Kt, s->wide, s->K, p->Fp, p->Tp, p->Fp, tiles);
    memset(s->gQ, 0, sizeof(float) * p->Fp * s->wide);
    for (int64_t t = 0; t < p->Tp; t++) {
        vec inner = splat(0);
        for (int64_t f = 0; f < p->F; f += W)
            inner += fetch(p, p->y, y, t, f, narrowed) * fetch(p, p->gy, y, t, f, narrowed);
        s->inner[t] = sum(inner);
        s->logs[t] = t < p->T ? p->logs[task * p->T + t] : -MASKED;
    }
}

/* Scores of keys j.. for queries i.. (rows of S) and gradients of the probabilities (rows of gP), both products, into
 * the probabilities and the gradients of the scores as factors. */
INLINE void soften(const problem *p, const stores *s, int64_t j, int64_t i, int64_t n_queries, int tiles) {
    const float back = p->scale / LOG2_E;
    for (int64_t r = 0; r < KEYS; r += 2)
        for (int64_t c = 0; c < n_queries; c += W) {
            vec D[2];
            const vec logs = load(s->logs + i + c, W), inner = load(s->inner + i + c, W);
            for (int pair = 0; pair < 2; pair++) {
                const int64_t at_row = (r + pair) * (CHUNK + PAD) + c;
                vec P = power_of_two(load(s->S + at_row, W) * p->scale - logs, tiles);
                if (i + c < j + KEYS) P = (vec)((ivec)P & (count_from(i + c) >= (int32_t)(j + r + pair)));
                D[pair] = P * (load(s->gP + at_row, W) - inner) * back;
                put(s->P, at_row, P, W, tiles);
                put(s->D, at_row, D[pair], W, tiles);
            }
            put_pair(s->right, r, c, CHUNK, D[0], D[1], tiles);
        }
}

INLINE void put_rows(const problem *p, void *x, part at, int64_t t, int64_t n, const float *rows, int narrowed) {
    for (int64_t r = 0; r < n && t + r < p->T; r++)
        for (int64_t f = 0; f < p->F; f += W)
            put(x, at.first + (t + r) * at.stride + f, load(rows + r * p->Fp + f, W), (int)least(W, p->F - f), narrowed);
}

/* gQ, gathered with positions side by side, into its place. */
INLINE void put_columns(const problem *p, const stores *s, part at, int narrowed) {
    vec rows[W];
    for (int64_t t = 0; t < p->T; t += W)
        for (int64_t f = 0; f < p->F; f += W) {
            for (int i = 0; i < W; i++) rows[i] = load(s->gQ + (f + i) * s->wide + t, W);
            transpose(rows);
            for (int64_t i = 0; i < W && t + i < p->T; i++)
                put(p->gqkv, at.first + (t + i) * at.stride + f, rows[i], (int)least(W, p->F - f), narrowed);
        }
}

INLINE void backward_head(const problem *p, int64_t task, char *space, int narrowed, int tiles) {
    size_t bytes;
    const stores s = lay_out(p, space, tiles, &bytes);
    const int64_t T = p->Tp, F = p->Fp, row = CHUNK + PAD;
    prepare(p, task, &s, narrowed, tiles);
    for (int64_t j = 0; j < T; j += KEYS) {
        for (int64_t i = j; i < T; i += CHUNK) {
            const int64_t n = least(CHUNK, T - i);
            const void *Qt = at_const(s.Qt, place(0, i, T, tiles), tiles), *Q = at_const(s.Q, place(i, 0, F, tiles), tiles);
            const void *Gt = at_const(s.Gt, place(0, i, T, tiles), tiles), *G = at_const(s.G, place(i, 0, F, tiles), tiles);
            product(s.S, row, at_const(s.K, j * F, tiles), F, Qt, T, KEYS, n, F, 0, tiles);
            product(s.gP, row, at_const(s.V, j * F, tiles), F, Gt, T, KEYS, n, F, 0, tiles);
            soften(p, &s, j, i, n, tiles);
            product(s.gV, F, s.P, row, G, F, KEYS, F, n, i > j, tiles);
            product(s.gK, F, s.D, row, Q, F, KEYS, F, n, i > j, tiles);
            product(s.gQ + i, s.wide, at_const(s.Kt, j, tiles), s.wide, s.right, CHUNK, F, n, KEYS, 1, tiles);
        }
        put_rows(p, p->gqkv, part_of(p, task, 1, 3), j, KEYS, s.gK, narrowed);
        put_rows(p, p->gqkv, part_of(p, task, 2, 3), j, KEYS, s.gV, narrowed);
    }
    put_columns(p, &s, part_of(p, task, 0, 3), narrowed);
}

/* ---- what is called: `kind` 0 floats, 1 bfloat16 through floats, 2 bfloat16 in the matrix unit ---- */

#define TASKS(name)                                                                                                  \
    static void name##_0(const void *p, int64_t task, void *space) { name(p, task, space, 0, 0); }                   \
    static void name##_1(const void *p, int64_t task, void *space) { name(p, task, space, 1, 0); }                   \
    static void name##_2(const void *p, int64_t task, void *space) { name(p, task, space, 1, HAS_TILES); }
TASKS(forward_head)
TASKS(backward_head)

static problem shaped(int64_t T, int64_t H, int64_t F) {
    return (problem){.T = T, .H = H, .F = F, .Tp = round_up(T, KEYS), .Fp = round_up(F, 32),
                     .scale = LOG2_E / sqrtf((float)F)};
}

int attention_forward(const void *qkv, void *y, float *logs, int64_t rows, int64_t T, int64_t H, int64_t F,
                      int64_t kind, int64_t threads) {
    problem p = shaped(T, H, F);
    p.qkv = qkv, p.out = y, p.logs = logs;
    const int tiles = kind == 2;
    const size_t size = tiles ? sizeof(half) : sizeof(float);
    const size_t bytes = size * (3 * p.Tp * p.Fp + QUERIES * (p.Tp + PAD)) + sizeof(float) * QUERIES * (p.Tp + PAD + p.Fp);
    return run(&p, kind == 0 ? forward_head_0 : kind == 1 ? forward_head_1 : forward_head_2, rows * H, threads, bytes,
               tiles);
}

int attention_backward(const void *qkv, const void *y, const void *gy, const float *logs, void *gqkv, int64_t rows,
                       int64_t T, int64_t H, int64_t F, int64_t kind, int64_t threads) {
    problem p = shaped(T, H, F);
    p.qkv = qkv, p.y = y, p.gy = gy, p.logs = (float *)logs, p.gqkv = gqkv;
    size_t bytes;
    lay_out(&p, NULL, kind == 2, &bytes);
    return run(&p, kind == 0 ? backward_head_0 : kind == 1 ? backward_head_1 : backward_head_2, rows * H, threads, bytes,
               kind == 2);
}
