/* All of Mamba-2's mixer between its two projections, forward and backward: convolution, silu, step sizes, the recurrence
 * by chunks of Q positions, skip, gate, gated norm. Equations and symbols: mamba2.py and ssd.py.
 *
 * `in` is the first projection's output (B, L, D + D + 2 G N + H): z, x, B, C, dt side by side; nothing is split or joined
 * outside. A task is one group of heads of one row; groups share nothing. Its arrays hold the group's J heads side by
 * side, each padded to a multiple of 32 channels: a chunk's (Q, JP), a state's (N, JP). Inside a chunk
 *
 *     y = (C B^T * decay) (delta x) + since * (C h) + D x,     h <- end h + B^T (left * delta x)
 *
 * with decay_ts = exp(total_t - total_s) for s <= t, since = exp(total), left = exp(total_end - total), total the sum of
 * delta A since the chunk's start: every exponent is at most 0. Sums of exponents are kept in two floats, since after one
 * strong decay the small differences of large floats would be wrong. The backward pass takes chunks from last to first,
 * decays transposed (s, t), and reads the states before each chunk, which the forward pass keeps.
 */
#include "vectors.h"

enum { Q = 64, MOST_TAPS = 8 };

typedef struct {
    const void *in, *gout;
    const float *filter, *filter_bias, *dt_bias, *A, *skip, *gain; /* (K, C), (C), (H), (H), (H), (D) */
    void *out, *y, *gin;                                           /* (B, L, D), before gate and norm the same, like in */
    void *states;                                                  /* (B, G, chunks, N, JP), as left factors: before chunks */
    float *scale;                                                  /* (B, L, G): the norm's factor */
    float *gfilter, *gfilter_bias, *gheads, *ggain; /* of each row: (K, C), (C), (3, H) of dt_bias, A, skip; (D) */
    int64_t L, H, P, G, N, K, J, D, C, width, Pp, Np, JP, chunks;
    float eps;
} problem;

typedef struct {
    float *X, *B, *C;                            /* (Q, JP), (Q, N), (Q, N): what the convolution gives */
    float *raw, *delta, *high, *low, *since, *left; /* (J, Q): dt + bias, step sizes, total as a sum of two, decays */
    float *S, *Y, *h;                            /* (Q, Q), (Q, JP), (N, JP) */
    void *Bl, *Cl, *Bt, *xl, *xr, *M, *hr;       /* factors: l left, r right, t transposed */
    /* backward only */
    float *gS, *gM, *carried, *reach, *gX, *gB, *gC, *gh, *gtotal, *gdelta, *tail;
    void *Ct, *Br, *Cr, *gyl, *gyr, *gyt, *sl, *sr, *ht, *ghl, *ghr, *ght, *Mt;
} stores;

static void *take(char **next, int64_t count, int64_t size) {
    void *taken = *next;
    *next += round_up(count * size, 64);
    return taken;
}

static stores lay_out(const problem *p, char *space, int tiles, int backward, size_t *bytes) {
    const int64_t f = sizeof(float), n = tiles ? sizeof(half) : f, QX = Q * p->JP, QN = Q * p->Np, NX = p->Np * p->JP;
    char *next = space;
    stores s;
    s.X = take(&next, QX, f), s.B = take(&next, QN, f), s.C = take(&next, QN, f);
    float **of_steps[] = {&s.raw, &s.delta, &s.high, &s.low, &s.since, &s.left, &s.gtotal, &s.gdelta};
    for (int i = 0; i < 8; i++) *of_steps[i] = take(&next, p->J * Q, f);
    s.S = take(&next, Q * Q, f), s.Y = take(&next, QX, f), s.h = take(&next, NX, f);
    s.Bl = take(&next, QN, n), s.Cl = take(&next, QN, n), s.Bt = take(&next, QN, n);
    s.xl = take(&next, QX, n), s.xr = take(&next, QX, n), s.M = take(&next, Q * Q, n), s.hr = take(&next, NX, n);
    if (backward) {
        const int64_t room = Q + MOST_TAPS; /* convolve_back's room */
        s.carried = take(&next, QX, f), s.reach = take(&next, QX, f), s.gX = take(&next, room * p->JP, f);
        s.gB = take(&next, room * p->Np, f), s.gC = take(&next, room * p->Np, f), s.gh = take(&next, NX, f);
        s.gS = take(&next, Q * Q, f), s.gM = take(&next, Q * Q, f);
        s.tail = take(&next, p->K * (p->J * p->P + 2 * p->N), f);
        void **maps[] = {&s.Ct, &s.Br, &s.Cr}, **rows[] = {&s.gyl, &s.gyr, &s.gyt, &s.sl, &s.sr};
        void **of_states[] = {&s.ht, &s.ghl, &s.ghr, &s.ght};
        for (int i = 0; i < 3; i++) *maps[i] = take(&next, QN, n);
        for (int i = 0; i < 5; i++) *rows[i] = take(&next, QX, n);
        for (int i = 0; i < 4; i++) *of_states[i] = take(&next, NX, n);
        s.Mt = take(&next, Q * Q, n);
    }
    *bytes = next - space;
    return s;
}

typedef struct { /* one chunk: positions t .. t + n of a row; the group's first head */
    int64_t row, group, head, t, n, at; /* at: the position among those of all rows */
} place_in;

INLINE place_in chunk_of(const problem *p, int64_t task, int64_t chunk) {
    const int64_t row = task / p->G, group = task % p->G, t = chunk * Q;
    return (place_in){row, group, group * p->J, t, least(Q, p->L - t), row * p->L + t};
}

/* Every vector of the group's channels: head j, channel f of it, column c of a (Q, JP) array, n numbers. */
#define EACH_CHANNEL                          \
    for (int64_t j = 0; j < p->J; j++)        \
        for (int64_t f = 0, c = j * p->Pp, n = least(W, p->P); f < p->P; f += W, c += W, n = least(W, p->P - f))

INLINE void *states_of(const problem *p, int64_t task, int64_t chunk, int tiles) {
    return at(p->states, (task * p->chunks + chunk) * p->Np * p->JP, tiles);
}

/* ---- convolution and silu: channels first .. first + count of the C; positions outermost, as memory lies ---- */

INLINE void read_taps(const problem *p, place_in at, int64_t t, int64_t channel, int n, int narrowed, int64_t K, vec *x) {
    for (int64_t k = 0; k < K; k++) {
        const int64_t back = t - K + 1 + k, i = (at.at + back) * p->width + p->D + channel;
        x[k] = at.t + back < 0 ? splat(0) : get(p->in, i, n, narrowed);
    }
}

INLINE vec filtered(const problem *p, int64_t channel, int n, int64_t K, const vec *x) {
    vec u = load(p->filter_bias + channel, n);
    for (int64_t k = 0; k < K; k++) u += load(p->filter + k * p->C + channel, n) * x[k];
    return u;
}

INLINE void convolve_as(const problem *p, place_in at, int64_t first, int64_t count, float *to, int64_t ld, int narrowed,
                        int64_t K) {
    for (int64_t t = 0; t < at.n; t++)
        for (int64_t c = 0; c < count; c += W) {
            const int n = (int)least(W, count - c);
            vec x[MOST_TAPS];
            read_taps(p, at, t, first + c, n, narrowed, K, x);
            const vec u = filtered(p, first + c, n, K, x);
            store(to + t * ld + c, u * sigmoid(u * LOG2_E, narrowed), n);
        }
}

/* g (n, count) is the gradient of what convolve_as gives and becomes that of the filter's output; below its n rows lies
 * room for K - 1 more, `tail`: the first rows of the chunk behind. */
INLINE void convolve_back_as(const problem *p, place_in at, int64_t first, int64_t count, float *g, int64_t ld,
                             float *tail, int64_t ldt, int narrowed, int64_t K) {
    float *gw = p->gfilter + at.row * K * p->C + first, *gb = p->gfilter_bias + at.row * p->C + first;
    for (int64_t k = 0; k + 1 < K; k++) memcpy(g + (at.n + k) * ld, tail + k * ldt, sizeof(float) * count);
    for (int64_t t = 0; t < at.n; t++)
        for (int64_t c = 0; c < count; c += W) {
            const int n = (int)least(W, count - c);
            vec x[MOST_TAPS];
            read_taps(p, at, t, first + c, n, narrowed, K, x);
            const vec u = filtered(p, first + c, n, K, x), s = sigmoid(u * LOG2_E, narrowed);
            const vec gu = load(g + t * ld + c, n) * (s + u * (s - s * s));
            store(g + t * ld + c, gu, n);
            store(gb + c, load(gb + c, n) + gu, n);
            for (int64_t k = 0; k < K; k++) store(gw + k * p->C + c, load(gw + k * p->C + c, n) + gu * x[k], n);
        }
    for (int64_t t = 0; t < at.n; t++)
        for (int64_t c = 0; c < count; c += W) {
            const int n = (int)least(W, count - c);
            vec gx = splat(0);
            for (int64_t k = 0; k < K; k++)
                gx += load(p->filter + (K - 1 - k) * p->C + first + c, n) * load(g + (t + k) * ld + c, n);
            put(p->gin, (at.at + t) * p->width + p->D + first + c, gx, n, narrowed);
        }
    for (int64_t k = 0; k + 1 < K; k++) memcpy(tail + k * ldt, g + k * ld, sizeof(float) * count);
}

INLINE void convolve(const problem *p, place_in at, int64_t first, int64_t count, float *to, int64_t ld, int narrowed) {
    if (p->K == 4) convolve_as(p, at, first, count, to, ld, narrowed, 4);
    else convolve_as(p, at, first, count, to, ld, narrowed, p->K);
}

INLINE void convolve_back(const problem *p, place_in at, int64_t first, int64_t count, float *g, int64_t ld, float *tail,
                          int narrowed) {
    const int64_t ldt = p->J * p->P + 2 * p->N;
    if (p->K == 4) convolve_back_as(p, at, first, count, g, ld, tail, ldt, narrowed, 4);
    else convolve_back_as(p, at, first, count, g, ld, tail, ldt, narrowed, p->K);
}

/* x, B, C of a chunk, zeros behind the row's end. */
INLINE void read_maps(const problem *p, place_in at, const stores *s, int narrowed) {
    if (at.n < Q) {
        memset(s->X, 0, sizeof(float) * Q * p->JP);
        memset(s->B, 0, sizeof(float) * Q * p->Np);
        memset(s->C, 0, sizeof(float) * Q * p->Np);
    }
    if (p->P == p->Pp) convolve(p, at, at.head * p->P, p->JP, s->X, p->JP, narrowed);
    else
        for (int64_t j = 0; j < p->J; j++)
            convolve(p, at, (at.head + j) * p->P, p->P, s->X + j * p->Pp, p->JP, narrowed);
    convolve(p, at, p->D + at.group * p->N, p->N, s->B, p->Np, narrowed);
    convolve(p, at, p->D + (p->G + at.group) * p->N, p->N, s->C, p->Np, narrowed);
}

/* ---- step sizes and decays ---- */

INLINE void read_steps(const problem *p, place_in at, const stores *s, int narrowed) {
    memset(s->delta, 0, sizeof(float) * p->J * Q); /* no step behind the end */
    for (int64_t t = 0; t < at.n; t++)
        for (int64_t j = 0; j < p->J; j += W) {
            const int n = (int)least(W, p->J - j);
            const vec raw = get(p->in, (at.at + t) * p->width + p->D + p->C + at.head + j, n, narrowed) +
                            load(p->dt_bias + at.head + j, n);
            const vec delta = softplus(raw);
            for (int i = 0; i < n; i++) s->raw[(j + i) * Q + t] = raw[i], s->delta[(j + i) * Q + t] = delta[i];
        }
    for (int64_t j = 0; j < p->J; j++) {
        const double rate = (double)p->A[at.head + j] * 1.4426950408889634;
        float *high = s->high + j * Q, *low = s->low + j * Q;
        double total = 0;
        for (int64_t t = 0; t < Q; t++) {
            total += s->delta[j * Q + t] * rate;
            high[t] = (float)total;
            low[t] = (float)(total - high[t]);
        }
        for (int64_t t = 0; t < Q; t += W) {
            store(s->since + j * Q + t, power_of_two(load(high + t, W), 0), W);
            const vec left = (high[Q - 1] - load(high + t, W)) + (low[Q - 1] - load(low + t, W));
            store(s->left + j * Q + t, power_of_two(left, 0), W);
        }
    }
}

/* Rows of X, each head's times a number of its own, as factors: left ones to `l`, right ones to `r`; either may be NULL. */
INLINE void scaled(const problem *p, void *l, void *r, const float *X, const float *one, const float *other, int tiles) {
    for (int64_t t = 0; t < Q; t += 2)
        for (int64_t j = 0; j < p->J; j++) {
            const float a = one[j * Q + t] * (other ? other[j * Q + t] : 1);
            const float b = one[j * Q + t + 1] * (other ? other[j * Q + t + 1] : 1);
            for (int64_t c = j * p->Pp; c < (j + 1) * p->Pp; c += W) {
                const vec x = load(X + t * p->JP + c, W) * a, y = load(X + (t + 1) * p->JP + c, W) * b;
                if (l) put(l, t * p->JP + c, x, W, tiles), put(l, (t + 1) * p->JP + c, y, W, tiles);
                if (r) put_pair(r, t, c, p->JP, x, y, tiles);
            }
        }
}

/* h <- end h */
INLINE void fade(const problem *p, float *h, const stores *s) {
    for (int64_t i = 0; i < p->Np; i++)
        for (int64_t j = 0; j < p->J; j++) {
            const float end = s->since[j * Q + Q - 1];
            for (int64_t c = i * p->JP + j * p->Pp; c < i * p->JP + (j + 1) * p->Pp; c += W)
                store(h + c, load(h + c, W) * end, W);
        }
}

/* h <- end h + B^T (left * delta x); B^T as a left factor takes the room of the right one. */
INLINE void advance(const problem *p, const stores *s, int tiles) {
    fade(p, s->h, s);
    scaled(p, NULL, s->xr, s->X, s->delta, s->left, tiles);
    transposed_left(s->Bt, Q, s->Bl, p->Np, Q, p->Np, tiles);
    product(s->h, p->JP, s->Bt, Q, s->xr, p->JP, p->Np, p->JP, Q, 1, tiles);
}

/* ---- forward ---- */

INLINE void heads_forward(const problem *p, const stores *s, int tiles) {
    for (int64_t j = 0; j < p->J; j++) {
        const float *high = s->high + j * Q, *low = s->low + j * Q;
        for (int64_t t = 0; t < Q; t++) {
            for (int64_t c = j * p->Pp; c < (j + 1) * p->Pp; c += W)
                store(s->Y + t * p->JP + c, load(s->Y + t * p->JP + c, W) * s->since[j * Q + t], W);
            for (int64_t i = 0; i < (t | 31) + 1; i += W) {
                const vec exponent = (high[t] - load(high + i, W)) + (low[t] - load(low + i, W));
                const vec decay = (vec)((ivec)power_of_two(exponent, tiles) & (count_from(i) <= (int32_t)t));
                put(s->M, t * Q + i, load(s->S + t * Q + i, W) * decay, W, tiles);
            }
        }
        for (int64_t t = 0; t < Q; t += 32)
            product(s->Y + t * p->JP + j * p->Pp, p->JP, at_const(s->M, t * Q, tiles), Q,
                    at_const(s->xr, place(0, j * p->Pp, p->JP, tiles), tiles), p->JP, 32, p->Pp, t + 32, 1, tiles);
    }
}

/* y + D x, kept; v = y silu(z); out = gain v / rms(v) */
INLINE void gate_forward(const problem *p, place_in at, const stores *s, int narrowed) {
    const int64_t first = at.head * p->P;
    for (int64_t t = 0; t < at.n; t++) {
        vec squares = splat(0);
        EACH_CHANNEL {
            const int64_t i = at.head * p->P + j * p->P + f;
            const vec y = load(s->Y + t * p->JP + c, W) + load(s->X + t * p->JP + c, W) * p->skip[at.head + j];
            const vec z = get(p->in, (at.at + t) * p->width + i, (int)n, narrowed);
            const vec v = y * z * sigmoid(z * LOG2_E, narrowed);
            put(p->y, (at.at + t) * p->D + i, y, (int)n, narrowed);
            store(s->Y + t * p->JP + c, v, W);
            squares += v * v;
        }
        const float scale = 1 / sqrtf(sum(squares) / (p->J * p->P) + p->eps);
        p->scale[(at.at + t) * p->G + at.group] = scale;
        EACH_CHANNEL {
            const vec v = load(s->Y + t * p->JP + c, W) * scale * load(p->gain + first + j * p->P + f, (int)n);
            put(p->out, (at.at + t) * p->D + first + j * p->P + f, v, (int)n, narrowed);
        }
    }
}

INLINE void forward_group(const problem *p, int64_t task, char *space, int narrowed, int tiles) {
    size_t bytes;
    const stores s = lay_out(p, space, tiles, 0, &bytes);
    memset(space, 0, bytes);
    for (int64_t chunk = 0; chunk < p->chunks; chunk++) {
        const place_in at = chunk_of(p, task, chunk);
        read_maps(p, at, &s, narrowed);
        read_steps(p, at, &s, narrowed);
        left_factor(s.Bl, p->Np, s.B, p->Np, Q, p->Np, tiles);
        left_factor(s.Cl, p->Np, s.C, p->Np, Q, p->Np, tiles);
        transposed_right(s.Bt, Q, s.Bl, p->Np, Q, p->Np, tiles);
        product(s.S, Q, s.Cl, p->Np, s.Bt, Q, Q, Q, p->Np, 0, tiles);
        left_factor(states_of(p, task, chunk, tiles), p->JP, s.h, p->JP, p->Np, p->JP, tiles);
        right_factor(s.hr, p->JP, s.h, p->JP, p->Np, p->JP, tiles);
        product(s.Y, p->JP, s.Cl, p->Np, s.hr, p->JP, Q, p->JP, p->Np, 0, tiles);
        scaled(p, NULL, s.xr, s.X, s.delta, NULL, tiles);
        heads_forward(p, &s, tiles);
        if (chunk + 1 < p->chunks) advance(p, &s, tiles);
        gate_forward(p, at, &s, narrowed);
    }
}

/* ---- backward ---- */

/* The gradient of y to s->Y, of z and of the gain to their places. */
INLINE void gate_backward(const problem *p, place_in at, const stores *s, int narrowed) {
    const int64_t first = at.head * p->P;
    float *ggain = p->ggain + at.row * p->D + first;
    if (at.n < Q) memset(s->Y, 0, sizeof(float) * Q * p->JP);
    for (int64_t t = 0; t < at.n; t++) {
        const float scale = p->scale[(at.at + t) * p->G + at.group];
        vec along = splat(0);
        for (int last = 0; last < 2; last++) {
            const float lean = last ? sum(along) * scale * scale / (p->J * p->P) : 0;
            EACH_CHANNEL {
                const int64_t i = j * p->P + f, k = (at.at + t) * p->width + first + i;
                const vec y = get(p->y, (at.at + t) * p->D + first + i, (int)n, narrowed);
                const vec g = get(p->gout, (at.at + t) * p->D + first + i, (int)n, narrowed);
                const vec z = get(p->in, k, (int)n, narrowed), gate = sigmoid(z * LOG2_E, narrowed), silu = z * gate;
                const vec gn = g * load(p->gain + first + i, (int)n), v = y * silu;
                if (!last) {
                    along += gn * v;
                    continue;
                }
                const vec gv = (gn - v * lean) * scale;
                store(ggain + i, load(ggain + i, (int)n) + g * v * scale, (int)n);
                store(s->Y + t * p->JP + c, gv * silu, W);
                put(p->gin, k, gv * y * (gate + silu * (1.0f - gate)), (int)n, narrowed);
            }
        }
    }
}

/* Through each head's product inside the chunk: gX of delta x, gS of C B^T (s, t), gtotal. */
INLINE void heads_backward(const problem *p, const stores *s, int tiles) {
    memset(s->gS, 0, sizeof(float) * Q * Q);
    for (int64_t j = 0; j < p->J; j++) {
        const float *high = s->high + j * Q, *low = s->low + j * Q;
        float *gtotal = s->gtotal + j * Q;
        product(s->gM, Q, at_const(s->xl, j * p->Pp, tiles), p->JP, at_const(s->gyt, place(j * p->Pp, 0, Q, tiles), tiles),
                Q, Q, Q, p->Pp, 0, tiles);
        memset(gtotal, 0, sizeof(float) * Q);
        for (int64_t i = 0; i < Q; i++) {
            vec through = splat(0);
            for (int64_t t = i & ~31; t < Q; t += W) {
                const vec exponent = (load(high + t, W) - high[i]) + (load(low + t, W) - low[i]);
                const vec decay = (vec)((ivec)power_of_two(exponent, tiles) & (count_from(t) >= (int32_t)i));
                const vec M = load(s->S + i * Q + t, W) * decay, g = load(s->gM + i * Q + t, W);
                put(s->M, i * Q + t, M, W, tiles);
                store(s->gS + i * Q + t, load(s->gS + i * Q + t, W) + g * decay, W);
                /* the exponent of the diagonal is 0 whatever the steps are: to add and subtract it would leave its noise */
                const vec exponent_gradient = (vec)((ivec)(g * M) & (count_from(t) > (int32_t)i));
                store(gtotal + t, load(gtotal + t, W) + exponent_gradient, W);
                through += exponent_gradient;
            }
            gtotal[i] -= sum(through);
        }
        for (int64_t i = 0; i < Q; i += 32)
            product(s->gX + i * p->JP + j * p->Pp, p->JP, at_const(s->M, i * Q + i, tiles), Q,
                    at_const(s->gyr, place(i, j * p->Pp, p->JP, tiles), tiles), p->JP, 32, p->Pp, Q - i, 0, tiles);
    }
}

/* What a chunk's states have to do with it: s->carried = C h, s->reach = B gh, gB and gC through the states; gh becomes the
 * gradient of the state before the chunk, and gtotal takes what decays of states give. */
INLINE void states_backward(const problem *p, const stores *s, const void *h, int tiles) {
    const int64_t JP = p->JP, Np = p->Np;
    for (int64_t i = 0; i < Np; i += 2)
        for (int64_t c = 0; c < JP; c += W)
            put_pair(s->hr, i, c, JP, get(h, i * JP + c, W, tiles), get(h, (i + 1) * JP + c, W, tiles), tiles);
    transposed_right(s->ht, Np, h, JP, Np, JP, tiles);
    left_factor(s->ghl, JP, s->gh, JP, Np, JP, tiles);
    right_factor(s->ghr, JP, s->gh, JP, Np, JP, tiles);
    transposed_right(s->ght, Np, s->ghl, JP, Np, JP, tiles);
    product(s->carried, JP, s->Cl, Np, s->hr, JP, Q, JP, Np, 0, tiles);
    product(s->reach, JP, s->Bl, Np, s->ghr, JP, Q, JP, Np, 0, tiles);
    scaled(p, s->sl, NULL, s->X, s->delta, s->left, tiles);
    product(s->gB, Np, s->sl, JP, s->ght, Np, Q, Np, JP, 0, tiles);
    scaled(p, s->sl, s->sr, s->Y, s->since, NULL, tiles);
    product(s->gC, Np, s->sl, JP, s->ht, Np, Q, Np, JP, 0, tiles);
    for (int64_t j = 0; j < p->J; j++) {
        vec both = splat(0);
        for (int64_t i = 0; i < Np; i++)
            for (int64_t c = j * p->Pp; c < (j + 1) * p->Pp; c += W)
                both += get(h, i * JP + c, W, tiles) * load(s->gh + i * JP + c, W);
        s->gtotal[j * Q + Q - 1] += sum(both) * s->since[j * Q + Q - 1];
    }
    fade(p, s->gh, s);
    transposed_left(s->Bt, Q, s->Cl, Np, Q, Np, tiles);
    product(s->gh, JP, s->Bt, Q, s->sr, JP, Np, JP, Q, 1, tiles);
}

/* gX of delta x becomes that of x; what goes through step sizes and decays is summed to dt's, A's and the skip's. */
INLINE void steps_backward(const problem *p, place_in at, const stores *s, int narrowed) {
    float *sums = p->gheads + at.row * 3 * p->H + at.head;
    for (int64_t j = 0; j < p->J; j++) {
        const float *delta = s->delta + j * Q, *since = s->since + j * Q, *left = s->left + j * Q;
        const float skip = p->skip[at.head + j], A = p->A[at.head + j];
        float *gtotal = s->gtotal + j * Q, *gdelta = s->gdelta + j * Q, end = 0;
        vec gskip = splat(0);
        for (int64_t t = 0; t < Q; t++) {
            vec direct = splat(0), reached = splat(0), carried = splat(0);
            for (int64_t c = t * p->JP + j * p->Pp; c < t * p->JP + (j + 1) * p->Pp; c += W) {
                const vec x = load(s->X + c, W), gy = load(s->Y + c, W), reach = load(s->reach + c, W);
                const vec g = load(s->gX + c, W) + reach * left[t];
                direct += g * x;
                reached += x * reach;
                carried += gy * load(s->carried + c, W);
                gskip += gy * x;
                store(s->gX + c, g * delta[t] + gy * skip, W);
            }
            const float through = t < Q - 1 ? sum(reached) * left[t] * delta[t] : 0;
            gtotal[t] += sum(carried) * since[t] - through;
            end += through;
            gdelta[t] = sum(direct);
        }
        gtotal[Q - 1] += end;
        double total = 0, gA = 0, gbias = 0;
        for (int64_t t = Q - 1; t >= 0; t--) {
            total += gtotal[t];
            gA += total * delta[t];
            gdelta[t] += (float)(total * A);
        }
        for (int64_t t = 0; t < Q; t += W)
            store(gdelta + t, load(gdelta + t, W) * sigmoid(load(s->raw + j * Q + t, W) * LOG2_E, 0), W);
        for (int64_t t = 0; t < at.n; t++) {
            gbias += gdelta[t];
            put(p->gin, (at.at + t) * p->width + p->D + p->C + at.head + j, splat(gdelta[t]), 1, narrowed);
        }
        sums[j] += (float)gbias, sums[p->H + j] += (float)gA, sums[2 * p->H + j] += sum(gskip);
    }
}

/* The gradient of C B^T, (s, t) in gS, to B and C. */
INLINE void maps_backward(const problem *p, const stores *s, int tiles) {
    left_factor(s->M, Q, s->gS, Q, Q, Q, tiles);
    right_factor(s->Cr, p->Np, s->C, p->Np, Q, p->Np, tiles);
    product(s->gB, p->Np, s->M, Q, s->Cr, p->Np, Q, p->Np, Q, 1, tiles);
    transposed_left(s->Mt, Q, s->M, Q, Q, Q, tiles);
    right_factor(s->Br, p->Np, s->B, p->Np, Q, p->Np, tiles);
    product(s->gC, p->Np, s->Mt, Q, s->Br, p->Np, Q, p->Np, Q, 1, tiles);
}

INLINE void backward_group(const problem *p, int64_t task, char *space, int narrowed, int tiles) {
    size_t bytes;
    const stores s = lay_out(p, space, tiles, 1, &bytes);
    const int64_t n_heads = p->J * p->P, JP = p->JP, Np = p->Np;
    memset(space, 0, bytes);
    for (int64_t chunk = p->chunks - 1; chunk >= 0; chunk--) {
        const place_in at = chunk_of(p, task, chunk);
        read_maps(p, at, &s, narrowed);
        read_steps(p, at, &s, narrowed);
        gate_backward(p, at, &s, narrowed);
        left_factor(s.Bl, Np, s.B, Np, Q, Np, tiles);
        left_factor(s.Cl, Np, s.C, Np, Q, Np, tiles);
        transposed_right(s.Ct, Q, s.Cl, Np, Q, Np, tiles);
        product(s.S, Q, s.Bl, Np, s.Ct, Q, Q, Q, Np, 0, tiles);
        left_factor(s.gyl, JP, s.Y, JP, Q, JP, tiles);
        right_factor(s.gyr, JP, s.Y, JP, Q, JP, tiles);
        transposed_right(s.gyt, Q, s.gyl, JP, Q, JP, tiles);
        scaled(p, s.xl, NULL, s.X, s.delta, NULL, tiles);
        heads_backward(p, &s, tiles);
        states_backward(p, &s, states_of(p, task, chunk, tiles), tiles);
        maps_backward(p, &s, tiles);
        steps_backward(p, at, &s, narrowed);
        if (p->P == p->Pp) convolve_back(p, at, at.head * p->P, n_heads, s.gX, JP, s.tail, narrowed);
        else
            for (int64_t j = 0; j < p->J; j++)
                convolve_back(p, at, (at.head + j) * p->P, p->P, s.gX + j * p->Pp, JP, s.tail + j * p->P, narrowed);
        convolve_back(p, at, p->D + at.group * p->N, p->N, s.gB, Np, s.tail + n_heads, narrowed);
        convolve_back(p, at, p->D + (p->G + at.group) * p->N, p->N, s.gC, Np, s.tail + n_heads + p->N, narrowed);
    }
}

/* ---- what is called: `kind` 0 floats, 1 bfloat16 through floats, 2 bfloat16 in the matrix unit ---- */

#define TASKS(name)                                                                                                  \
    static void name##_0(const void *p, int64_t task, void *space) { name(p, task, space, 0, 0); }                   \
    static void name##_1(const void *p, int64_t task, void *space) { name(p, task, space, 1, 0); }                   \
    static void name##_2(const void *p, int64_t task, void *space) { name(p, task, space, 1, HAS_TILES); }
TASKS(forward_group)
TASKS(backward_group)

static problem shaped(const void *in, const float *const weights[6], const int64_t sizes[7], double eps) {
    problem p = {.in = in, .filter = weights[0], .filter_bias = weights[1], .dt_bias = weights[2], .A = weights[3],
                 .skip = weights[4], .gain = weights[5], .L = sizes[1], .H = sizes[2], .P = sizes[3], .G = sizes[4],
                 .N = sizes[5], .K = sizes[6], .eps = (float)eps};
    p.J = p.H / p.G, p.D = p.H * p.P, p.C = p.D + 2 * p.G * p.N, p.width = p.D + p.C + p.H;
    p.Pp = round_up(p.P, 32), p.Np = round_up(p.N, 32), p.JP = p.J * p.Pp, p.chunks = (p.L + Q - 1) / Q;
    return p;
}

/* Numbers that `states` takes, floats or (kind 2) bfloat16. */
int64_t state_size(int64_t B, int64_t L, int64_t H, int64_t P, int64_t N) {
    return B * ((L + Q - 1) / Q) * round_up(N, 32) * H * round_up(P, 32);
}

int ssd_forward(const void *in, const float *filter, const float *filter_bias, const float *dt_bias, const float *A,
                const float *skip, const float *gain, void *out, void *y, float *scale, void *states, double eps, int64_t B, int64_t L,
                int64_t H, int64_t P, int64_t G, int64_t N, int64_t K, int64_t kind, int64_t threads) {
    const float *const weights[] = {filter, filter_bias, dt_bias, A, skip, gain};
    problem p = shaped(in, weights, (const int64_t[]){B, L, H, P, G, N, K}, eps);
    p.out = out, p.y = y, p.scale = scale, p.states = states;
    size_t bytes;
    lay_out(&p, NULL, kind == 2, 0, &bytes);
    return run(&p, kind == 0 ? forward_group_0 : kind == 1 ? forward_group_1 : forward_group_2, B * G, threads, bytes,
               kind == 2);
}

/* gfilter (B, K, C), gfilter_bias (B, C), gheads (B, 3, H), ggain (B, D): zeros on entry. */
int ssd_backward(const void *in, const float *filter, const float *filter_bias, const float *dt_bias, const float *A,
                 const float *skip, const float *gain, const void *y, const float *scale, const void *states, const void *gout, void *gin,
                 float *gfilter, float *gfilter_bias, float *gheads, float *ggain, double eps, int64_t B, int64_t L,
                 int64_t H, int64_t P, int64_t G, int64_t N, int64_t K, int64_t kind, int64_t threads) {
    const float *const weights[] = {filter, filter_bias, dt_bias, A, skip, gain};
    problem p = shaped(in, weights, (const int64_t[]){B, L, H, P, G, N, K}, eps);
    p.y = (void *)y, p.scale = (float *)scale, p.states = (void *)states, p.gout = gout, p.gin = gin;
    p.gfilter = gfilter, p.gfilter_bias = gfilter_bias, p.gheads = gheads, p.ggain = ggain;
    size_t bytes;
    lay_out(&p, NULL, kind == 2, 1, &bytes);
    return run(&p, kind == 0 ? backward_group_0 : kind == 1 ? backward_group_1 : backward_group_2, B * G, threads, bytes,
               kind == 2);
}
